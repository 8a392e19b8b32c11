"""Runs a diagnostic, shows what a remediation would change, or proposes it."""

from __future__ import annotations

import asyncio
import json
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict

from cockpit.cli import output
from cockpit.cli.crash import redactor
from cockpit.cli.exits import OK, PENDING, UsageError
from cockpit.cli.opening import engine, ready, settings_of, writing
from cockpit.model import JSON, Call, Plan, Service
from cockpit.settings import Settings
from cockpit.toolkit import Registry, Tool, inspect, plan


def run(arguments: Namespace) -> int:
    """Run a diagnostic, or propose a remediation; with --dry-run show what it would change."""
    settings = settings_of(arguments)
    complete, registry = ready(settings)
    tool = registry.tool(arguments.tool)
    service = chosen(complete, tool, arguments.service)
    call = Call(tool.name, service.name, parsed(arguments.arguments))
    if not tool.writes:
        return _inspect(settings, registry, service, call, json=arguments.json)
    if arguments.plan_only or settings.policy.dry_run:
        return _show(asyncio.run(plan(registry, service, call)), json=arguments.json)
    return _propose(settings, call, arguments)


def parsed(pairs: Sequence[str]) -> dict[str, JSON]:
    """Arguments written as key=value; lists and tables are written as JSON. Raises UsageError."""
    found: dict[str, JSON] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or key in found:
            raise UsageError(f"'{pair}' is no argument of its own.", "Write each once, as key=value.")
        found[key] = _value(value)
    return found


def chosen(settings: Settings, tool: Tool, name: str | None) -> Service:
    """The service to call the tool on: the one that is named, or the only one of its kind. Raises UsageError."""
    fitting = {service.name: service for service in settings.services if service.kind == tool.kind}
    if name is None and len(fitting) == 1:
        return next(iter(fitting.values()))
    if name in fitting:
        return fitting[name]
    if not fitting:
        raise UsageError(
            f"No service of the kind {tool.kind} is configured.", f"Add [services.{tool.kind}.NAME] to the config."
        )
    what = "Several services are" if name is None else f"'{name}' is none that is"
    raise UsageError(f"{what} of the kind {tool.kind}.", f"Add --service with one of: {', '.join(sorted(fitting))}.")


def _value(text: str) -> JSON:
    if not text.startswith(("[", "{")):
        return text
    try:
        value: JSON = json.loads(text)
    except ValueError:
        raise UsageError(f"'{text}' is no JSON.", 'Write lists as ["a", "b"].') from None
    return value


def _inspect(settings: Settings, registry: Registry, service: Service, call: Call, *, json: bool) -> int:
    started, clock = time.time(), time.monotonic()
    finding = asyncio.run(inspect(registry, service, call))
    with writing(settings) as store:
        store.record_run(None, call, finding, "", started, time.monotonic() - clock)
    shown = redactor.scrub(asdict(finding))
    assert isinstance(shown, dict)
    if json:
        output.as_json(finding=shown)
        return OK
    output.line(shown["summary"])
    _print(shown["data"], "  ")
    return OK


def _print(value: JSON, indent: str) -> None:
    """Readings as indented lines, rows of a list one a line."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict | list) and item:
                output.line(f"{indent}{key}:")
                _print(item, indent + "  ")
            else:
                output.line(f"{indent}{key}: {_plain(item)}")
    elif isinstance(value, list):
        for item in value:
            row = (
                "  ".join(f"{key}={_plain(one)}" for key, one in item.items())
                if isinstance(item, dict)
                else _plain(item)
            )
            output.line(f"{indent}- {row}")


def _plain(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _show(planned: Plan, *, json: bool) -> int:
    from cockpit.cli.showing import plan_text

    if json:
        output.as_json(plan=redactor.scrub(asdict(planned)))
        return OK
    output.line(planned.summary)
    for line in plan_text(planned):
        output.line(redactor.redact(line))
    return OK


def _propose(settings: Settings, call: Call, arguments: Namespace) -> int:
    from cockpit.cli.deciding import waits

    with engine(settings) as running:
        proposal = asyncio.run(running.propose(call, arguments.reason))
        stored = running.reader.proposal(proposal.id)
    if not arguments.json:
        return waits(stored)
    output.as_json(proposal=asdict(stored))
    return PENDING
