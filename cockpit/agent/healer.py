"""The healer: turns a diagnosis into a proposal, and what an operator asks for as well."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cockpit.model import (
    Approval,
    Call,
    CockpitError,
    Diagnosis,
    Plan,
    Proposal,
    ProposalState,
    Refused,
    Role,
    Service,
    Verdict,
    digest,
)
from cockpit.model.inquiries import Word
from cockpit.safety.executor import Executor
from cockpit.safety.policy import Ruling, judge, same_call
from cockpit.safety.word import corroborate, marked, on_its_word
from cockpit.store.store import Store
from cockpit.toolkit import Registry, plan, undo_plan

TRIED = (ProposalState.DONE, ProposalState.FAILED, ProposalState.DENIED, ProposalState.EXPIRED, ProposalState.UNKNOWN)
"""States of a proposal whose call is not proposed again for the same incident."""


@dataclass
class Healer:
    """Plans, asks the policy, and puts proposals into the store; it applies nothing itself."""

    registry: Registry
    store: Store
    services: Mapping[str, Service]
    executor: Executor
    clock: Callable[[], float] = time.time
    unasked: Collection[str] = ()
    """Tools that may be carried out on a model's word alone, where the policy asks for no more."""

    async def propose(self, diagnosis: Diagnosis) -> Proposal | None:
        """Propose the first of a diagnosis's calls that was not tried, can be planned and is allowed.

        Returns None when none is left; why each was passed over is written to the timeline.
        """
        tried = [p.call for p in self.proposals_now(diagnosis.incident) if p.state in TRIED]
        for number, call in enumerate(diagnosis.calls):
            if any(same_call(call, other) for other in tried):
                continue
            try:
                planned = await self.dry_run(call, diagnosis.word)
                reason = _reason(diagnosis, number)
                return self._put(call, planned, incident=diagnosis.incident, reason=reason, word=diagnosis.word)
            except CockpitError as error:
                text = f"{call.tool} is not proposed: {error}"
                self.store.note(Role.HEALER, "note", text, incident=diagnosis.incident, service=call.service)
        return None

    async def dry_run(self, call: Call, word: Word | None) -> Plan:
        """What a call would change now, with what has to be known of it where it is a model's word.

        Raises Refused when there is nothing to do or it may not be proposed, ServiceError when the target fails.
        """
        planned = await plan(self.registry, self._service(call.service), call)
        if not planned.changes:
            raise Refused(planned.summary)
        if word is None:
            return planned
        corroborate(planned, word)
        return marked(planned, call, word)

    def proposals_now(self, incident: int) -> list[Proposal]:
        """An incident's proposals since it was opened the last time, newest first: a new bout of it begins afresh."""
        firing = [raised.alert.starts_at for raised in self.store.reader.alerts(incident=incident, firing_only=True)]
        since = min(firing, default=0.0)
        if since > self.clock():
            since = 0.0  # the clock was set back: times do not tell what came after the alert
        return [p for p in self.store.reader.proposals(incident=incident) if p.created_at >= since]

    def decide_by_policy(self, pending: Sequence[Proposal]) -> None:
        """Approve what of these needs nobody: the policy's own decision, written down like any other."""
        for proposal in pending:
            if proposal.approval.rank < Approval.HARD.rank:
                self.store.decide(
                    proposal.id,
                    proposal.digest,
                    Verdict.APPROVED,
                    by=Role.POLICY,
                    channel="policy",
                    at=self.clock(),
                    reason=proposal.policy,
                )

    async def request(self, call: Call, *, by: str, reason: str) -> Proposal:
        """Propose a call that an operator asked for; it waits for a decision like any other.

        Raises Refused when there is nothing to do or it may not be done, ServiceError when the target fails.
        """
        planned = await plan(self.registry, self._service(call.service), call)
        if not planned.changes:
            raise Refused(f"There is nothing to do: {planned.summary}")
        return self._put(call, planned, incident=None, reason=reason or f"Asked for by {by}.", wait=True)

    def undo(self, done: Proposal, *, by: str) -> Proposal:
        """Propose to put back what a proposal applied. Raises Refused where there is no way back."""
        if done.state is not ProposalState.DONE:
            raise Refused(f"Proposal {done.id} is {done.state}; only what was done can be undone.")
        back = undo_plan(self.registry, done.plan)
        reason = f"Undo of proposal {done.id}, asked for by {by}."
        return self._put(done.call, back, incident=None, reason=reason, undoes=done.id, wait=True)

    def _put(
        self,
        call: Call,
        planned: Plan,
        *,
        incident: int | None,
        reason: str,
        undoes: int | None = None,
        wait: bool = False,
        word: Word | None = None,
    ) -> Proposal:
        ruling = self._rule(call, planned)
        if word is not None:
            ruling = on_its_word(ruling, call, word, self.unasked)
        if ruling.approval is Approval.FORBIDDEN:
            raise Refused(f"{call.tool} is forbidden. {ruling.why}")
        approval = max(ruling.approval, Approval.HARD if wait else Approval.NONE, key=lambda level: level.rank)
        now = self.clock()
        return self.store.propose(
            incident,
            call,
            planned,
            digest(call, planned),
            approval,
            now + self.executor.settings.deadline,
            reason=reason,
            policy=ruling.why,
            needs_name=ruling.needs_name,
            undoes=undoes,
            at=now,
        )

    def _rule(self, call: Call, planned: Plan) -> Ruling:
        service = self._service(call.service)
        record = self.executor.record(call, service)
        tool = self.registry.tool(call.tool)
        now = datetime.fromtimestamp(self.clock())
        return judge(self.executor.settings, tool, service, planned, record, now)

    def _service(self, name: str) -> Service:
        if name not in self.services:
            raise CockpitError(f"There is no service '{name}'.", f"Configured: {', '.join(sorted(self.services))}.")
        return self.services[name]


def _reason(diagnosis: Diagnosis, number: int) -> str:
    word = diagnosis.word
    why = word.whys[number] if word and number < len(word.whys) else ""
    return f"{diagnosis.cause} {why}".strip()
