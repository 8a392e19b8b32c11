"""An incident as Markdown, for a report or a ticket; what strangers wrote stays literal in it."""

from __future__ import annotations

import json
import re
import sys
import time
from argparse import Namespace
from collections.abc import Iterator

from cockpit.cli import output
from cockpit.cli.exits import OK
from cockpit.cli.opening import reading, settings_of
from cockpit.cli.showing import EVENTS, plan_text
from cockpit.model import CockpitError, Incident, Proposal, Run
from cockpit.store.reader import Reader
from cockpit.text import clean, shorten

READINGS = 4000
"""Characters of one run's readings that are kept."""


def export(arguments: Namespace) -> int:
    """Print an incident as Markdown."""
    with reading(settings_of(arguments)) as reader:
        if reader is None:
            raise CockpitError(f"There is no incident {arguments.id}: nothing was ever recorded.", "Start: cockpit")
        for part in document(reader, reader.incident(arguments.id)):
            output.line(part)
    return OK


def document(reader: Reader, incident: Incident) -> Iterator[str]:
    """The incident's story as lines of Markdown."""
    yield f"# Incident {incident.id}: {literal(incident.title)}\n"
    ended = _when(incident.resolved_at) if incident.resolved_at else "open"
    yield "| | |\n| --- | --- |"
    for name, value in (
        ("Service", incident.service),
        ("Severity", incident.severity),
        ("Status", incident.status),
        ("Opened", _when(incident.opened_at)),
        ("Resolved", ended),
        ("Cause", incident.cause or "not known"),
        ("Runbook", incident.runbook or "none"),
    ):
        yield f"| {name} | {literal(value)} |"
    yield "\n## Timeline\n"
    for event in reader.events(before=sys.maxsize, incident=incident.id, limit=EVENTS):
        yield f"- {_when(event.at)} **{literal(event.actor)}**: {literal(event.text)}"
    for run in reader.runs(incident.id):
        yield from _run(run)
    for proposal in reversed(reader.proposals(incident=incident.id)):
        yield from _proposal(reader, proposal)


def literal(text: str) -> str:
    """A stranger's text on one line, with everything that Markdown or HTML would act on escaped."""
    flat = " ".join(clean(text, lines=True).split())
    return re.sub(r"([\\`*_{}\[\]()#+!|~<>&@:-])", r"\\\1", flat).replace(r"\<", "&lt;").replace(r"\>", "&gt;")


def fenced(text: str) -> str:
    """A stranger's text as a code block that nothing in it can end."""
    shown = clean(text, lines=True)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence}\n{shown}\n{fence}"


def _run(run: Run) -> Iterator[str]:
    yield f"\n## Evidence {run.id}: {literal(run.call.tool)}\n"
    yield literal(run.summary)
    if run.data:
        yield "\n" + fenced(shorten(json.dumps(run.data, indent=2, ensure_ascii=False, default=str), READINGS))


def _proposal(reader: Reader, proposal: Proposal) -> Iterator[str]:
    yield f"\n## Proposal {proposal.id}: {literal(proposal.plan.summary)}\n"
    yield f"{literal(proposal.reason)} State: {proposal.state}. {literal(proposal.outcome)}\n"
    yield fenced("\n".join(plan_text(proposal.plan)))
    if decision := reader.decision(proposal.id):
        by, reason = literal(decision.by), literal(decision.reason)
        yield f"\n{decision.verdict.capitalize()} by {by} ({decision.channel}) {_when(decision.at)}. {reason}".rstrip()
    for applied in reader.applied(proposal.id):
        yield f"\nChange {applied.position + 1}: {applied.state}. {literal(applied.outcome)}".rstrip()


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(at))
