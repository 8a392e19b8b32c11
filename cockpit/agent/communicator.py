"""The communicator: says what happened, in words that read the same on every channel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cockpit.model import JSON, Applied, Event, Incident, IncidentStatus, Proposal, canonical
from cockpit.store.reader import Reader
from cockpit.text import counted

if TYPE_CHECKING:
    from cockpit.model.answers import Answer
    from cockpit.model.inquiries import Inquiry


def happened_since(reader: Reader, looked: float | None) -> str:
    """What became of incidents since the operator last looked, in a few words; empty when nothing did."""
    if looked is None:
        return ""
    incidents = reader.incidents()
    waits = sum(each.status is IncidentStatus.WAITING for each in incidents)
    counts = (
        (sum(each.opened_at > looked for each in incidents), "new", "new"),
        (sum((each.resolved_at or 0.0) > looked for each in incidents), "resolved", "resolved"),
        (waits, "waits for you", "wait for you"),
        (sum(each.status is IncidentStatus.ESCALATED for each in incidents), "without a way out", "without a way out"),
    )
    told = ", ".join(counted(count, one, several) for count, one, several in counts if count)
    return f"incidents: {told}." if told else ""


def found_by(reader: Reader, proposal: Proposal) -> str:
    """The model that gave the cause a proposal answers, with what that cost; empty where a runbook or a person did."""
    for inquiry in reader.asked.of(proposal.incident) if proposal.incident is not None else ():
        cause = inquiry.answer.get("cause")
        if inquiry.state == "answered" and isinstance(cause, str) and cause and proposal.reason.startswith(cause):
            return f"{inquiry.answer.get('model') or 'a model'}, for {_cost(reader, inquiry)}"
    return ""


def asked_about(reader: Reader, incident: int, most: int = 5) -> list[str]:
    """What models were asked about an incident lately and what came of it, a line each, oldest first."""
    lines = []
    for inquiry in reversed(reader.asked.of(incident)[:most]):
        what = f" {inquiry.question}" if inquiry.question else ""
        cost = f", {_cost(reader, inquiry)}" if inquiry.state.ended else ""
        lines.append(f"{inquiry.id} ({inquiry.state}{cost}){what}: {inquiry.outcome}".rstrip(": "))
    return lines


def _cost(reader: Reader, inquiry: Inquiry) -> str:
    return f"${sum(call.dollars for call in reader.asked.costs(inquiry.id)):.4f}"


def markdown(reader: Reader, incident_id: int) -> str:
    """An incident as a Markdown document: cause, timeline, evidence, proposals, decisions and changes."""
    incident = reader.incident(incident_id)
    proposals = reader.proposals(incident=incident_id)
    events = reader.events(incident=incident_id, limit=1000)
    asked = reader.asked.of(incident_id) if any(event.kind == "inquiry" for event in events) else []
    parts = [_head(incident), _timeline(events)]
    parts += [_evidence(reader, incident_id)]
    parts += [_inquiry(reader, inquiry) for inquiry in reversed(asked)]
    parts += [_proposal(reader, proposal) for proposal in reversed(proposals)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(incident: Incident) -> str:
    ended = stamp(incident.resolved_at) if incident.resolved_at else "not yet"
    return "\n".join(
        [
            f"# Incident {incident.id}: {literal(incident.title)}",
            "",
            f"- Service: {literal(incident.service)}",
            f"- Severity: {incident.severity}, status: {incident.status}",
            f"- Opened: {stamp(incident.opened_at)}, resolved: {ended}",
            f"- Cause: {literal(incident.cause or 'not known')}",
        ]
    )


def _timeline(events: Sequence[Event]) -> str:
    lines = [f"- {stamp(event.at)} **{literal(event.actor)}**: {literal(event.text)}" for event in events]
    return "\n".join(["## Timeline", "", *lines])


def _evidence(reader: Reader, incident: int) -> str:
    runs = reader.runs(incident)
    lines = [f"- run {run.id}, {run.call.tool} ({run.status}): {literal(run.summary)}" for run in runs]
    return "\n".join(["## Evidence", "", *lines]) if lines else ""


def _inquiry(reader: Reader, inquiry: Inquiry) -> str:
    from cockpit.model.answers import Answer

    answer, calls = Answer.of(inquiry.answer), reader.asked.costs(inquiry.id)
    lines = [
        f"## Inquiry {inquiry.id}: {literal(inquiry.question or 'why it happened')}",
        "",
        f"- Asked by {literal(inquiry.asked_by)} at {stamp(inquiry.created_at)}; {inquiry.state}",
        *(f"- {label}: {literal(text)}" for label, text in _answered(answer, inquiry) if text),
        f"- Cost: ${sum(call.dollars for call in calls):.4f} in {counted(len(calls), 'call')}",
    ]
    return "\n".join(lines)


def _answered(answer: Answer, inquiry: Inquiry) -> Iterator[tuple[str, str]]:
    """What came of an inquiry: each part with its label."""
    sure = f"{answer.confidence * 100:.0f} % sure, by {answer.model}"
    yield ("Answer", answer.reply) if inquiry.question else ("Outcome", inquiry.outcome)
    yield "Cause", "" if answer.guesses or not answer.cause else f"{answer.cause}, {sure}"
    for place, guess in enumerate(answer.guesses, 1):
        yield f"Guess {place}", f"{guess}, {sure}" if place == 1 else guess
    for rival in answer.rivals:
        yield "Ruled out" if rival.ruled_out else "Not ruled out", f"{rival.name}: {rival.reading}"
    for run, readings in answer.evidence.items():
        yield f"Evidence, run {run}", "; ".join(readings) or "cited"
    yield "Look next", answer.next_look


def _proposal(reader: Reader, proposal: Proposal) -> str:
    decision = reader.decision(proposal.id)
    decided = f"{decision.verdict} by {literal(decision.by)} over {decision.channel}" if decision else "not decided"
    lines = [
        f"## Proposal {proposal.id}: {proposal.call.tool} on {literal(proposal.call.service)}",
        "",
        f"- State: {proposal.state}; {decided}; digest `{proposal.digest[:12]}`",
        f"- Why: {literal(proposal.reason)}",
        f"- Risk: {literal(proposal.plan.risk)}",
    ]
    if proposal.outcome:
        lines.append(f"- Outcome: {literal(proposal.outcome)}")
    applied = reader.applied(proposal.id)
    states = {entry.position: entry for entry in applied}
    for position, change in enumerate(proposal.plan.changes):
        lines += ["", *_change_lines(position, states.get(position))]
        lines += _fenced("diff", [f"- {shown(change.before)}", f"+ {shown(change.after)}"])
        lines += _fenced("", change.steps)
        lines.append(f"Way back: {literal(change.undo or change.no_undo)}")
    return "\n".join(lines)


def _change_lines(position: int, applied: Applied | None) -> list[str]:
    state = f": {applied.state}. {literal(applied.outcome)}" if applied else ""
    return [f"Change {position + 1}{state}", ""]


def _fenced(language: str, lines: Sequence[str]) -> list[str]:
    """A code block whose fence is longer than any run of backticks inside it."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *lines, fence, ""]


def shown(value: JSON) -> str:
    """A value of a change on one line."""
    return "absent" if value is None else value if isinstance(value, str) else canonical(value)


def literal(text: str) -> str:
    """Text that Markdown shows as it is: its own signs are escaped, line ends become spaces."""
    escaped = "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|!" else sign for sign in text)
    return " ".join(escaped.split())


def stamp(at: float) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
