"""Shows the settings as they are in force, and prints shell completion."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from re import Pattern
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
    return [*general, *limits, *levels, *_tables(settings), *services]


def _tables(settings: Settings) -> Iterator[tuple[str, Any]]:
    """The tables beside policy and services; of a secret where it stands, and not what it is."""
    for name in ("escalation", "gitea", "deadman", "telegram", "http", "alertmanager"):
        if (table := getattr(settings, name)) is not None:
            yield from _table(name, table)
    for name in ("notify", "heartbeats"):
        for table in getattr(settings, name):
            yield from _table(f"{name}.{table.name}", table)
    for number, table in enumerate(settings.maintenance, 1):
        yield from _table(f"maintenance.{number}", table)
    if settings.models is not None:
        yield from (entry for entry in _table("models", settings.models) if entry[0] != "models.models")
        for model in settings.models.models:
            yield from _table(f"models.{model.name}", model)


def _table(path: str, table: Any) -> Iterator[tuple[str, Any]]:
    for each in fields(table):
        value = getattr(table, each.name)
        yield f"{path}.{each.name}{value.form if isinstance(value, Secret) else ''}", _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case Secret():
            plain: Any = "hidden"
        case datetime():
            plain = value.isoformat()
        case Pattern():
            plain = value.pattern
        case Path() | StrEnum():
            plain = str(value)
        case Mapping():
            plain = {str(name): _plain(part) for name, part in value.items()}
        case set() | frozenset():
            plain = sorted(value)
        case tuple() | list():
            plain = [_plain(part) for part in value]
        case _ if is_dataclass(value):
            plain = {each.name: _plain(getattr(value, each.name)) for each in fields(value) if each.repr}
        case _:
            plain = value
    return plain


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
