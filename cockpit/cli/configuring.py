"""Shows the settings as they are in force, and prints shell completion."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import fields
from datetime import datetime
from typing import Any

from cockpit.cli import output
from cockpit.cli.crash import redactor
from cockpit.cli.exits import OK
from cockpit.cli.opening import settings_of
from cockpit.model import Service
from cockpit.settings import Settings
from cockpit.settings.tables import Secret

DEFAULT = "default"


def show(arguments: Namespace) -> int:
    """Every setting, with the place it was set; secrets are hidden."""
    settings = settings_of(arguments)
    found = [(name, redactor.scrub({name: value})) for name, value in _all(settings)]
    values = {name: shown[name] for name, shown in found if isinstance(shown, dict)}
    if arguments.json:
        output.as_json(
            settings=[
                {"key": name, "value": value, "origin": _origin(settings, name)} for name, value in values.items()
            ]
        )
        return OK
    output.table(
        ("setting", "value", "set by"),
        [(name, _text(value), _origin(settings, name)) for name, value in values.items()],
    )
    return OK


def completion(arguments: Namespace) -> int:
    """Print the completion script for a shell."""
    import shtab

    from cockpit.cli.parser import parser

    output.line(shtab.complete(parser(), arguments.shell))
    return OK


def _all(settings: Settings) -> list[tuple[str, Any]]:
    general = [
        ("data_folder", str(settings.data_folder)),
        ("runbook_folder", str(settings.runbook_folder)),
        ("anchors", [str(anchor) for anchor in settings.anchors]),
        ("operator", settings.operator),
        ("theme", settings.theme),
    ]
    policy = [(f"policy.{each.name}", getattr(settings.policy, each.name)) for each in fields(settings.policy)]
    levels = [(f"policy.levels.{tool}", str(level)) for tool, level in settings.policy.levels.items()]
    services = [entry for service in settings.services for entry in _service(service)]
    limits = [(name, value) for name, value in policy if name != "policy.levels"]
    return [*general, *limits, *levels, *_telling(settings), *services]


def _telling(settings: Settings) -> list[tuple[str, Any]]:
    """The tables about telling people; where a secret stands, and not what it is."""
    tables = [
        *((f"notify.{each.name}", each) for each in settings.notify),
        *((name, getattr(settings, name)) for name in ("escalation", "gitea", "deadman") if getattr(settings, name)),
        *((f"heartbeats.{each.name}", each) for each in settings.heartbeats),
        *((f"maintenance.{number}", each) for number, each in enumerate(settings.maintenance, 1)),
    ]
    return [_entry(path, each.name, getattr(table, each.name)) for path, table in tables for each in fields(table)]


def _entry(path: str, name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, Secret):
        return f"{path}.{name}{value.form}", "hidden"
    return f"{path}.{name}", value.isoformat() if isinstance(value, datetime) else value


def _service(service: Service) -> list[tuple[str, Any]]:
    path = f"services.{service.name.replace('/', '.')}"
    common = [each.name for each in fields(service) if each.name not in ("name", "options")]
    return [
        *((f"{path}.{name}", getattr(service, name)) for name in common),
        *((f"{path}.{name}", value) for name, value in service.options.items()),
    ]


def _origin(settings: Settings, name: str) -> str:
    for keys, origin in settings.origins.items():
        place = ".".join(keys)
        if f"{place}.".startswith(f"{name}.") or (keys[0] == "maintenance" and name.startswith(f"{place}.")):
            return str(origin)
    return DEFAULT


def _text(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str)
