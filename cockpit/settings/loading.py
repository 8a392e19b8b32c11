"""Read the settings from all their places into frozen values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cockpit.model import JSON, Approval
from cockpit.settings.checks import at_least, chosen, dotted, fitted, hours, unknown
from cockpit.settings.http import alertmanager, http
from cockpit.settings.models import models
from cockpit.settings.notifying import TABLES, notifying
from cockpit.settings.services import services
from cockpit.settings.sources import Found, from_environment, merged, places, read
from cockpit.settings.telegram import telegram
from cockpit.settings.values import Keys, Origin, PolicySettings, Settings, SettingsError, config_home, data_home

GENERAL: dict[str, type] = {
    "data_folder": str,
    "runbook_folder": str,
    "notes_folder": str,
    "anchors": list,
    "operator": str,
    "theme": str,
}
POLICY: dict[str, type] = {
    "deadline": float,
    "changes_per_hour": int,
    "failures_before_pause": int,
    "pause_seconds": float,
    "quiet_hours": list,
    "undo_on_failure": bool,
    "dry_run": bool,
}
LEAST = {"deadline": 1.0, "changes_per_hour": 0, "failures_before_pause": 1, "pause_seconds": 0}
PATHS = ("data_folder", "runbook_folder", "notes_folder")
LISTENING = ("http", "alertmanager", "telegram", "models")
"""The tables about what the daemon takes in, and whom it asks."""
LEVELS = {level.value: level for level in Approval}


def load(
    config: Path | None = None,
    *,
    flags: Mapping[str, JSON] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings, checked as far as that goes without knowing the kinds of service.

    Args:
        config: the one file to read instead of the operator's and the machine's.
        flags: settings of the command line by dotted key, such as `policy.dry_run`.
        environ: the environment; this process's by default.

    Raises:
        SettingsError: naming the place of the first wrong key or value, and the nearest valid key.
    """
    environ = os.environ if environ is None else environ
    files = places(config, environ)
    given: Found = {_split(name): (value, Origin(_flag(name))) for name, value in (flags or {}).items()}
    found = merged(*(read(file) for file in files), from_environment(environ), given)
    _known(found)
    general = _general(found)
    return Settings(
        data_folder=general.pop("data_folder", None) or data_home(environ),
        runbook_folder=general.pop("runbook_folder", None) or config_home(environ) / "runbooks",
        notes_folder=general.pop("notes_folder", None) or config_home(environ) / "notes",
        policy=_policy(found),
        models=models(found),
        telegram=telegram(found),
        http=http(found),
        alertmanager=alertmanager(found),
        services=services({keys[1:]: entry for keys, entry in found.items() if keys[0] == "services"}),
        sources=tuple(files),
        **notifying(found),
        origins={keys: origin for keys, (_, origin) in found.items()},
        **general,
    )


def _split(name: str) -> Keys:
    return tuple(name.split("."))


def _flag(name: str) -> str:
    return "--" + _split(name)[-1].replace("_", "-")


def _known(found: Found) -> None:
    for keys, (value, origin) in found.items():
        if keys[0] in ("policy", "services"):
            if len(keys) == 1 and value != {}:
                raise SettingsError(f"{origin}: '{keys[0]}' must be a table.", f"Write it under [{keys[0]}].")
        elif keys[0] not in {*GENERAL, *TABLES, *LISTENING}:
            raise unknown(keys[:1], origin, {*GENERAL, *TABLES, *LISTENING, "policy", "services"})
        if keys[0] == "policy" and len(keys) > 1 and keys[1] not in {*POLICY, "levels"}:
            raise unknown(keys[:2], origin, {*POLICY, "levels"})


def _general(found: Found) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for keys, (raw, origin) in found.items():
        if keys[0] not in GENERAL:
            continue
        value = fitted(keys[:1], raw if len(keys) == 1 else {}, origin, GENERAL[keys[0]])
        if keys[0] in PATHS:
            value = _path(value, origin)
        result[keys[0]] = tuple(_path(each, origin) for each in value) if keys[0] == "anchors" else value
    return result


def _path(text: str, origin: Origin) -> Path:
    beside = origin.file.parent if origin.file else Path()
    return (beside / Path(text).expanduser()).absolute()


def _policy(found: Found) -> PolicySettings:
    values: dict[str, Any] = {}
    levels: dict[str, Approval] = {}
    for keys, (raw, origin) in found.items():
        if keys[0] != "policy" or raw == {}:
            continue
        if keys[1] == "levels":
            levels[dotted(keys[2:])] = chosen(keys, raw, origin, LEVELS)
            continue
        value = fitted(keys, raw, origin, POLICY[keys[1]])
        if keys[1] in LEAST:
            at_least(keys, value, origin, LEAST[keys[1]])
        values[keys[1]] = hours(keys, value, origin) if keys[1] == "quiet_hours" else value
    return PolicySettings(levels=levels, **values)
