"""The loop: hands every incident along its one way, from what is in the store to what it leaves there.

alert → incident → investigation → diagnosis → proposal → decision → change → verification →
resolved. Each step reads the store and writes its result to it, so a restart goes on from
the last one, and a decision counts the same whichever process it was taken in.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cockpit.agent.analyst import Analyst
from cockpit.agent.healer import Healer
from cockpit.agent.heartbeats import Heartbeats
from cockpit.agent.housekeeping import Housekeeping
from cockpit.agent.monitor import Monitor
from cockpit.agent.runbooks import CONFIDENT
from cockpit.model import Diagnosis, Incident, IncidentStatus, Proposal, ProposalState, Role, Service
from cockpit.safety.executor import Executor
from cockpit.safety.recovery import recover
from cockpit.store.connection import StoreError
from cockpit.store.store import Store

if TYPE_CHECKING:
    from cockpit.agent.asking import Asking
    from cockpit.model.inquiries import Inquiry

POLL = 0.5
"""Seconds between two looks for decisions that another process took."""
STEP_EVERY = 1.0
"""Seconds between two steps while the recovery of a service is awaited."""
REST = 10.0
"""Seconds between two steps at the most: nothing should be missed without one, and if it is, not for long."""
LOOK_AGAIN = (0.0, 1.5, 3.0)
"""Seconds before each investigation of an incident that no runbook explained yet: readings may lag."""
PATIENCE = 6.0
"""Seconds that a condition has to clear after a verified change, at the least; else three probes."""
LETS_END = 3.0
"""Seconds that a change which is being applied has to come to its end when the agent is told to end."""
DRIFTS = 3
"""Proposals of one incident that the world may overtake before a person is asked."""


@dataclass
class Agent:
    """Runs monitor, analyst, healer and executor until it is cancelled."""

    store: Store
    services: Mapping[str, Service]
    monitor: Monitor
    analyst: Analyst
    healer: Healer
    executor: Executor
    changed: asyncio.Event
    """Set when there is news here; the loop then looks at once."""
    heartbeats: Heartbeats | None = None
    asking: Asking | None = None
    """Asks models about what no runbook explains; None while none is configured."""
    clock: Callable[[], float] = time.time
    stepped_at: float | None = None
    """When it last took a step, or saw that there was none to take, by the monotonic clock."""
    _failed: StoreError | None = None
    _busy: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _attempts: dict[int, int] = field(default_factory=dict)
    _seen_alerts: dict[int, frozenset[str]] = field(default_factory=dict)
    _watching_since: dict[int, float] = field(default_factory=dict)
    _pending: Sequence[Proposal] = ()
    """Those that wait for a decision, as of the last step."""

    def wake(self) -> None:
        """Look at the store now instead of at the next poll."""
        self.changed.set()

    async def run(self) -> None:
        """Settle what a crash left, then probe, and hand incidents along, until cancelled."""
        await recover(self.executor)
        if self.asking:
            self.asking.settle()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.monitor.run())
                if self.heartbeats:
                    group.create_task(self.heartbeats.run())
                group.create_task(Housekeeping(self.store, self.clock).run())
                await self._hand_along()
        finally:
            with contextlib.suppress(StoreError):
                await self._let_changes_end()
            for task in self._busy.values():
                task.cancel()

    async def _let_changes_end(self) -> None:
        """Wait a little for what is being applied; what takes longer stays in the journal and is looked at later."""
        until = time.monotonic() + LETS_END
        while self._busy and self.store.reader.unsettled() and time.monotonic() < until:
            await asyncio.wait(self._busy.values(), timeout=0.05)

    async def _hand_along(self) -> None:
        while True:
            known = self.store.reader.last_event()
            self.step()
            await self._news(known)

    async def _news(self, known: int) -> None:
        """Return when something happened here, when there are events after the known one, or when time asks for it."""
        again_at = time.monotonic() + (STEP_EVERY if self._watching_since else REST)
        while not self.changed.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self.changed.wait()
            if (
                self.store.reader.last_event() != known
                or time.monotonic() >= again_at
                or any(map(self._late, self._pending))
            ):
                break
            self.stepped_at = time.monotonic()
        self.changed.clear()

    def _late(self, proposal: Proposal) -> bool:
        return self.executor.deadlines.passed(proposal)

    def step(self) -> None:
        """Take every arrow that can be taken now; what needs time goes on in the background.

        Raises StoreError when the log cannot be written, also by what went on in the background: what that
        left half-way is settled by the next agent's start.
        """
        if self._failed:
            raise self._failed
        self._pending = self._expire(self.store.reader.proposals(state=ProposalState.PENDING))
        self.healer.decide_by_policy(self._pending)
        for proposal in self.store.reader.proposals(state=ProposalState.APPROVED):
            self._start(f"execute {proposal.call.service}", self._execute(proposal))
        for inquiry in self.asking.open() if self.asking else ():
            self._take_up(inquiry)
        for incident in self.store.reader.incidents(unresolved_only=True):
            if incident.service in self.services:
                self._step(incident)
            else:
                self._step_foreign(incident)
        self.stepped_at = time.monotonic()

    def _step(self, incident: Incident) -> None:
        firing = self._firing(incident)
        proposals = self.healer.proposals_now(incident.id)
        latest = proposals[0] if proposals else None
        if latest and latest.state in (ProposalState.APPROVED, ProposalState.EXECUTING):
            self._to(incident, IncidentStatus.CHANGING, f"Proposal {latest.id} is being applied.")
        elif not firing:
            self._resolve(incident, latest)
        elif latest and latest.state is ProposalState.PENDING and self._graver(incident, firing):
            self.store.supersede(latest.id, "A graver alert joined its incident.")
        elif latest and latest.state is ProposalState.PENDING:
            self._to(incident, IncidentStatus.WAITING, f"Proposal {latest.id} waits for a decision.")
        elif incident.status is IncidentStatus.ESCALATED:
            self._reconsider(incident, firing)
        elif incident.status in (IncidentStatus.WAITING, IncidentStatus.CHANGING, IncidentStatus.WATCHING) and latest:
            self._after(incident, proposals)
        else:
            self._investigate(incident, firing)

    def _step_foreign(self, incident: Incident) -> None:
        """Nothing here can look at its service: a person is told, and it ends when its alerts do."""
        if not self.store.reader.fires(incident.id):
            self._resolve(incident, None)
        elif incident.status is IncidentStatus.OPEN:
            self._escalate(incident, "A person is needed: its service is not one that cockpit can look at.")

    def _after(self, incident: Incident, proposals: Sequence[Proposal]) -> None:
        """The condition still holds, and the last proposal has come to an end."""
        latest = proposals[0]
        overtaken = sum(proposal.state is ProposalState.SUPERSEDED for proposal in proposals)
        if latest.state is ProposalState.DONE:
            self._wait_for_recovery(incident, latest)
        elif latest.state is ProposalState.SUPERSEDED and overtaken >= DRIFTS:
            self._escalate(
                incident, f"{overtaken} proposals were overtaken by events, the last because: {latest.outcome}"
            )
        elif latest.state in (ProposalState.SUPERSEDED, ProposalState.FAILED):
            self._attempts.pop(incident.id, None)
            self._to(incident, IncidentStatus.OPEN, f"Proposal {latest.id} came to nothing: {latest.outcome}")
            self.wake()
        elif latest.state is ProposalState.UNKNOWN:
            self._escalate(incident, f"What came of proposal {latest.id} is unknown: {latest.outcome}")
        else:
            self._escalate(incident, f"Proposal {latest.id} was {latest.state}; nothing else is tried unasked.")

    def _wait_for_recovery(self, incident: Incident, latest: Proposal) -> None:
        self._to(
            incident, IncidentStatus.WATCHING, f"Proposal {latest.id} is verified; waiting for the condition to clear."
        )
        since = self._watching_since.setdefault(incident.id, time.monotonic())
        interval = self.services[incident.service].interval
        if time.monotonic() - since > max(PATIENCE, 3 * interval):
            self._watching_since.pop(incident.id)
            self._attempts.pop(incident.id, None)
            self._to(incident, IncidentStatus.OPEN, f"Proposal {latest.id} did not help: its condition still holds.")
            self.wake()

    def _resolve(self, incident: Incident, latest: Proposal | None) -> None:
        if latest and latest.state is ProposalState.PENDING:
            self.store.supersede(latest.id, "The condition cleared before anyone decided.")
        by_us = latest is not None and latest.state is ProposalState.DONE
        text = (
            f"Resolved: its conditions cleared after proposal {latest.id}."
            if by_us and latest
            else "Resolved: cleared by itself."
        )
        self.store.advance(incident.id, IncidentStatus.RESOLVED, actor=Role.MONITOR, text=text)
        if self.asking:
            self.asking.over(incident)
        for known in (self._attempts, self._seen_alerts, self._watching_since):
            known.pop(incident.id, None)

    def _reconsider(self, incident: Incident, firing: frozenset[str]) -> None:
        """A person was asked for; new alerts are new evidence."""
        if firing - self._seen_alerts.setdefault(incident.id, firing):
            self._seen_alerts[incident.id] = firing
            self._attempts.pop(incident.id, None)
            self._to(incident, IncidentStatus.OPEN, "New alerts joined it: looking again.")
            self.wake()

    def _graver(self, incident: Incident, firing: frozenset[str]) -> bool:
        """Whether an alert joined that is graver than all that were looked into: their remedy is beside the point."""
        known = self._seen_alerts.setdefault(incident.id, firing)
        if firing <= known:
            return False
        alerts = [raised.alert for raised in self.store.reader.alerts(incident=incident.id, firing_only=True)]
        before = max((alert.severity.rank for alert in alerts if alert.fingerprint in known), default=-1)
        return any(alert.severity.rank > before for alert in alerts if alert.fingerprint not in known)

    def _investigate(self, incident: Incident, firing: frozenset[str]) -> None:
        self._seen_alerts[incident.id] = firing
        self._start(f"investigate {incident.id}", self._find_out(incident))

    async def _find_out(self, incident: Incident) -> None:
        """Diagnose, then propose; what no runbook explains after some looks is a person's."""
        attempt = self._attempts.get(incident.id, 0)
        await asyncio.sleep(LOOK_AGAIN[min(attempt, len(LOOK_AGAIN) - 1)])
        self._attempts[incident.id] = attempt + 1
        if not self._firing(incident):
            return
        self._to(incident, IncidentStatus.INVESTIGATING, "Looking for the cause.")
        found = await self.analyst.investigate(incident)
        sure = [diagnosis for diagnosis in found if diagnosis.confidence >= CONFIDENT]
        for diagnosis in sure:
            proposal = await self.healer.propose(diagnosis)
            if proposal is not None:
                self._to(incident, IncidentStatus.WAITING, f"The healer proposes {proposal.call.tool}.", diagnosis)
                return
        best = found[0] if found else None
        if sure or self.asking is None:
            if sure or attempt + 1 >= len(LOOK_AGAIN):
                self._escalate(incident, _advice(best), best)
            return
        self.asking.warm()
        if attempt + 1 >= len(LOOK_AGAIN) or self.asking.at_once(incident):
            await self._hear(incident, best, *await self.asking.explain(incident))

    def _take_up(self, inquiry: Inquiry) -> None:
        """Work on an inquiry that may begin, whoever opened or allowed it."""
        assert self.asking
        incident = self.store.reader.incident(inquiry.incident) if inquiry.incident else None
        if inquiry.question or incident is None:
            self._start(f"inquiry {inquiry.id}", self.asking.answer(inquiry))
        elif incident.service in self.services:
            self._start(f"investigate {incident.id}", self._look_into(inquiry, incident))

    async def _look_into(self, inquiry: Inquiry, incident: Incident) -> None:
        assert self.asking
        self._to(incident, IncidentStatus.INVESTIGATING, "A model looks for the cause.")
        await self._hear(incident, None, *await self.asking.look_into(inquiry, incident))

    async def _hear(self, incident: Incident, best: Diagnosis | None, heard: Diagnosis | None, text: str) -> None:
        """Propose what a model's diagnosis leads to; else it is a person's, with the best guess there is."""
        if not self._firing(incident):
            return
        if heard and heard.confidence >= CONFIDENT:
            proposal = await self.healer.propose(heard)
            if proposal is not None:
                text = f"The healer proposes {proposal.call.tool}, on a model's word."
                self._to(incident, IncidentStatus.WAITING, text, heard)
                return
        self._escalate(incident, f"{_advice(heard or best)} {text}".strip(), heard or best)

    async def _execute(self, proposal: Proposal) -> None:
        self.executor.deadlines.passed(proposal)
        done = await self.executor.execute(proposal.id)
        self.executor.deadlines.forget(proposal.id)
        if done.state is ProposalState.DONE:
            await self._look_twice(proposal.call.service)

    async def _look_twice(self, service: str) -> None:
        """Recovery is read by the probe, with its own connection, more than once."""
        self.wake()
        for _ in range(3):
            await self.monitor.look(service)
            await asyncio.sleep(0.6)

    def _firing(self, incident: Incident) -> frozenset[str]:
        return self.store.reader.firing(incident.id)

    def _to(self, incident: Incident, status: IncidentStatus, text: str, diagnosis: Diagnosis | None = None) -> None:
        if incident.status is not status or diagnosis:
            cause, runbook = (diagnosis.cause, diagnosis.runbook) if diagnosis else ("", "")
            self.store.advance(incident.id, status, actor=Role.HEALER, text=text, cause=cause, runbook=runbook)

    def _escalate(self, incident: Incident, text: str, diagnosis: Diagnosis | None = None) -> None:
        cause, runbook = (diagnosis.cause, diagnosis.runbook) if diagnosis else ("", "")
        self.store.advance(
            incident.id, IncidentStatus.ESCALATED, actor=Role.COMMUNICATOR, text=text, cause=cause, runbook=runbook
        )

    def _expire(self, pending: Sequence[Proposal]) -> Sequence[Proposal]:
        """End those whose deadline has passed; returns the others."""
        late = [proposal for proposal in pending if self._late(proposal)]
        for proposal in late:
            self.store.expire(max(self.clock(), proposal.expires_at))
            self.executor.deadlines.forget(proposal.id)
        return [proposal for proposal in pending if proposal not in late]

    def _start(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Run something in the background, once at a time under its name."""
        if name in self._busy:
            work.close()
            return
        task = asyncio.create_task(work, name=name)
        self._busy[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self._busy.pop(name, None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StoreError):
            self._failed = error
        elif error:
            self.store.note(Role.COMMUNICATOR, "note", f"'{name}' failed: {error}")
        self.wake()


def _advice(diagnosis: Diagnosis | None) -> str:
    if diagnosis is None:
        return "A person is needed: no runbook explains it."
    if diagnosis.confidence < CONFIDENT:
        return f"A person is needed. A guess: {diagnosis.cause}"
    return f"A person is needed: {diagnosis.advice or 'every call for this cause was tried or refused.'}"
