"""The teller: follows the log, and puts into the outbox what the operators should see of it.

It never sends. It looks at where things stand now and puts one message an incident and one a
proposal; the outbox sends what differs from what was sent before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cockpit.agent.communicator import found_by
from cockpit.engine import Engine
from cockpit.model import (
    Approval,
    Decision,
    Event,
    Incident,
    IncidentStatus,
    Proposal,
    ProposalState,
    Role,
    Service,
    Severity,
)
from cockpit.model.inquiries import InquiryState
from cockpit.serve.telegram import words
from cockpit.serve.telegram.body import Body, button
from cockpit.serve.telegram.pace import Pace, quiet_end
from cockpit.settings.daemon import Right, TelegramSettings
from cockpit.store.outbox import Draft, Message, Rank
from cockpit.store.reader import Reader
from cockpit.store.telegram import TelegramLog

CURSOR = "telegram cursor"
BATCH = 500
ALL = 10_000
LINES = 30
"""Lines that a gathered message holds; the rest is counted."""
STALE = 60.0
"""Seconds after which an edit of a message is not noticed any more."""
SILENCED = 15.0
"""Seconds until it is asked again whether a service is silenced."""
QUIET = ("inquiry", "model", "choice")
"""Kinds of event that are many while a model is asked: what comes of it is told, and not each step."""
ASKED = (InquiryState.ASKING, InquiryState.OPEN, InquiryState.DECLINED)
"""States of an inquiry between which a press decides: the incident's message shows or loses its buttons."""
MEMBERS = 500
"""Incidents at the most that one summary of a storm looks at."""


@dataclass
class Teller:
    """Turns what is in the log into messages."""

    engine: Engine
    settings: TelegramSettings
    pace: Pace
    clock: Callable[[], float] = time.time
    _stormy: set[int] = field(default_factory=set)
    _lately: int | None = None

    @property
    def log(self) -> TelegramLog:
        """Where the messages go."""
        return self.engine.store.telegram

    @property
    def reader(self) -> Reader:
        """What they are about."""
        return self.engine.store.reader

    def look(self) -> bool:
        """Take in what was added to the log since the last look; returns whether there was anything."""
        seen = self.reader.state(CURSOR)
        after = seen if isinstance(seen, int) else None
        events = self.reader.events(after=after, limit=BATCH) if after is not None else []
        if after is not None and not events:
            return False
        self._lately = None
        with self.engine.store.together():
            if after is None:
                self._begin()
            else:
                self._take_in(events)
            self._storms()
        return True

    def _begin(self) -> None:
        """At the very first start: what happened before is not told, what is open is."""
        self.engine.store.remember(CURSOR, self.reader.last_event())
        for incident in sorted(self.reader.incidents(unresolved_only=True, limit=ALL), key=lambda each: each.id):
            self.incident(incident, ())
        for proposal in reversed(self.reader.proposals(state=ProposalState.PENDING, limit=ALL)):
            self.proposal(proposal)

    def _take_in(self, events: Sequence[Event]) -> None:
        of_incident: dict[int, list[Event]] = {}
        proposals: dict[int, None] = {}
        for event in events:
            if event.kind == "budget":
                self.gather("budget", event.text)
            if event.incident is not None and event.kind not in QUIET:
                of_incident.setdefault(event.incident, []).append(event)
            elif event.incident is not None and event.data.get("state") in ASKED:
                of_incident.setdefault(event.incident, [])
            number = event.data.get("proposal")
            if isinstance(number, int):
                proposals[number] = None
        for number in proposals:
            self.proposal(self.reader.proposal(number))
        for number, about in of_incident.items():
            self.incident(self.reader.incident(number), about)
        self.engine.store.remember(CURSOR, events[-1].id)

    # proposals

    def proposal(self, proposal: Proposal, step: str = "") -> None:
        """Put a proposal's message as it stands, with the buttons of a step: none, `confirm`."""
        if proposal.approval.rank < Approval.HARD.rank:
            self._soft(proposal)
            return
        row = self.log.outbox.find(f"proposal:{proposal.id}")
        if row is None and proposal.state is not ProposalState.PENDING:
            return
        if row is not None and row.unsent and row.state == "waiting" and proposal.state is not ProposalState.PENDING:
            self._drop(row, "" if proposal.state is ProposalState.SUPERSEDED else words.settled_line(proposal))
            return
        row = self.log.outbox.put(self._question(proposal, row, step), now=self.clock())
        if proposal.state is ProposalState.PENDING:
            self._stand_for_incident(proposal, row)
            if words.too_long(proposal):
                self._attach(proposal)

    def _question(self, proposal: Proposal, row: Message | None, step: str) -> Draft:
        """What a proposal's message says; a flapping incident's goes on where the last one stood."""
        incident = self.reader.incident(proposal.incident) if proposal.incident is not None else None
        if row is None and incident is not None and incident.flapping:
            self._pass_on(incident, proposal)
        decision = self.reader.decision(proposal.id)
        journal, found = self.reader.applied(proposal.id), found_by(self.reader, proposal)
        body = words.proposal_body(proposal, incident, decision, journal, found)
        if proposal.state is ProposalState.PENDING:
            self._ask(body, proposal, step)
        thread = self.log.outbox.find(f"incident:{proposal.incident}") if incident else None
        if thread is not None and thread.state == "folded":
            words.noted(body, thread.notes)
            self._beside(body, incident, thread, proposal)
        elif thread is not None:
            body.reply_to = thread.subject
        return Draft(f"proposal:{proposal.id}", body.data, Rank.QUESTION, proposal.incident, proposal.id)

    def _ask(self, body: Body, proposal: Proposal, step: str) -> None:
        service = self.engine.services.get(proposal.call.service, Service(proposal.call.service))
        right = Right.CRITICAL if service.critical else Right.APPROVE
        people = 2 if service.critical and self.settings.two_people_for_critical else 1
        until, digest = proposal.expires_at, proposal.digest
        votes = self.log.votes(proposal.id)
        body.line("Approved so far", f"{', '.join(votes)}; {people - len(votes)} more needed" if votes else "")
        body.line("Answer until", f"{words.clock(until)}; then it is denied")
        if step == "confirm":
            yes = button(f"Yes, change {service.name}", "approve", right, until=until, digest=digest, people=people)
            body.row(yes, button("Back", "back", Right.SEE, until=until, digest=digest))
            return
        first = "ask name" if proposal.needs_name else "confirm" if service.critical else "approve"
        body.row(
            button("Approve", first, right, until=until, digest=digest, people=people),
            button("Deny", "deny", Right.APPROVE, until=until, digest=digest),
            button("More info", "info", Right.SEE, until=until, digest=digest),
        )

    def _stand_for_incident(self, proposal: Proposal, row: Message) -> None:
        """The incident's own message is not needed while the question says all of it."""
        if proposal.incident is None:
            return
        thread = self.log.outbox.find(f"incident:{proposal.incident}")
        if thread is None:
            draft = Draft(f"incident:{proposal.incident}", {}, Rank.INCIDENT, proposal.incident, parent=row.id)
            self.log.outbox.put(draft, now=self.clock())
        elif thread.state == "waiting" and thread.unsent:
            self.log.outbox.fold(thread, row.id)
        else:
            return
        self.proposal(proposal)

    def _attach(self, proposal: Proposal) -> None:
        body = Body(silent=True, reply_to=f"proposal:{proposal.id}")
        body.add(f"All of proposal {proposal.id}")
        body.document = {"name": f"proposal-{proposal.id}.diff", "text": words.whole(proposal)}
        draft = Draft(f"diff:{proposal.id}", body.data, Rank.QUESTION, proposal.incident, proposal.id)
        self.log.outbox.put(draft, now=self.clock())

    def _pass_on(self, incident: Incident, proposal: Proposal) -> None:
        """Let the last question about a flapping incident become this one, without another message."""
        earlier = [each for each in self.reader.proposals(incident=incident.id, limit=5) if each.id < proposal.id]
        last = self.log.outbox.find(f"proposal:{earlier[0].id}") if earlier else None
        if last is not None and earlier[0].state is ProposalState.SUPERSEDED:
            self.log.outbox.pass_on(last, f"proposal:{proposal.id}", proposal.id)

    def _soft(self, proposal: Proposal) -> None:
        ended = proposal.state in (ProposalState.DONE, ProposalState.FAILED, ProposalState.UNKNOWN)
        if ended and proposal.approval is Approval.SOFT:
            self.gather(f"soft:{proposal.id}", f"Without asking, {words.settled_line(proposal)}")

    # incidents

    def incident(self, incident: Incident, about: Sequence[Event]) -> None:
        """Put an incident's message as it stands; `about` is what happened in it just now."""
        row = self.log.outbox.find(f"incident:{incident.id}")
        resolved = incident.status is IncidentStatus.RESOLVED
        if row is None and not resolved:
            self._open(incident)
        elif row is None:
            self._recovered(incident, "Came and went")
        elif row.state == "folded":
            self._folded(incident, row)
        elif row.state in ("waiting", "dropped"):
            self._update(incident, row, about)

    def _open(self, incident: Incident) -> None:
        now = self.clock()
        if self._storming(now):
            self._join_storm(incident)
            return
        self.log.outbox.put(self._thread(incident, None), now=now, at=now + self.pace.hold)

    def _update(self, incident: Incident, row: Message, about: Sequence[Event]) -> None:
        now = self.clock()
        if incident.status is IncidentStatus.RESOLVED:
            self._drop_reminders(incident.id)
            if row.unsent:
                if row.state == "waiting":
                    self._drop(row, "")
                    self._recovered(incident, "Came and went")
                return
            if about and not self._decided_by_person(incident):
                self._recovered(incident, "Recovered")
        delay = self.pace.hold if row.unsent else self.pace.settle
        self.log.outbox.put(self._thread(incident, row), now=now, at=now + delay)
        if about and incident.status is IncidentStatus.ESCALATED and now - (row.sent_at or now) > STALE:
            self._call(incident, about)

    def _call(self, incident: Incident, about: Sequence[Event]) -> None:
        """A person is needed, and the incident's message was sent long ago: an edit would not be noticed."""
        text = next((each.text for each in reversed(about) if each.kind == "status"), "A person is needed.")
        body = Body(reply_to=f"incident:{incident.id}").add(text)
        draft = Draft(f"needed:{incident.id}", body.data, Rank.INCIDENT, incident.id)
        self.log.outbox.put(draft, now=self.clock())

    def _folded(self, incident: Incident, row: Message) -> None:
        parent = self.log.outbox.get(row.parent) if row.parent else None
        if parent is not None and parent.subject.startswith("storm:"):
            self._stormy.add(parent.id)
        elif incident.status is IncidentStatus.ESCALATED:
            self.log.outbox.fold(row, None)
            self.log.outbox.put(self._thread(incident, row), now=self.clock())
            return
        if incident.status is IncidentStatus.RESOLVED:
            self._drop_reminders(incident.id)
        latest = self.reader.proposals(incident=incident.id, limit=1)
        if latest:
            self.proposal(latest[0])

    def _thread(self, incident: Incident, row: Message | None) -> Draft:
        events = self.reader.events(incident=incident.id, before=2**62, limit=BATCH)
        last = next((each for each in reversed(events) if each.kind not in QUIET), None)
        notes = row.notes if row else {}
        body = words.incident_body(incident, last, notes)
        self._beside(body, incident, row, None)
        return Draft(f"incident:{incident.id}", body.data, Rank.INCIDENT, incident.id)

    def _beside(self, body: Body, incident: Incident | None, row: Message | None, proposal: Proposal | None) -> None:
        """Add the buttons that stand beside an incident: to care for it, and in the end whether it helped."""
        notes = row.notes if row else {}
        if incident is None:
            return
        if incident.status is not IncidentStatus.RESOLVED:
            if proposal is None or proposal.state is ProposalState.PENDING:
                self._offer_to_ask(body, incident)
                body.row(*words.care_row(notes))
            return
        done = any(each.state is ProposalState.DONE for each in self.reader.proposals(incident=incident.id, limit=5))
        if done and "worked" not in notes:
            body.line("Did it work", "the incident is resolved")
            body.row(*words.worked_row())

    def _offer_to_ask(self, body: Body, incident: Incident) -> None:
        """Where a model waits for a yes before it is asked why the incident happened, let that be given here."""
        waiting = (each for each in self.reader.asked.of(incident.id) if each.state is InquiryState.ASKING)
        inquiry = next((each for each in waiting if not each.question), None)
        if inquiry is not None and inquiry.estimate is not None:
            body.line("A model could be asked", words.estimated(inquiry.estimate))
            body.row(*words.ask_row(inquiry.id))

    def snooze(self, incident: Incident, until: float, by: str) -> None:
        """Say nothing new about an incident until then; then remind of it unless it is resolved."""
        body = Body(reply_to=f"incident:{incident.id}")
        body.add(f"⏰ Still open: incident {incident.id}, {incident.service}: {incident.title}. Snoozed by {by}.")
        draft = Draft(f"reminder:{incident.id}:{int(until)}", body.data, Rank.INCIDENT, incident.id)
        self.log.outbox.put(draft, now=self.clock(), at=until)

    # what nobody has to be called for

    def gather(self, key: str, line: str) -> None:
        """Add a line to the next gathered message; a line with the same key is replaced."""
        now = self.clock()
        last = self.log.outbox.newest_like("gathered:%")
        lines: dict[str, str] = {}
        subject = f"gathered:{self.reader.last_event()}:{int(now * 1000)}"
        if last is not None and last.unsent and last.state == "waiting":
            lines, subject = dict(last.body["lines"]), last.subject
        lines[key] = line
        shown = list(lines.values())
        body = words.gathered(shown[:LINES], len(shown) - LINES if len(shown) > LINES else 0)
        kept = dict(list(lines.items())[: 10 * LINES])
        at = quiet_end(self.settings.quiet_hours, now) or now + self.pace.gather
        self.log.outbox.put(Draft(subject, {**body.data, "lines": kept}, Rank.GATHERED), now=now, at=at)

    def _recovered(self, incident: Incident, how: str) -> None:
        if not incident.flapping:
            self.gather(f"incident:{incident.id}", f"{how}: {incident.service}, {incident.title} ({incident.id})")

    def _drop(self, row: Message, line: str) -> None:
        self.log.outbox.set_state(row, "dropped")
        if line:
            self.gather(row.subject, line)

    def _drop_reminders(self, incident: int) -> None:
        row = self.log.outbox.newest_like(f"reminder:{incident}:%")
        if row is not None and row.unsent:
            self.log.outbox.set_state(row, "dropped")

    def _decided_by_person(self, incident: Incident) -> bool:
        decisions: Iterable[Decision | None] = (
            self.reader.decision(each.id) for each in self.reader.proposals(incident=incident.id, limit=3)
        )
        return any(each is not None and each.by != Role.POLICY for each in decisions)

    # when something may be said

    def hold(self, message: Message) -> float | None:
        """Until when a message that is due has to wait; None when it may go out.

        What was said already is always kept right; a call for a person waits for the end of quiet hours,
        of a snooze, or of a silence about its service.
        """
        now = self.clock()
        if message.rank == Rank.ANSWER or not message.unsent:
            return None
        if message.rank == Rank.GATHERED:
            return quiet_end(self.settings.quiet_hours, now)
        if message.incident is None:
            return None
        incident = self.reader.incident(message.incident)
        if self.engine.silences.why(incident.service):
            return now + SILENCED
        reminder = message.subject.startswith("reminder:")
        snoozed = None if reminder else self._snoozed_until(incident.id)
        return snoozed or (
            None if incident.severity is Severity.CRITICAL else quiet_end(self.settings.quiet_hours, now)
        )

    def _snoozed_until(self, incident: int) -> float | None:
        row = self.log.outbox.newest_like(f"reminder:{incident}:%")
        waits = row is not None and row.unsent and row.state == "waiting" and row.next_at > self.clock()
        return row.next_at if row is not None and waits else None

    # storms

    def _storming(self, now: float) -> bool:
        """Whether more incidents than are told one by one opened within a minute."""
        if self._lately is None:
            self._lately = sum(each.opened_at > now - STALE for each in self.reader.incidents(limit=ALL))
        return self._lately > self.settings.storm_per_minute

    def _join_storm(self, incident: Incident) -> None:
        now = self.clock()
        row = self.log.outbox.newest_like("storm:%")
        if row is None or now - row.put_at > STALE:
            body = words.storm([incident], now)
            draft = Draft(f"storm:{incident.id}", {**body.data, "since": now}, Rank.INCIDENT)
            row = self.log.outbox.put(draft, now=now, at=now + self.pace.hold)
        draft = Draft(f"incident:{incident.id}", {}, Rank.INCIDENT, incident.id, parent=row.id)
        self.log.outbox.put(draft, now=now)
        self._stormy.add(row.id)

    def _storms(self) -> None:
        """Bring the summary of a storm up to date, once for all that happened."""
        row = self.log.outbox.newest_like("storm:%") if self._stormy else None
        self._stormy.clear()
        if row is None:
            return
        members = [self.reader.incident(number) for number in self.log.outbox.folded(row.id)[:MEMBERS]]
        body = words.storm(members, row.body["since"])
        now = self.clock()
        draft = Draft(row.subject, {**body.data, "since": row.body["since"]}, Rank.INCIDENT)
        self.log.outbox.put(draft, now=now, at=now + 5 * self.pace.settle)
