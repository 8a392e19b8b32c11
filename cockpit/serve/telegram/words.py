"""What is said about an incident, a proposal, a storm; the same values always give the same message."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cockpit.model import (
    Applied,
    Decision,
    Event,
    Incident,
    IncidentStatus,
    Proposal,
    ProposalState,
    Run,
    Severity,
    canonical,
)
from cockpit.model.inquiries import Estimate
from cockpit.serve.telegram.body import BOLD, CODE, DIFF, Body, button
from cockpit.settings.daemon import Right
from cockpit.text import clean, counted, shorten
from widgets.figures import dollars
from widgets.line import plain
from widgets.plan import diff_lines, look_alikes, text_of

DIFF_ROOM, STEPS_ROOM = 1400, 500
"""Characters of a diff and of the steps that stand in the message itself."""
WIDE = 100_000
"""Columns that no line of a diff reaches: a phone scrolls instead."""
LISTED = 15
SIGNS = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}
HEADS = {
    ProposalState.PENDING: "❓ Asks",
    ProposalState.APPROVED: "⏳ Approved",
    ProposalState.EXECUTING: "⏳ Being applied",
    ProposalState.DONE: "✅ Done",
    ProposalState.DENIED: "🚫 Denied",
    ProposalState.EXPIRED: "⌛ Expired",
    ProposalState.SUPERSEDED: "↩️ Withdrawn",
    ProposalState.FAILED: "❌ Failed",
    ProposalState.UNKNOWN: "⚠️ Outcome unknown",
}


def clock(at: float) -> str:
    """A moment in local time."""
    return time.strftime("%d %b %H:%M:%S", time.localtime(at))


def proposal_body(
    proposal: Proposal,
    incident: Incident | None,
    decision: Decision | None,
    journal: Sequence[Applied],
    found_by: str = "",
) -> Body:
    """Everything an approval covers, and once it is decided, by whom and what came of it; without its buttons.

    Args:
        proposal: what is proposed.
        incident: what it would mend; None for what a person asked for.
        decision: what was decided.
        journal: its changes, once they were begun.
        found_by: the model that gave the cause, with what that cost.
    """
    body = Body().add(f"{HEADS[proposal.state]}: {clean(shorten(proposal.plan.summary, 200))}", BOLD)
    if decision is not None:
        why = f" ({decision.reason})" if decision.reason else ""
        body.line("Decided", f"{decision.verdict} by {decision.by} over {decision.channel}{why}, {clock(decision.at)}")
    body.line("Outcome", proposal.outcome)
    for applied in journal:
        body.line(f"Change {applied.position + 1}", f"{applied.state}. {applied.outcome}", 200)
    if incident is not None:
        body.line("Incident", f"{incident.id}, {SIGNS[incident.severity]} {incident.severity}: {incident.title}", 300)
    body.line("Cause", proposal.reason)
    body.line("Found by a model", found_by)
    body.line("Action", f"{proposal.call.tool} {canonical(dict(proposal.call.arguments))}", 300)
    body.line("Target", "; ".join(dict.fromkeys(_target(proposal))), 300)
    body.line("Level", f"{proposal.approval}. {proposal.policy}", 200)
    body.block("Diff", diff_text(proposal), DIFF_ROOM, DIFF)
    body.block("Steps", "\n".join(step for change in proposal.plan.changes for step in change.steps), STEPS_ROOM)
    body.line("Way back", "; ".join(_way_back(proposal)), 300)
    body.line("Risk", proposal.plan.risk, 300)
    for warning in _look_alikes(proposal):
        body.line("⚠️ Beware", warning, 200)
    body.add("\nDigest: ", BOLD).add(proposal.digest[:12], CODE)
    return body


def _look_alikes(proposal: Proposal) -> list[str]:
    texts = [text_of(part) for change in proposal.plan.changes for part in (change.key, *change.steps)]
    return [warning for text in texts for warning in look_alikes(text)][:3]


def _target(proposal: Proposal) -> Iterator[str]:
    for change in proposal.plan.changes:
        yield f"{change.service} {change.item} {text_of(change.key)}".rstrip()


def _way_back(proposal: Proposal) -> Iterator[str]:
    for change in proposal.plan.changes:
        yield change.undo if change.reversible else f"none: {change.no_undo}"


def diff_text(proposal: Proposal) -> str:
    """What would change, as the screen shows it."""
    changes = proposal.plan.changes
    return "\n".join(
        plain(line).rstrip() for change in changes for line in diff_lines(change.before, change.after, WIDE)
    )


def too_long(proposal: Proposal) -> bool:
    """Whether the message cannot hold everything that an approval covers."""
    steps = sum(len(step) + 1 for change in proposal.plan.changes for step in change.steps)
    return len(diff_text(proposal)) > DIFF_ROOM or steps > STEPS_ROOM


def whole(proposal: Proposal) -> str:
    """Diff, steps, verification and way back of every change, at full length."""
    parts = []
    for change in proposal.plan.changes:
        lines = [plain(line).rstrip() for line in diff_lines(change.before, change.after, WIDE)]
        parts += [f"# {change.service} {change.item} {text_of(change.key)}", *lines, ""]
        parts += [f"$ {step}" for step in change.steps]
        parts += [f"Verify: {change.verification}", f"Way back: {change.undo or change.no_undo}", ""]
    return clean("\n".join([f"Digest {proposal.digest}", "", *parts]), lines=True)


def incident_body(incident: Incident, last: Event | None, notes: Mapping[str, Any]) -> Body:
    """Where an incident stands, without its buttons."""
    resolved = incident.status is IncidentStatus.RESOLVED
    body = Body(silent=incident.severity is Severity.INFO)
    head = "✅ Resolved" if resolved else SIGNS[incident.severity]
    body.add(f"{head} {clean(incident.service)}: {shorten(clean(incident.title), 300)}", BOLD)
    body.line("Incident", f"{incident.id}, {incident.severity}, since {clock(incident.opened_at)}")
    body.line("Status", incident.status + (" (flapping)" if incident.flapping else ""))
    body.line("Cause", incident.cause)
    body.line("Last", last.text if last else "", 400)
    return noted(body, notes)


def noted(body: Body, notes: Mapping[str, Any]) -> Body:
    """The message with what people did about its incident."""
    body.line("Acknowledged", f"by {notes['acknowledged']}" if "acknowledged" in notes else "")
    body.line("Snoozed", f"by {notes['snoozed']}" if "snoozed" in notes else "")
    return body.line("Did it work?", notes.get("worked", ""))


def care_row(notes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The buttons that stand beside an open incident."""
    row = [button("1 h", "snooze hour", Right.APPROVE), button("Until morning", "snooze morning", Right.APPROVE)]
    if "acknowledged" not in notes:
        row.insert(0, button("Acknowledge", "acknowledge", Right.APPROVE))
    return row


def estimated(estimate: Estimate) -> str:
    """What asking a model would cost."""
    return f"{estimate.model} first, for about {dollars(estimate.dollars)}"


def ask_row(inquiry: int) -> list[Mapping[str, Any]]:
    """The buttons of an inquiry that waits for a yes."""
    return [
        button("Ask a model", "ask model", Right.APPROVE, digest=str(inquiry)),
        button("Do not ask", "ask no model", Right.APPROVE, digest=str(inquiry)),
    ]


def worked_row() -> list[Mapping[str, Any]]:
    """The buttons under an incident that was resolved by a change."""
    return [button("It worked", "worked", Right.SEE), button("It did not", "not worked", Right.SEE)]


def more_info(
    incident: Incident | None, runs: Sequence[Run], events: Sequence[Event], asked: Sequence[str] = ()
) -> Body:
    """Evidence and timeline of an incident, and what models were asked about it."""
    title = f"Incident {incident.id}: {clean(shorten(incident.title, 200))}" if incident else "Asked for by a person"
    body = Body().add(title, BOLD)
    if incident is not None:
        body.line("Status", f"{incident.status}, {incident.severity}, {incident.service}")
        body.line("Cause", incident.cause or "not known")
    evidence = [f"{run.id} {run.call.tool} ({run.status}): {shorten(clean(run.summary), 200)}" for run in runs[-8:]]
    body.block("Evidence", "\n".join(evidence), 1500)
    body.block("Asked a model", "\n".join(shorten(clean(each), 240) for each in asked), 700)
    timeline = [f"{clock(each.at)} {each.actor}: {shorten(clean(each.text), 160)}" for each in events[-LISTED:]]
    return body.block("Timeline", "\n".join(timeline), 1700)


def gathered(lines: Sequence[str], more: int) -> Body:
    """What happened that nobody had to be called for."""
    body = Body(silent=True).add("Meanwhile", BOLD)
    for line in lines:
        body.add("\n• " + shorten(clean(line), 240))
    return body.add(f"\n• and {more} more" if more else "")


def storm(incidents: Sequence[Incident], since: float) -> Body:
    """Many incidents in one message."""
    open_ones = [each for each in incidents if each.status is not IncidentStatus.RESOLVED]
    happened = counted(len(incidents), "incident")
    body = Body().add(f"⛈ {happened} since {clock(since)}, {len(open_ones)} of them open", BOLD)
    worst = sorted(open_ones, key=lambda each: (-each.severity.rank, each.id))
    for each in worst[:LISTED]:
        body.add(f"\n{SIGNS[each.severity]} {each.id} {clean(each.service)}: {shorten(clean(each.title), 100)}")
    return body.add(f"\nand {len(worst) - LISTED} more: /incidents" if len(worst) > LISTED else "")


def listing(title: str, lines: Sequence[str], nothing: str = "") -> Body:
    """A title and some lines; a sentence when there are none."""
    body = Body().add(title, BOLD)
    for line in lines[:40]:
        body.add("\n" + shorten(clean(line), 300))
    body.add(f"\nand {len(lines) - 40} more" if len(lines) > 40 else "")
    return body if lines else body.add("\n" + nothing)


def settled_line(proposal: Proposal) -> str:
    """One line about a proposal that nobody was asked about."""
    return f"{proposal.state}: {proposal.plan.summary} ({proposal.call.service}). {proposal.outcome}".rstrip()
