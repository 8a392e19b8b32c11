"""A case as text: an incident or a proposal, with all that a decision about it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cockpit.model import Applied, Decision, Diagnosis, Incident, Proposal, Run, Service
from widgets.figures import clock, duration
from widgets.line import Ink, Line, block, line
from widgets.plan import plan_lines, text_of
from widgets.signs import CHANGES, INCIDENTS, RUNS


@dataclass(frozen=True)
class Case:
    """An incident with all that stands around its latest proposal."""

    incident: Incident | None = None
    proposal: Proposal | None = None
    decision: Decision | None = None
    diagnosis: Diagnosis | None = None
    runs: tuple[Run, ...] = ()
    applied: tuple[Applied, ...] = ()
    dependants: tuple[str, ...] = ()
    service: Service | None = None


def proposal_lines(case: Case, proposal: Proposal, room: int) -> Iterator[Line]:
    """A proposal, whole: why, what came of it, the plan, whom it affects, and the evidence."""
    yield from block("", proposal.plan.summary, room, Ink.STRONG, indent=1)
    if proposal.undoes:
        yield from block("Undoes", f"proposal #{proposal.undoes}", room)
    yield from block("Why", proposal.reason, room)
    yield from _outcome(case, proposal, room)
    yield from plan_lines(proposal.plan, room)
    yield from block("Affects", ", ".join(case.dependants) or "no other service depends on it", room, Ink.PLAIN)
    if case.service and case.service.note:
        yield from block("Note", f"{case.service.note} (its owner)", room, Ink.WARN)
    yield from _evidence(case, room)
    yield from block("Approval", f"{proposal.approval}: {proposal.policy}" if proposal.policy else proposal.approval, room, Ink.DIM)
    if proposal.needs_name:
        yield from block("", "Approving asks for the name of the service: there is no way back.", room, Ink.WARN)


def incident_lines(case: Case, incident: Incident, room: int) -> Iterator[Line]:
    """An incident for which nothing is proposed: cause, advice and evidence."""
    sign = INCIDENTS[incident.status]
    yield line((f" {sign.glyph} {sign.word}", sign.ink), (f"  #{incident.id} {incident.title}", Ink.STRONG))
    if incident.cause:
        yield from block("Cause", incident.cause, room)
    if case.diagnosis and case.diagnosis.advice:
        yield from block("Advice", case.diagnosis.advice, room, Ink.WARN)
    yield from _evidence(case, room)


def _outcome(case: Case, proposal: Proposal, room: int) -> Iterator[Line]:
    if case.decision:
        decision = case.decision
        reason = f": {decision.reason}" if decision.reason else ""
        yield from block("Decision", f"{decision.verdict} by {decision.by} ({decision.channel}) at {clock(decision.at)}{reason}", room)
    for applied in case.applied:
        sign = CHANGES[applied.state]
        took = f" after {duration(applied.finished_at - applied.claimed_at)}" if applied.finished_at else ""
        yield from block("Outcome", f"{sign.glyph} {sign.word}{took}: {applied.outcome}".rstrip(": "), room, sign.ink)
    if proposal.outcome and not case.applied:
        yield from block("Outcome", proposal.outcome, room)


def _evidence(case: Case, room: int) -> Iterator[Line]:
    if case.diagnosis:
        sure = f"{case.diagnosis.confidence * 100:.0f} % sure, by runbook {case.diagnosis.runbook}"
        yield from block("Sure", sure, room, Ink.DIM)
        for rival in case.diagnosis.rivals:
            label, ink = ("Ruled out", Ink.DIM) if rival.ruled_out else ("Not ruled", Ink.WARN)
            yield from block(label, f"{rival.name}: {rival.reading}", room, ink)
    for run in case.runs:
        sign = RUNS[run.status]
        arguments = text_of(dict(run.call.arguments))
        yield from block("Seen", f"{sign.glyph} {run.call.tool} {arguments}".rstrip() + f": {run.summary}", room, sign.ink)
