"""A case as text: an incident or a proposal, with all that a decision about it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cockpit.model import Applied, Decision, Diagnosis, Event, Incident, Proposal, ProposalState, Run, Service
from widgets.figures import clock, duration, lasted
from widgets.line import Ink, Line, Part, block, line
from widgets.plan import plan_lines, text_of
from widgets.signs import CHANGES, INCIDENTS, PROPOSALS, RUNS
from widgets.timeline import event_line, older_lines

if TYPE_CHECKING:
    from widgets.inquiry import Course

DIGEST_SHOWN = 12
"""Hex digits of a digest that stand on the screen; the same stand in every other channel."""


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
    course: Course | None = None
    """What a model was asked about its cause, where that is the last word on it."""

    @property
    def asking(self) -> Course | None:
        """The inquiry that waits for a yes; one at a time is asked for, so none while the proposal waits for one."""
        waits = self.proposal is not None and self.proposal.state is ProposalState.PENDING
        return self.course if self.course and self.course.asking and not waits else None

    @property
    def latest_proposal(self) -> Proposal | None:
        """The proposal, unless a model was asked after it came to its end."""
        proposal = self.proposal
        if proposal is None or self.course is None or proposal.state is ProposalState.PENDING:
            return proposal
        return proposal if proposal.created_at >= self.course.inquiry.created_at else None


@dataclass(frozen=True)
class Story:
    """An incident from its first alert to its end."""

    case: Case
    events: tuple[Event, ...] = ()
    older: int = 0
    """Events that came before these, and are left out."""
    proposals: tuple[Proposal, ...] = ()
    questions: tuple[Course, ...] = ()
    """What people asked models about it."""


def story_lines(story: Story, room: int) -> Iterator[Line]:
    """All of an incident: cause, evidence, what was proposed, and the timeline."""
    incident = story.case.incident
    if incident is None:
        if story.case.proposal:
            yield from proposal_lines(story.case, story.case.proposal, room)
        return
    if story.case.asking:
        from widgets.inquiry import inquiry_head

        yield from inquiry_head(story.case.asking.inquiry)
    yield from incident_lines(story.case, incident, room)
    ended = f", resolved after {lasted(incident.resolved_at - incident.opened_at)}" if incident.resolved_at else ""
    yield from block("Service", incident.service, room)
    yield from block("Opened", f"{clock(incident.opened_at)}{ended}", room, Ink.DIM)
    yield from block("Alerts", f"{incident.alerts}{', flapping' if incident.flapping else ''}", room, Ink.DIM)
    for proposal in story.proposals:
        sign = PROPOSALS[proposal.state]
        yield from block(
            "Proposal", f"{sign.glyph} #{proposal.id} {sign.word}: {proposal.plan.summary}", room, sign.ink
        )
    yield from _asked(story.questions, room)
    yield line()
    yield line((" Timeline", Ink.STRONG))
    yield from older_lines(incident.id, story.older)
    yield from (event_line(event, room) for event in story.events)


def proposal_head(proposal: Proposal, *timer: Part) -> Line:
    """One line: where a proposal stands, and its digest."""
    sign = PROPOSALS[proposal.state]
    return line(
        (f" {sign.glyph} {sign.word}", sign.ink),
        *timer,
        (f"  #{proposal.id}", Ink.DIM),
        (f"  digest {proposal.digest[:DIGEST_SHOWN]}", Ink.DIM),
        (f"  {proposal.call.tool}", Ink.DIM),
    )


def entry_lines(case: Case, proposal: Proposal, room: int) -> Iterator[Line]:
    """A proposal as an entry of the log: where it stands, then all of it."""
    yield proposal_head(proposal)
    yield from proposal_lines(case, proposal, room)


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
    yield from block(
        "Approval", f"{proposal.approval}: {proposal.policy}" if proposal.policy else proposal.approval, room, Ink.DIM
    )
    if proposal.needs_name:
        yield from block("", "Approving asks for the name of the service: there is no way back.", room, Ink.WARN)


def incident_lines(case: Case, incident: Incident, room: int) -> Iterator[Line]:
    """An incident for which nothing is proposed: cause, advice and evidence."""
    sign = INCIDENTS[incident.status]
    yield line((f" {sign.glyph} {sign.word}", sign.ink), (f"  #{incident.id} {incident.title}", Ink.STRONG))
    guessed = case.course is not None and incident.cause in case.course.answer.guesses
    if incident.cause and not guessed:
        yield from block("Cause", incident.cause, room)
    if case.diagnosis and case.diagnosis.advice and case.course is None:
        yield from block("Advice", case.diagnosis.advice, room, Ink.WARN)
    yield from _evidence(case, room)


def _outcome(case: Case, proposal: Proposal, room: int) -> Iterator[Line]:
    if case.decision:
        decision = case.decision
        reason = f": {decision.reason}" if decision.reason else ""
        yield from block(
            "Decision",
            f"{decision.verdict} by {decision.by} ({decision.channel}) at {clock(decision.at)}{reason}",
            room,
        )
    for applied in case.applied:
        sign = CHANGES[applied.state]
        took = f" after {duration(applied.finished_at - applied.claimed_at)}" if applied.finished_at else ""
        yield from block("Outcome", f"{sign.glyph} {sign.word}{took}: {applied.outcome}".rstrip(": "), room, sign.ink)
    if proposal.outcome and not case.applied:
        yield from block("Outcome", proposal.outcome, room)


def _asked(questions: tuple[Course, ...], room: int) -> Iterator[Line]:
    for course in questions:
        from widgets.inquiry import followed_lines

        yield line()
        yield from followed_lines(course, room)


def _evidence(case: Case, room: int) -> Iterator[Line]:
    answered = case.course is not None and bool(case.course.cited)
    if case.course:
        from widgets.inquiry import ended_lines, inquiry_head, under_way_lines

        if not case.asking:  # the pane keeps that line in sight by itself
            yield from inquiry_head(case.course.inquiry)
        yield from (ended_lines if case.course.inquiry.state.ended else under_way_lines)(case.course, room)
    if case.diagnosis and not answered:
        yield from _diagnosis(case.diagnosis, room, told=case.course is not None)
    for run in () if answered else case.runs:
        sign = RUNS[run.status]
        arguments = text_of(dict(run.call.arguments))
        yield from block(
            "Seen", f"{sign.glyph} {run.call.tool} {arguments}".rstrip() + f": {run.summary}", room, sign.ink
        )


def _diagnosis(diagnosis: Diagnosis, room: int, *, told: bool) -> Iterator[Line]:
    """How sure a cause is, and what it could be instead; a model's was told with its inquiry."""
    kind, _, model = diagnosis.runbook.partition(":")
    if told and kind == "model":
        return
    by = f"model {model}" if kind == "model" else f"runbook {diagnosis.runbook}"
    yield from block("Sure", f"{diagnosis.confidence * 100:.0f} % sure, by {by}", room, Ink.DIM)
    for rival in diagnosis.rivals:
        label, ink = ("Ruled out", Ink.DIM) if rival.ruled_out else ("Not ruled", Ink.WARN)
        yield from block(label, f"{rival.name}: {rival.reading}", room, ink)
