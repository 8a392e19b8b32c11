"""The executor: the only code that opens a client which can write.

policy → propose → (wait) → look again → journal `applying` on disk → apply within a time
limit → verify with patience → journal the outcome → on failure undo, or propose the undo.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cockpit.model import (
    JSON,
    Applied,
    Approval,
    Call,
    Change,
    ChangeState,
    CockpitError,
    Drifted,
    Plan,
    Proposal,
    ProposalState,
    Refused,
    Role,
    Service,
    ServiceError,
    Verdict,
    digest,
)
from cockpit.safety.deadlines import Deadlines
from cockpit.safety.policy import SAME_CALL_WITHIN, Record, judge, obstacle, same_call
from cockpit.settings import PolicySettings
from cockpit.store.store import Store
from cockpit.toolkit import Client, Registry, plan, programs, undo_plan
from cockpit.toolkit.invoke import limited
from cockpit.toolkit.items import Action, Resource, same

VERIFY_EVERY = 0.25
"""Seconds between two looks while a change is verified."""


@dataclass
class Executor:
    """Applies approved proposals, each at most once."""

    settings: PolicySettings
    registry: Registry
    store: Store
    services: Mapping[str, Service]
    deadlines: Deadlines
    clock: Callable[[], float] = time.time
    muted: Callable[[str], str] = lambda service: ""
    """Why nobody is told of a service now; empty when people are."""

    async def execute(self, proposal_id: int) -> Proposal:
        """Carry out an approved proposal, or settle why it is not.

        Returns the proposal as it stands afterwards. Raises CockpitError only when the store fails:
        whatever the target does is journalled as the outcome.
        """
        proposal = self.store.reader.proposal(proposal_id)
        if proposal.state is not ProposalState.APPROVED:
            return proposal
        try:
            await self._admit(proposal)
        except CockpitError as error:
            self.store.supersede(proposal.id, str(error))
            return self.store.reader.proposal(proposal_id)
        journal = self.store.claim(proposal.id, proposal.digest, self.clock())
        if journal is not None:
            await self._carry_out(proposal, journal)
        return self.store.reader.proposal(proposal_id)

    async def _admit(self, proposal: Proposal) -> None:
        """Look at everything again just before the first write. Raises CockpitError with the reason not to."""
        self._admit_approval(proposal)
        service = self._service(proposal.call.service)
        tool = self.registry.tool(proposal.call.tool)
        record = self.record(proposal.call, service)
        if reason := obstacle(self.settings, tool, record, undo=proposal.undoes is not None):
            raise Refused(reason)
        decision = self.store.reader.decision(proposal.id)
        ruling = judge(self.settings, tool, service, proposal.plan, record, datetime.fromtimestamp(self.clock()))
        if decision and decision.by == Role.POLICY and ruling.approval.rank >= Approval.HARD.rank:
            raise Refused(f"It needs a person now: {ruling.why}")
        for change in proposal.plan.changes:
            if change.item not in tool.uses:
                raise Refused(f"{tool.name} may not change {change.item}.")
        if proposal.undoes is None:
            await self._still_wanted(proposal, service)
        for change in proposal.plan.changes:
            await self._undrifted(change)

    def _admit_approval(self, proposal: Proposal) -> None:
        if digest(proposal.call, proposal.plan) != proposal.digest:
            raise Refused("What is stored is not what was approved: the digest differs.")
        decision = self.store.reader.decision(proposal.id)
        if decision is None or decision.verdict is not Verdict.APPROVED or decision.digest != proposal.digest:
            raise Refused("No decision approves exactly this change.")
        if self.deadlines.passed(proposal):
            raise Refused("Its deadline passed before it could be applied.")

    async def _still_wanted(self, proposal: Proposal, service: Service) -> None:
        again = await plan(self.registry, service, proposal.call)
        if not again.changes:
            raise Refused(f"Nothing is left to do: {again.summary}")

    async def _undrifted(self, change: Change) -> None:
        now = await self._read(change)
        if not same(now, change.before):
            raise Drifted(
                f"{change.service} {change.item} changed since it was shown.", "A new proposal shows it as it is now."
            )

    async def _carry_out(self, proposal: Proposal, journal: Sequence[Applied]) -> None:
        for number, applied in enumerate(journal):
            state = await self._apply(applied)
            if state is not ChangeState.DONE:
                for later in journal[number + 1 :]:
                    self.store.finish(later.id, ChangeState.SKIPPED, "An earlier change failed.", self.clock())
                await self._way_back(proposal, journal[:number], state)
                return
        self.store.settle(proposal.id, ProposalState.DONE, "Applied and verified.")

    async def _apply(self, applied: Applied) -> ChangeState:
        change = applied.change
        self.store.applying(applied.id)
        failure = ""
        try:
            await self._write(change)
        except CockpitError as error:
            failure = str(error)
        self.store.verifying(applied.id)
        state, outcome = await self.verdict(change, failure)
        self.store.finish(applied.id, state, outcome, self.clock())
        return state

    async def verdict(self, change: Change, failure: str = "") -> tuple[ChangeState, str]:
        """What came of a change, read from its target with a connection of its own, with patience.

        Returns DONE when the target shows it; FAILED when the target is as it was before;
        UNKNOWN when it shows neither, or cannot be asked.
        """
        item = self._item(change)
        give_up = time.monotonic() + (VERIFY_EVERY if failure else item.patience)
        last = ""
        while True:
            try:
                async with self._reading(change) as reader:
                    if await item.holds(reader, change):
                        return ChangeState.DONE, f"Verified: {change.verification}"
                last = "The target does not show the change"
            except CockpitError as error:
                last = str(error)
            if time.monotonic() >= give_up:
                return await self._not_done(change, failure or last)
            await asyncio.sleep(VERIFY_EVERY)

    async def _not_done(self, change: Change, reason: str) -> tuple[ChangeState, str]:
        try:
            now = await self._read(change)
        except CockpitError as error:
            return ChangeState.UNKNOWN, f"{reason}. The target could not be read: {error.what}"
        if same(now, change.before):
            return ChangeState.FAILED, f"Not applied, the target is as it was: {reason}"
        return ChangeState.UNKNOWN, f"The target is neither as before nor as wanted: {reason}"

    async def _way_back(self, proposal: Proposal, done: Sequence[Applied], state: ChangeState) -> None:
        """Undo what was applied of a plan that failed half-way; propose it where that is not allowed."""
        settled = ProposalState.UNKNOWN if state is ChangeState.UNKNOWN else ProposalState.FAILED
        if not done:
            self.store.settle(proposal.id, settled, "Not applied.")
            return
        partial = Plan(proposal.plan.summary, tuple(applied.change for applied in done))
        try:
            back = undo_plan(self.registry, partial)
        except Refused as error:
            self.store.settle(proposal.id, settled, f"Applied in part. {error.what}")
            return
        if not self.settings.undo_on_failure:
            self._propose_undo(proposal, back)
            self.store.settle(proposal.id, settled, "Applied in part; the undo is proposed.")
            return
        outcome = await self._put_back(back, list(reversed(done)))
        self.store.settle(proposal.id, settled, outcome)

    async def _put_back(self, back: Plan, done: Sequence[Applied]) -> str:
        for change, applied in zip(back.changes, done, strict=True):
            try:
                await self._undrifted(change)
                await self._write(change)
            except ServiceError as error:
                return f"Applied in part, and the undo failed: {error.what}"
            except Drifted as error:
                return f"Applied in part, and not undone: {error.what}"
            state, outcome = await self.verdict(change)
            if state is not ChangeState.DONE:
                return f"Applied in part, and the undo was not verified: {outcome}"
            self.store.finish(applied.id, ChangeState.UNDONE, "Put back after a later change failed.", self.clock())
        return "A change failed; what was applied before it was put back."

    def _propose_undo(self, proposal: Proposal, back: Plan) -> None:
        self.store.propose(
            proposal.incident,
            proposal.call,
            back,
            digest(proposal.call, back),
            Approval.HARD,
            self.clock() + self.settings.deadline,
            reason=f"Puts back what proposal {proposal.id} applied before it failed.",
            policy="An undo after a failure waits for a person.",
            undoes=proposal.id,
            at=self.clock(),
        )

    def record(self, call: Call, service: Service) -> Record:
        """What was done lately, as the limits for this call on this target see it."""
        reader, now = self.store.reader, self.clock()
        lately = [
            other
            for other in reader.proposals(state=ProposalState.DONE)
            if other.undoes is None and other.created_at > now - SAME_CALL_WITHIN
        ]
        return Record(
            changes_last_hour=reader.changes_since(now - 3600.0),
            failures_on_target=reader.failures(service.name, now - self.settings.pause_seconds),
            same_call_lately=any(same_call(other.call, call) for other in lately),
            frozen_by=reader.frozen(),
            muted=self.muted(service.name),
        )

    async def _write(self, change: Change) -> None:
        """Hand the change to a client that can write: the one place where that happens."""
        item, service = self._item(change), self._service(change.service)
        writer = self.registry.kind(service.kind).writer(service)
        async with limited(item.timeout, f"Changing {change.service} {change.item}"), writer as client:
            with programs.noted_in(self.programs):
                await item.apply(client, change)

    async def _read(self, change: Change) -> JSON:
        async with self._reading(change) as reader:
            return await self._item(change).read(reader, change.key)

    @asynccontextmanager
    async def _reading(self, change: Change) -> AsyncIterator[Client]:
        """A connection of its own to the target, that cannot write."""
        service = self._service(change.service)
        reader = self.registry.kind(service.kind).reader(service)
        async with limited(service.timeout, f"Reading {change.service} {change.item}"), reader as client:
            yield client

    @property
    def programs(self) -> Path:
        """Where the programs that carry out a change are written down."""
        return self.store.path.with_name(programs.FOLDER)

    def _item(self, change: Change) -> Resource | Action:
        return self.registry.item(change.service.partition("/")[0], change.item)

    def _service(self, name: str) -> Service:
        if name not in self.services:
            raise Refused(f"{name} is no longer configured.")
        return self.services[name]
