"""Proposals and the decisions about them; every function works inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from cockpit.model import (
    JSON,
    Call,
    CockpitError,
    Decision,
    Plan,
    Proposal,
    ProposalState,
    Role,
    Verdict,
    canonical,
    digest,
)
from cockpit.store.rows import decision_from, plan_from, plan_json, proposal_from
from cockpit.store.transaction import Transaction, ids

OLDER = """
select id from proposal where state = 'pending' and service = ?
and ((incident is not null and incident = ?) or (incident is null and ? is null and digest = ?))
"""
APPROVE = "update proposal set state = 'approved' where id = ? and state = 'pending' and digest = ? and expires_at > ?"
DENY = "update proposal set state = 'denied' where id = ? and state = 'pending' and digest = ?"
EXPIRE = "update proposal set state = 'expired' where id = ? and state in ('pending', 'approved') and expires_at <= ?"
OVERDUE = (
    "select id, state, digest from proposal where state in ('pending', 'approved') and expires_at <= ? order by id"
)
SUPERSEDE = "update proposal set state = 'superseded', outcome = ? where id = ? and state in ('pending', 'approved')"
SETTLE = "update proposal set state = ?, outcome = ? where id = ? and state = ?"
UNSETTLED = "select 1 from change where proposal = ? and state in ('claimed', 'applying', 'verifying')"

BEFORE: Mapping[ProposalState, tuple[ProposalState, ...]] = {
    ProposalState.DONE: (ProposalState.EXECUTING, ProposalState.UNKNOWN),
    ProposalState.FAILED: (ProposalState.EXECUTING, ProposalState.UNKNOWN),
    ProposalState.UNKNOWN: (ProposalState.EXECUTING,),
    ProposalState.SUPERSEDED: (ProposalState.EXECUTING,),
}
"""From which states a proposal may be settled as what."""


def propose(log: Transaction, draft: Proposal) -> Proposal:
    """Store a proposal that waits; its id is given here. An older one for the same trouble is superseded.

    Raises CockpitError when the digest is not the plan's, or when the plan holds what may
    not be stored: what is shown later has to be, to the letter, what was approved.
    """
    call, plan = _storable(log, draft)
    for older in ids(log.all(OLDER, call.service, draft.incident, draft.incident, draft.digest)):
        supersede(log, older, "A newer proposal took its place.")
    proposal = log.insert(
        "proposal",
        incident=draft.incident,
        tool=call.tool,
        service=call.service,
        arguments=canonical(call.arguments),
        plan=canonical(plan_json(plan)),
        digest=draft.digest,
        approval=draft.approval,
        state=ProposalState.PENDING,
        created_at=float(draft.created_at),
        expires_at=float(draft.expires_at),
        reason=log.text(draft.reason),
        undoes=draft.undoes,
        policy=log.text(draft.policy),
        needs_name=draft.needs_name,
    )
    row = existing(log, proposal)
    data: Mapping[str, JSON] = {"approval": draft.approval, "expires_at": draft.expires_at, "undoes": draft.undoes}
    _tell(log, row, f"Proposed: {plan.summary}", Role.HEALER, at=draft.created_at, data=data)
    return proposal_from(row)


def _storable(log: Transaction, draft: Proposal) -> tuple[Call, Plan]:
    plan = plan_from(log.plain(plan_json(draft.plan)))
    arguments = log.plain(dict(draft.call.arguments))
    call = Call(log.text(draft.call.tool), log.text(draft.call.service), arguments)
    if digest(draft.call, draft.plan) != draft.digest:
        raise CockpitError("The digest is not that of the plan.", "Plan it again.")
    if digest(call, plan) != draft.digest:
        raise CockpitError(
            f"The plan of {call.tool} holds a secret or characters that cannot be shown, so it is not stored.",
            "Give secrets by reference, or make this change by hand.",
        )
    return call, plan


def decide(log: Transaction, decision: Decision) -> Decision:
    """Approve or deny a proposal that is still pending; whoever comes first decides. Raises CockpitError."""
    if decision.verdict is Verdict.APPROVED:
        changed = log.execute(APPROVE, decision.proposal, decision.digest, decision.at)
    elif decision.verdict is Verdict.DENIED:
        changed = log.execute(DENY, decision.proposal, decision.digest)
    else:
        raise CockpitError("Nobody decides that a proposal expires.", "It expires by itself at its deadline.")
    if changed != 1:
        raise _undecided(log, decision)
    return _record(log, decision)


def _record(log: Transaction, decision: Decision) -> Decision:
    """Write down a decision that was just made, with its event."""
    log.insert(
        "decision",
        proposal=decision.proposal,
        verdict=decision.verdict,
        actor=log.text(decision.by),
        channel=log.text(decision.channel),
        at=float(decision.at),
        digest=decision.digest,
        reason=log.text(decision.reason),
    )
    row, stored = existing(log, decision.proposal), log.row("decision", decision.proposal)
    assert stored is not None
    data: Mapping[str, JSON] = {
        "verdict": decision.verdict,
        "by": stored["actor"],
        "channel": stored["channel"],
        "reason": stored["reason"],
    }
    because = f": {stored['reason']}" if stored["reason"] else "."
    _tell(
        log,
        row,
        f"Proposal {decision.proposal} {decision.verdict} by {stored['actor']} ({stored['channel']}){because}",
        stored["actor"],
        at=decision.at,
        data=data,
        kind="decision",
    )
    return decision_from(stored)


def _undecided(log: Transaction, decision: Decision) -> CockpitError:
    """Why a decision did not count."""
    row = existing(log, decision.proposal)
    if row["state"] != ProposalState.PENDING:
        made = log.row("decision", decision.proposal)
        by = f" by {made['actor']} ({made['channel']})" if made else ""
        return CockpitError(f"Proposal {decision.proposal} is {row['state']} already{by}.", "Nothing was decided now.")
    if row["digest"] != decision.digest:
        return CockpitError(
            f"Proposal {decision.proposal} is not what was shown: its digest differs.", "Look at it again, then decide."
        )
    return CockpitError(f"Proposal {decision.proposal} has expired.", "Have it planned again.")


def expire(log: Transaction, now: float) -> list[int]:
    """End every proposal past its deadline, also one that was approved and not carried out in time."""
    expired = []
    for row in log.all(OVERDUE, now):
        if log.execute(EXPIRE, row["id"], now) != 1:
            continue
        expired.append(row["id"])
        if row["state"] == ProposalState.PENDING:
            reason = "Nobody decided in time."
            _record(log, Decision(row["id"], Verdict.EXPIRED, Role.POLICY, "deadline", now, row["digest"], reason))
        else:
            text = f"Proposal {row['id']} was approved, but not carried out before its deadline."
            _tell(log, existing(log, row["id"]), text, Role.POLICY, at=now)
    return expired


def supersede(log: Transaction, proposal: int, why: str) -> None:
    """Withdraw a proposal that is not being carried out yet. Raises CockpitError."""
    if log.execute(SUPERSEDE, log.text(why), proposal) != 1:
        raise _illegal(existing(log, proposal), ProposalState.SUPERSEDED)
    _tell(log, existing(log, proposal), f"Proposal {proposal} is withdrawn: {why}", Role.HEALER)


def settle(log: Transaction, proposal: int, state: ProposalState, outcome: str) -> None:
    """End a proposal that is being carried out, after all of its changes. Raises CockpitError."""
    row = existing(log, proposal)
    if row["state"] not in BEFORE.get(state, ()):
        raise _illegal(row, state)
    if log.one(UNSETTLED, proposal) is not None:
        raise CockpitError(f"Proposal {proposal} has changes that are not settled.", "Finish each of them first.")
    log.execute(SETTLE, state, log.text(outcome), proposal, row["state"])
    _tell(log, existing(log, proposal), f"Proposal {proposal} is {state}: {outcome}", Role.HEALER)


def existing(log: Transaction, proposal: int) -> sqlite3.Row:
    """The row of a proposal. Raises CockpitError when there is none."""
    row = log.row("proposal", proposal)
    if row is None:
        raise CockpitError(f"There is no proposal {proposal}.", "List them with: cockpit incidents")
    return row


def _illegal(row: sqlite3.Row, state: ProposalState) -> CockpitError:
    return CockpitError(f"Proposal {row['id']} is {row['state']} and cannot become {state}.", "Read it again.")


def _tell(
    log: Transaction,
    row: sqlite3.Row,
    text: str,
    actor: str,
    *,
    at: float | None = None,
    data: Mapping[str, JSON] | None = None,
    kind: str = "proposal",
) -> None:
    """Append the event of a step, which vouches for the proposal and its decision."""
    proposal = row["id"]
    vouches = [("proposal", proposal), *([("decision", proposal)] if kind == "decision" else [])]
    log.event(
        kind,
        text,
        actor=actor,
        at=at,
        incident=row["incident"],
        service=row["service"],
        data={"proposal": proposal, "digest": row["digest"], "state": row["state"], **(data or {})},
        vouches=vouches,
    )
