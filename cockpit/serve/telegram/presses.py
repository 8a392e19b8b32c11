"""What a press means: each is checked, used up and carried out in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cockpit.model import CockpitError, IncidentStatus, Proposal, ProposalState, Verdict
from cockpit.serve.telegram import words
from cockpit.serve.telegram.body import Body
from cockpit.serve.telegram.commands import Commands
from cockpit.serve.telegram.pace import Pace, morning
from cockpit.serve.telegram.teller import Teller
from cockpit.store.outbox import Message
from cockpit.store.telegram import Button, Denial, Person

HOUR = 3600.0
DECIDED = {"approve": Verdict.APPROVED, "deny": Verdict.DENIED}


@dataclass
class Presses:
    """Carries out presses; what it does is part of the transaction that is open."""

    teller: Teller
    commands: Commands
    pace: Pace
    clock: Callable[[], float] = time.time

    def carry_out(self, button: Button, person: Person) -> list[Body]:
        """Do what a button says that was just used up; returns what there is to answer."""
        if button.action in DECIDED:
            return self._decide(button, DECIDED[button.action], person)
        proposal = self.teller.reader.proposal(button.proposal) if button.proposal is not None else None
        if button.action in ("confirm", "back", "ask name", "info") and proposal is not None:
            return self._step(button, proposal, person)
        if button.action in ("ask model", "ask no model"):
            return self._ask(button, person)
        if button.incident is not None:
            self._care(button, button.incident, person)
        return []

    def typed(self, text: str, person: Person, chat: int) -> list[Body] | None:
        """Take a text as the name that was asked for; None when no name was asked for."""
        found = self.teller.log.typed(text, person, chat, self.clock())
        if found is None:
            return None
        button, right = found
        if not right:
            return [Body().add(f"That is not the name. Proposal {button.proposal} still waits.")]
        return self._decide(button, Verdict.APPROVED, person)

    def _decide(self, button: Button, verdict: Verdict, person: Person) -> list[Body]:
        assert button.proposal is not None
        try:
            decided = self.teller.log.decide(button, verdict, person, self.clock())
        except Denial:
            self.teller.log.outbox.refresh(f"proposal:{button.proposal}", self.clock())
            raise
        except CockpitError as error:
            self.teller.log.outbox.refresh(f"proposal:{button.proposal}", self.clock())
            return [Body().add(str(error))]
        if decided is None:
            self._again(self.teller.reader.proposal(button.proposal))
        return []

    def _step(self, button: Button, proposal: Proposal, person: Person) -> list[Body]:
        if button.action == "confirm":
            self.teller.proposal(proposal, "confirm")
            return []
        self._again(proposal)
        if button.action == "info":
            return self.commands.more_info(proposal.incident, proposal)
        if button.action == "ask name" and proposal.state is ProposalState.PENDING:
            self.teller.log.ask_name(button, person, self.clock(), self.pace.type_name)
            text = f"Proposal {proposal.id} cannot be undone. Type the name of the service to approve it."
            return [Body(reply_to=f"proposal:{proposal.id}").add(text)]
        return []

    def _again(self, proposal: Proposal) -> None:
        """Show the proposal as it stands, with buttons that were not used yet."""
        self.teller.proposal(proposal)
        self.teller.log.outbox.refresh(f"proposal:{proposal.id}", self.clock())

    def _ask(self, button: Button, person: Person) -> list[Body]:
        """Let the inquiry that the button stood for begin, or none; it may have moved on meanwhile."""
        inquiries = self.teller.engine.store.inquiries
        try:
            (inquiries.allow if button.action == "ask model" else inquiries.decline)(int(button.digest), person.name)
        except CockpitError as error:
            return [Body().add(str(error))]
        return []

    def _care(self, button: Button, number: int, person: Person) -> None:
        incident = self.teller.reader.incident(number)
        row = self.teller.log.outbox.find(f"incident:{number}")
        if row is None:
            return
        note = self.teller.engine.store.note
        if button.action == "acknowledge":
            note(person.name, "acknowledge", f"{person.name} looks into it.", incident=number, service=incident.service)
            self.teller.log.outbox.annotate(row, acknowledged=person.name)
        elif button.action.startswith("snooze") and incident.status is not IncidentStatus.RESOLVED:
            self._snooze(button.action, number, row, person)
        elif button.action in ("worked", "not worked"):
            worked = button.action == "worked"
            text = f"{'It worked' if worked else 'It did not work'}, says {person.name}."
            note(person.name, "feedback", text, incident=number, service=incident.service, data={"worked": worked})
            self.teller.log.outbox.annotate(row, worked=text)

    def _snooze(self, action: str, number: int, row: Message, person: Person) -> None:
        now = self.clock()
        until = morning(self.teller.settings.quiet_hours, now) if action.endswith("morning") else now + HOUR
        incident = self.teller.reader.incident(number)
        text = f"{person.name} snoozed it until {words.clock(until)}."
        data = {"until": until}
        self.teller.engine.store.note(person.name, "snooze", text, incident=number, service=incident.service, data=data)
        self.teller.log.outbox.annotate(row, snoozed=f"{person.name} until {words.clock(until)}")
        self.teller.snooze(incident, until, person.name)
