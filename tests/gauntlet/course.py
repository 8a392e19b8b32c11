"""One fault of the lab, through the whole engine: seen, explained, approved, mended, verified, on the record."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cockpit.engine import Engine
from cockpit.lab.lab import Lab
from cockpit.lab.menu import Faults
from cockpit.lab.parts import Fault
from cockpit.model import Approval, Incident, IncidentStatus, Proposal, ProposalState, Verdict
from cockpit.settings import Settings
from cockpit.store.audit import verify
from cockpit.text import Redactor
from cockpit.toolkit import Registry

Found = TypeVar("Found")
PATIENCE = 90.0


class Course:
    """An engine over a lab of some servers, run in a thread as under the screen.

    Args:
        lab: the lab, already up.
        faults: the faults of its servers.
        data: where its log is kept.
    """

    def __init__(self, lab: Lab, faults: dict[str, Fault], data: Path) -> None:
        self.lab = lab
        self.faults = faults
        self.data = data
        data.chmod(0o700)
        settings = Settings(data_folder=data, services=tuple(lab.services()), operator="tester")
        self.engine = Engine(settings, Registry.discover(), Redactor(), lab=Faults(lab, faults))
        self.thread = threading.Thread(target=lambda: asyncio.run(self.engine.run()))

    def __enter__(self) -> Course:
        assert not self.engine.library.broken, self.engine.library.broken
        self.thread.start()
        self.until(lambda: all(watched.checked_at for watched in self.engine.reader.services()) or None)
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()
        self.engine.close()

    def run(self, name: str) -> Incident:
        """Inject a fault, approve what is proposed until it is resolved, and take the fault away again."""
        fault = self.faults[name]
        asyncio.run(fault.inject(self.lab))
        try:
            incident = self.until(lambda: self._of(fault))
            self.approve_until_resolved(incident.id)
            assert asyncio.run(fault.well(self.lab)), f"{name}: its client is not served"
            self.check(self.engine.reader.incident(incident.id), fault)
            return self.engine.reader.incident(incident.id)
        finally:
            asyncio.run(fault.clear(self.lab))
            self.until(lambda: None if self.engine.reader.incidents(unresolved_only=True) else True)

    def approve_until_resolved(self, incident: int) -> None:
        """Press approve on every proposal of the incident, as an operator who agrees."""

        def resolved() -> bool | None:
            for proposal in self.engine.reader.proposals(state=ProposalState.PENDING, incident=incident):
                if proposal.approval is Approval.HARD:
                    self.approve(proposal)
            status = self.engine.reader.incident(incident).status
            assert status is not IncidentStatus.ESCALATED, self.told(incident)
            return True if status is IncidentStatus.RESOLVED else None

        self.until(resolved, told=incident)

    def approve(self, proposal: Proposal) -> None:
        """Approve a proposal as it is shown."""
        asyncio.run(self.engine.decide(proposal.id, proposal.digest, Verdict.APPROVED, channel="keypress"))

    def check(self, incident: Incident, fault: Fault) -> None:
        """The right runbook, the right remedy, verified, and a log that holds together."""
        events = self.engine.reader.events(incident=incident.id, limit=10_000)
        assert fault.runbook in {event.data.get("runbook") for event in events}, self.told(incident.id)
        done = [p for p in self.engine.reader.proposals(incident=incident.id) if p.state is ProposalState.DONE]
        assert fault.remedy in {proposal.call.tool for proposal in done}, self.told(incident.id)
        for proposal in done:
            assert all(applied.finished_at for applied in self.engine.reader.applied(proposal.id))
        assert verify(self.data / "cockpit.db", self.data / "audit.key", [self.data / "audit.head"]) == []

    def told(self, incident: int) -> str:
        """The incident's timeline, for a test that fails."""
        events = self.engine.reader.events(incident=incident)
        return "\n".join(f"{e.at:.1f} {e.actor} {e.kind}: {e.text}" for e in events)

    def until(self, what: Callable[[], Found | None], told: int | None = None) -> Found:
        """Wait for what is looked for."""
        deadline = time.monotonic() + PATIENCE
        while (found := what()) is None:
            if time.monotonic() > deadline:
                raise AssertionError(self.told(told) if told else [e.text for e in self.engine.reader.events()][-20:])
            time.sleep(0.05)
        return found

    def _of(self, fault: Fault) -> Incident | None:
        open_now = self.engine.reader.incidents(unresolved_only=True)
        return next((incident for incident in open_now if incident.service == fault.service), None)
