"""The figures of the log: how things stand in one snapshot, and the steps that running totals are made of."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cockpit.model import JSON, IncidentStatus, ProposalState

Fetch = Callable[..., list[sqlite3.Row]]

STANDING = """
select 'last_event' as what, '' as name, coalesce(max(id), 0) as number from event
union all select 'reports', '', coalesce(sum(times), 0) from alert where resolved_at is null
union all select 'incident', status, count(*) from incident where status <> 'resolved' group by status
union all select 'incidents', '', count(*) from incident
union all select 'proposal', state, count(*) from proposal group by state
"""
STEPS = """
select event.id, event.at, event.incident, event.actor, event.kind, event.data,
  coalesce(run.seconds, model_call.seconds) as seconds, alert.times,
  proposal.tool, proposal.created_at, proposal.undoes,
  (select min(claimed_at) from change where change.proposal = proposal.id) as claimed_at,
  model_call.model, model_call.outcome, model_call.input_tokens, model_call.output_tokens, model_call.dollars
from event
left join run on event.kind = 'run' and run.id = json_extract(event.data, '$.run')
left join alert on event.kind = 'alert' and alert.id = json_extract(event.data, '$.alert')
left join proposal on event.kind in ('proposal', 'decision', 'change')
  and proposal.id = json_extract(event.data, '$.proposal')
left join model_call on event.kind = 'model' and model_call.id = json_extract(event.data, '$.call')
where event.id > ? and event.id <= ?
  and event.kind in ('alert', 'status', 'run', 'diagnosis', 'proposal', 'decision', 'change', 'model')
order by event.id limit ?
"""
# What is overdue was due once: a message that rests until the morning is not, one that is tried again is.
QUEUES = """
select 'telegram' as channel, 'waiting' as state, count(*) as number,
  min(put_at) filter (where next_at <= ? or attempts > 0) as overdue_since
from outbox where state = 'waiting' and version > sent
union all select channel, state, count(*),
  min(max(created_at, not_before)) filter (where state <> 'held' and (not_before <= ? or attempts > 0))
from notice where finished_at is null group by channel, state
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How many there are of what, all at the same moment."""

    last_event: int
    incidents: Mapping[str, int]
    """By status, every status named."""
    proposals: Mapping[str, int]
    """By state, every state named."""
    firing_reports: int
    """How often the alerts that fire now were reported; those that were cleared are told by their steps."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The messages in one state that wait to be told over one channel."""

    channel: str
    state: str
    number: int
    overdue_since: float | None
    """Since when the oldest of those waits that should have been told; None when none should."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event that counts, with what it is about; a field is None where the event is about nothing of the sort."""

    id: int
    at: float
    incident: int | None
    actor: str
    kind: str
    data: Mapping[str, JSON]
    seconds: float | None
    """What the run, or the call of a model, took."""
    reports: int | None
    """How often the alert was reported."""
    tool: str | None
    """The remediation that is proposed."""
    proposed_at: float | None
    claimed_at: float | None
    """When the proposal's changes were taken to be carried out."""
    undoes: int | None
    model: str | None
    """The model that was called."""
    outcome: str | None
    """What came of that call."""
    tokens: tuple[int, int]
    """Those it took and gave."""
    dollars: float
    """What it cost."""


def standing(fetch: Fetch) -> Standing:
    """How things stand; one statement, so that no number is of another moment than the last event."""
    found = {(row["what"], row["name"]): int(row["number"]) for row in fetch(STANDING)}
    incidents = {str(status): found.get(("incident", status), 0) for status in IncidentStatus}
    incidents[IncidentStatus.RESOLVED] = found["incidents", ""] - sum(incidents.values())
    proposals = {str(state): found.get(("proposal", state), 0) for state in ProposalState}
    return Standing(found["last_event", ""], incidents, proposals, found["reports", ""])


def queue_from(row: sqlite3.Row) -> Queue:
    """A queue from its row."""
    return Queue(row["channel"], row["state"], row["number"], row["overdue_since"])


def step_from(row: sqlite3.Row) -> Step:
    """A step from its row."""
    return Step(
        id=row["id"],
        at=row["at"],
        incident=row["incident"],
        actor=row["actor"],
        kind=row["kind"],
        data=json.loads(row["data"]),
        seconds=row["seconds"],
        reports=row["times"],
        tool=row["tool"],
        proposed_at=row["created_at"],
        claimed_at=row["claimed_at"],
        undoes=row["undoes"],
        model=row["model"],
        outcome=row["outcome"],
        tokens=(row["input_tokens"] or 0, row["output_tokens"] or 0),
        dollars=row["dollars"] or 0.0,
    )
