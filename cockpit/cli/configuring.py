"""Shows the settings as they are in force, and prints shell completion."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import fields
from typing import Any

from cockpit.cli import output
from cockpit.cli.crash import redactor
from cockpit.cli.exits import OK
from cockpit.cli.opening import settings_of
from cockpit.model import Service
from cockpit.settings import Settings

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
    return [*general, *((name, value) for name, value in policy if name != "policy.levels"), *levels, *services]


def _service(service: Service) -> list[tuple[str, Any]]:
    path = f"services.{service.name.replace('/', '.')}"
    common = [each.name for each in fields(service) if each.name not in ("name", "options")]
    return [
        *((f"{path}.{name}", getattr(service, name)) for name in common),
        *((f"{path}.{name}", value) for name, value in service.options.items()),
    ]


def _origin(settings: Settings, name: str) -> str:
    for keys, origin in settings.origins.items():
        if f"{'.'.join(keys)}.".startswith(f"{name}."):
            return str(origin)
    return DEFAULT


def _text(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str)
