"""The journal of changes that are carried out; every function works inside a transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from cockpit.model import Applied, ChangeState, CockpitError, ProposalState, Role, canonical, digest
from cockpit.store.proposals import existing
from cockpit.store.rows import applied_from, plan_json, proposal_from
from cockpit.store.transaction import Transaction

CLAIM = """
update proposal set state = 'executing'
where id = ? and state = 'approved' and digest = ? and expires_at > ? and not exists (
  select 1 from proposal as other left join change on change.proposal = other.id
  where other.state = 'executing'
  and (other.service in (select value from json_each(?)) or change.service in (select value from json_each(?))))
"""
OF_PROPOSAL = "select * from change where proposal = ? order by position"
MOVE = "update change set state = ?, outcome = ?, finished_at = ? where id = ? and state = ?"

UNSETTLED = (ChangeState.CLAIMED, ChangeState.APPLYING, ChangeState.VERIFYING)
BEFORE: Mapping[ChangeState, tuple[ChangeState, ...]] = {
    ChangeState.APPLYING: (ChangeState.CLAIMED,),
    ChangeState.VERIFYING: (ChangeState.APPLYING,),
    ChangeState.DONE: (ChangeState.APPLYING, ChangeState.VERIFYING, ChangeState.UNKNOWN),
    ChangeState.FAILED: (*UNSETTLED, ChangeState.UNKNOWN),
    ChangeState.SKIPPED: (ChangeState.CLAIMED,),
    ChangeState.UNKNOWN: (ChangeState.APPLYING, ChangeState.VERIFYING),
    ChangeState.UNDONE: (
        ChangeState.APPLYING,
        ChangeState.VERIFYING,
        ChangeState.DONE,
        ChangeState.FAILED,
        ChangeState.UNKNOWN,
    ),
}
"""From which states a change may move to which."""


def claim(log: Transaction, proposal: int, shown: str, now: float) -> list[Applied] | None:
    """Take an approved proposal to carry it out; None when somebody else did, or works on the same service.

    Raises CockpitError when the digest differs from the plan's or the deadline has passed.
    """
    row = existing(log, proposal)
    stored = proposal_from(row)
    if digest(stored.call, stored.plan) != shown or stored.digest != shown:
        raise CockpitError(
            f"Proposal {proposal} is not what was approved: its digest differs.", "Run: cockpit audit verify"
        )
    if stored.state is ProposalState.APPROVED and stored.expires_at <= now:
        raise CockpitError(f"The approval of proposal {proposal} has expired.", "Have it planned again.")
    services = canonical(sorted({stored.call.service, *(change.service for change in stored.plan.changes)}))
    if log.execute(CLAIM, proposal, shown, now, services, services) != 1:
        return None
    plan = plan_json(stored.plan)
    assert isinstance(plan, dict)
    changes = [
        log.insert(
            "change",
            proposal=proposal,
            position=position,
            service=change["service"],
            body=canonical(change),
            state=ChangeState.CLAIMED,
            claimed_at=float(now),
        )
        for position, change in enumerate(plan["changes"])
    ]
    _tell(log, existing(log, proposal), f"Proposal {proposal} is being carried out.", changes, at=now)
    return [applied_from(change) for change in log.all(OF_PROPOSAL, proposal)]


def move(log: Transaction, change: int, state: ChangeState, outcome: str = "", at: float | None = None) -> None:
    """Write the next step of a change. Raises CockpitError when it cannot follow the one before."""
    row = log.row("change", change)
    if row is None:
        raise CockpitError(f"There is no change {change}.", "List them with: cockpit changes")
    if row["state"] not in BEFORE.get(state, ()):
        raise CockpitError(f"Change {change} is {row['state']} and cannot become {state}.", "Read it again.")
    finished = (log.now if at is None else float(at)) if state.settled else None
    log.execute(MOVE, state, log.text(outcome), finished, change, row["state"])
    item = json.loads(row["body"])["item"]
    text = f"Change {change} ({item}) is {state}" + (f": {outcome}" if outcome else ".")
    _tell(log, existing(log, row["proposal"]), text, [change], at=at)


def _tell(log: Transaction, proposal: sqlite3.Row, text: str, changes: list[int], *, at: float | None = None) -> None:
    """Append the event of a step, which vouches for the proposal and these changes."""
    states = {str(change): row["state"] for change in changes if (row := log.row("change", change))}
    log.event(
        "change",
        text,
        actor=Role.HEALER,
        at=at,
        incident=proposal["incident"],
        service=proposal["service"],
        data={
            "proposal": proposal["id"],
            "digest": proposal["digest"],
            "state": proposal["state"],
            "changes": states,
        },
        vouches=[("proposal", proposal["id"]), *(("change", change) for change in changes)],
    )
