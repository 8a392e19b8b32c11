"""Shows one incident or proposal as a person reads it."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from cockpit.cli import output
from cockpit.cli.exits import OK
from cockpit.cli.opening import reading, settings_of
from cockpit.cli.reading import told
from cockpit.model import CockpitError, Event, Incident, Plan, Proposal, ProposalState
from cockpit.store.reader import Reader
from cockpit.text import counted
from widgets.figures import duration, moment

EVENTS = 5000
"""Events of one incident that are shown at the most, the newest ones."""


def show(arguments: Namespace) -> int:
    """Show an incident with its timeline, evidence and proposals; or one proposal."""
    with reading(settings_of(arguments, whole=False)) as reader:
        if reader is None:
            raise CockpitError("Nothing was ever recorded.", "Start the agent with: cockpit")
        if arguments.proposal:
            _proposal(reader, reader.proposal(arguments.id), json=arguments.json)
        elif arguments.sent:
            from cockpit.cli.models import sent

            sent(reader, reader.incident(arguments.id).id, as_json=arguments.json)
        else:
            _incident(reader, reader.incident(arguments.id), json=arguments.json)
    return OK


def plan_text(plan: Plan) -> Iterator[str]:
    """Everything an approval of the plan covers, as the screen shows it."""
    from widgets.line import plain
    from widgets.plan import plan_lines

    return (plain(line).rstrip() for line in plan_lines(plan, 100))


def proposal_text(reader: Reader, proposal: Proposal) -> Iterator[str]:
    """A proposal with its plan, its digest, and what was decided and came of it."""
    yield f"Proposal {proposal.id}: {proposal.plan.summary}"
    yield f"State     {proposal.state}" + (f": {proposal.outcome}" if proposal.outcome else "")
    yield f"Why       {proposal.reason}"
    yield f"Approval  {proposal.approval}" + (f": {proposal.policy}" if proposal.policy else "")
    yield f"Digest    {proposal.digest}"
    yield from plan_text(proposal.plan)
    if decision := reader.decision(proposal.id):
        reason = f": {decision.reason}" if decision.reason else ""
        yield f"Decided   {decision.verdict} by {decision.by}, {decision.channel}, {_when(decision.at)}{reason}"
    for applied in reader.applied(proposal.id):
        yield f"Change {applied.position + 1}  {applied.state}" + (f": {applied.outcome}" if applied.outcome else "")
    if proposal.state is ProposalState.PENDING:
        yield f"Decide with: cockpit approve {proposal.id}  or  cockpit deny {proposal.id}"


def _proposal(reader: Reader, proposal: Proposal, *, json: bool) -> None:
    if json:
        output.as_json(proposal=told(reader, proposal))
        return
    for line in proposal_text(reader, proposal):
        output.line(line)


def _incident(reader: Reader, incident: Incident, *, json: bool) -> None:
    events = reader.events(before=sys.maxsize, incident=incident.id, limit=EVENTS)
    older = reader.earlier(events[0]) if len(events) == EVENTS else 0
    runs = reader.runs(incident.id)
    proposals = reader.proposals(incident=incident.id)[::-1]
    asked = any(event.kind == "inquiry" for event in events)
    if json:
        output.as_json(
            incident=asdict(incident),
            alerts=[asdict(raised) for raised in reader.alerts(incident=incident.id)],
            older_events=older,
            events=[asdict(event) for event in events],
            runs=[asdict(run) for run in runs],
            proposals=[told(reader, proposal) for proposal in proposals],
            **_inquiries(reader, incident.id) if asked else {},
        )
        return
    output.line(f"Incident {incident.id}: {incident.title}")
    output.line(f"{incident.service}, {incident.severity}, {incident.status}, since {_when(incident.opened_at)}")
    if incident.cause:
        output.line(f"Cause: {incident.cause}")
    _timeline(incident, events, older)
    output.line("\nEvidence" if runs else "")
    for run in runs:
        output.line(f"  run {run.id}  {run.call.tool} ({duration(run.seconds)}): {run.summary}")
    if asked:
        from cockpit.cli.models import lines

        for line in lines(reader, incident.id):
            output.line(line)
    for proposal in proposals:
        output.line()
        for line in proposal_text(reader, proposal):
            output.line(line)


def _timeline(incident: Incident, events: Sequence[Event], older: int) -> None:
    output.line("\nTimeline")
    if older:
        output.line(f"  … {counted(older, 'older event')}, all in: cockpit export {incident.id}")
    for event in events:
        output.line(f"  {_when(event.at)}  {event.actor}: {event.text}")


def _inquiries(reader: Reader, incident: int) -> dict[str, Any]:
    from cockpit.cli.models import told as asked

    return {"inquiries": asked(reader, incident)}


def _when(at: float) -> str:
    import time

    return moment(at, time.time())
