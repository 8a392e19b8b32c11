"""Commands that list what is recorded. They start fast: settings, the log, JSON, and nothing else."""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cockpit.cli import output
from cockpit.cli.exits import OK
from cockpit.cli.opening import reading, settings_of
from cockpit.model import Health, Level, Proposal, Watched

if TYPE_CHECKING:
    from cockpit.store.reader import Reader

SIGNS = {Level.UP: "✓", Level.DEGRADED: "!", Level.DOWN: "✗", Level.UNKNOWN: "?"}
NEVER = Health(Level.UNKNOWN, "Not looked at yet.")


def services(arguments: Namespace) -> int:
    """List services with the last that is known of each."""
    settings = settings_of(arguments, whole=False)
    with reading(settings) as reader:
        known = {watched.service.name: watched for watched in reader.services()} if reader else {}
    found = [known.pop(service.name, Watched(service, NEVER, None, 0.0)) for service in settings.services]
    found += known.values()
    if arguments.json:
        output.as_json(services=[_service(watched) for watched in found])
        return OK
    from widgets.figures import age, duration

    now = time.time()
    output.table(
        ("service", "state", "since", "checked", "latency", "summary"),
        [
            (
                watched.service.name,
                f"{SIGNS[watched.health.level]} {watched.health.level}",
                age(now - watched.since) if watched.since else None,
                age(now - watched.checked_at) if watched.checked_at else "never",
                duration(watched.health.latency),
                watched.health.summary,
            )
            for watched in found
        ],
    )
    if not found:
        output.talk("No service is configured. Write a config with: cockpit init")
    return OK


def incidents(arguments: Namespace) -> int:
    """List incidents, those that wait for a person first."""
    with reading(settings_of(arguments, whole=False)) as reader:
        found = reader.incidents(unresolved_only=not arguments.all) if reader else []
        asking = reader.asked.asking() if reader and reader.asks() else []
    if arguments.json:
        also = {"asking": [asdict(each) for each in asking]} if asking else {}
        output.as_json(incidents=[asdict(incident) for incident in found], **also)
        return OK
    from widgets.figures import age

    now = time.time()
    output.table(
        ("id", "service", "severity", "status", "age", "title"),
        [
            (each.id, each.service, each.severity, each.status, age(now - each.opened_at), each.cause or each.title)
            for each in found
        ],
    )
    if asking:
        from cockpit.cli.models import asking_table

        asking_table(asking)
    if not found:
        output.talk("No open incident." if not arguments.all else "No incident was ever recorded.")
    return OK


def changes(arguments: Namespace) -> int:
    """List proposals and what became of them, newest first."""
    with reading(settings_of(arguments, whole=False)) as reader:
        found = reader.proposals(limit=max(arguments.limit, 0)) if reader else []
        if arguments.json:
            output.as_json(changes=[told(reader, proposal) for proposal in found if reader])
            return OK
    from widgets.figures import age

    now = time.time()
    output.table(
        ("id", "age", "service", "state", "approval", "summary"),
        [
            (each.id, age(now - each.created_at), each.call.service, each.state, each.approval, each.plan.summary)
            for each in found
        ],
    )
    if not found:
        output.talk("Nothing was ever proposed.")
    return OK


def told(reader: Reader, proposal: Proposal) -> dict[str, Any]:
    """A proposal with its decision and the journal of its changes, as plain data."""
    decision = reader.decision(proposal.id)
    journal = [
        {key: value for key, value in asdict(applied).items() if key != "change"}
        for applied in reader.applied(proposal.id)
    ]
    return {**asdict(proposal), "decision": asdict(decision) if decision else None, "journal": journal}


def _service(watched: Watched) -> dict[str, Any]:
    data = asdict(watched)
    del data["service"]["options"]
    return data
