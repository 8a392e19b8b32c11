"""The commands: plain questions and orders, answered from the log; none of them needs a model."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from cockpit.agent.communicator import asked_about, markdown
from cockpit.model import (
    CockpitError,
    IncidentStatus,
    Level,
    Proposal,
    ProposalState,
    Service,
)
from cockpit.serve.telegram import words
from cockpit.serve.telegram.body import LONGEST, Body, units
from cockpit.serve.telegram.teller import Teller
from cockpit.settings.daemon import Right
from cockpit.store.telegram import Person
from cockpit.text import counted

DAY = 86_400.0
UNITS = {"m": 60.0, "min": 60.0, "h": 3600.0, "d": DAY}
DURATION = re.compile(r"(\d{1,4})\s*(m|min|h|d)", re.IGNORECASE)
TIMELINE = 5000
"""Events of an incident that its document holds."""
MENU = (
    ("status", "How the services are"),
    ("incidents", "What is open"),
    ("incident", "One incident: /incident ID"),
    ("changes", "What was proposed and done lately"),
    ("undo", "Propose to put a change back: /undo ID"),
    ("silence", "Say nothing of a service: /silence SERVICE 2h"),
    ("freeze", "Stop all changes"),
    ("unfreeze", "Allow changes again"),
    ("report", "The last 24 hours"),
    ("help", "These commands"),
)
NEEDED = dict.fromkeys(("undo", "silence", "freeze", "unfreeze"), Right.APPROVE)
"""Rights that a command needs where `see` is not enough."""


@dataclass
class Commands:
    """Runs one command; what it changes is part of the transaction that is open."""

    teller: Teller
    clock: Callable[[], float] = time.time

    def run(self, name: str, words_: list[str], person: Person) -> list[Body]:
        """The answer to a command, in one or two messages; what stands in its way is the answer too."""
        known = dict(MENU)
        if name not in known:
            return [self._help(f"There is no command /{name}.")]
        if NEEDED.get(name, Right.SEE) not in person.rights:
            return [Body().add(f"{person.name} may not use /{name}.")]
        try:
            return getattr(self, f"_{name}")(words_, person) if name != "help" else [self._help("Commands")]
        except CockpitError as error:
            return [Body().add(str(error))]

    def _help(self, title: str) -> Body:
        return words.listing(title, [f"/{name}: {text}" for name, text in MENU])

    def _status(self, _: list[str], person: Person) -> list[Body]:
        watched = self.teller.reader.services()
        poor = [each for each in watched if each.health.level is not Level.UP]
        lines = [f"{each.health.level}: {each.service.name}. {each.health.summary}" for each in poor]
        pending = self.teller.reader.proposals(state=ProposalState.PENDING)
        lines += [f"❓ waits for a decision: {each.id}, {each.plan.summary}" for each in pending]
        frozen = self.teller.reader.frozen()
        lines += [f"Changes are frozen by {frozen}."] if frozen else []
        again = self.teller.log.outbox.again(self.clock())
        lines += [f"{counted(again, 'message')} that may not have arrived: sent again."] if again else []
        title = f"Services up: {len(watched) - len(poor)} of {len(watched)}"
        return [words.listing(title, lines, "Nothing waits for a person.")]

    def _incidents(self, _: list[str], person: Person) -> list[Body]:
        found = self.teller.reader.incidents(unresolved_only=True)
        lines = [
            f"{words.SIGNS[each.severity]} {each.id} {each.service} ({each.status}): {each.title}" for each in found
        ]
        return [words.listing(f"Open incidents: {len(found)}", lines, "No incident is open.")]

    def _incident(self, given: list[str], person: Person) -> list[Body]:
        return self.more_info(_number(given, "/incident ID"))

    def more_info(self, incident: int | None, proposal: Proposal | None = None) -> list[Body]:
        """Evidence and timeline, and the whole report as a document where that is longer than a message."""
        if incident is None:
            assert proposal is not None
            events = self.teller.reader.events(before=2**62, limit=200)
            about = [each for each in events if each.data.get("proposal") == proposal.id]
            return [words.more_info(None, (), about)]
        found = self.teller.reader.incident(incident)
        events = self.teller.reader.events(incident=incident, before=2**62, limit=words.LISTED)
        asked = asked_about(self.teller.reader, incident)
        body = words.more_info(found, self.teller.reader.runs(incident), events, asked)
        report = markdown(self.teller.reader, incident)
        if units(report) <= LONGEST // 2:
            return [body]
        document = Body(silent=True).add(f"The whole report on incident {incident}")
        document.document = {"name": f"incident-{incident}.md", "text": report}
        return [body, document]

    def _changes(self, _: list[str], person: Person) -> list[Body]:
        found = self.teller.reader.proposals(limit=words.LISTED)
        lines = [f"{each.id} {words.clock(each.created_at)} {words.settled_line(each)}" for each in found]
        return [words.listing("Changes, the newest first", lines, "Nothing was ever proposed.")]

    def _undo(self, given: list[str], person: Person) -> list[Body]:
        done = self.teller.reader.proposal(_number(given, "/undo ID"))
        undo = self.teller.engine.healer.undo(done, by=person.name)
        self.teller.log.asked_for(undo.id, person, self.clock())
        return [Body().add(f"Proposal {undo.id} would put back what proposal {done.id} did. It waits for a decision.")]

    def _silence(self, given: list[str], person: Person) -> list[Body]:
        length = DURATION.fullmatch("".join(given[1:]))
        if not given or not length:
            raise CockpitError("That is no service and time.", "Write it like: /silence postgres/main 2h")
        service = self.teller.engine.services.get(given[0], Service(given[0]))
        if service.name not in self.teller.engine.services:
            raise CockpitError(f"There is no service '{given[0]}'.", "/status lists those in trouble.")
        until = self.clock() + float(length[1]) * UNITS[length[2].lower()]
        self.teller.engine.store.mute(service.name, until, person.name, "asked for over Telegram")
        return [Body().add(f"Nothing is said of {service.name} until {words.clock(until)}.")]

    def _freeze(self, _: list[str], person: Person) -> list[Body]:
        self.teller.engine.store.freeze(person.name)
        return [Body().add("Changes are frozen. /unfreeze allows them again.")]

    def _unfreeze(self, _: list[str], person: Person) -> list[Body]:
        self.teller.engine.store.freeze(None, actor=person.name)
        return [Body().add("Changes are allowed again.")]

    def _report(self, _: list[str], person: Person) -> list[Body]:
        since = self.clock() - DAY
        incidents = [each for each in self.teller.reader.incidents(limit=1000) if each.updated_at >= since]
        opened = sum(each.opened_at >= since for each in incidents)
        resolved = sum((each.resolved_at or 0.0) >= since for each in incidents)
        waiting = sum(each.status in (IncidentStatus.WAITING, IncidentStatus.ESCALATED) for each in incidents)
        lines = [f"Incidents: {opened} opened, {resolved} resolved, {waiting} wait for a person"]
        found = [each for each in self.teller.reader.proposals(limit=1000) if each.created_at >= since]
        states = {state: sum(each.state is state for each in found) for state in ProposalState}
        told = ", ".join(f"{number} {state}" for state, number in states.items() if number)
        lines.append(f"Proposals: {told or 'none'}")
        lines += [f"{each.service}: {each.title}" for each in incidents if each.resolved_at is None]
        return [words.listing("The last 24 hours", lines)]


def _number(given: list[str], usage: str) -> int:
    if len(given) != 1 or not given[0].isascii() or not given[0].isdecimal() or len(given[0]) > 12:
        raise CockpitError("That is no number.", f"Write it like: {usage}")
    return int(given[0])
