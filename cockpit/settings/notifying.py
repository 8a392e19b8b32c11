"""The tables about telling people: channels, escalation, signs of life, maintenance."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict

from cockpit.model import Severity
from cockpit.settings.checks import TIME, chosen, dotted, fitted, hours, no_such
from cockpit.settings.daemon import Deadman, Escalation, Gitea, Heartbeat, Maintenance, Notify
from cockpit.settings.services import NAME
from cockpit.settings.sources import Found
from cockpit.settings.tables import Key, Secret, rows, table, tables
from cockpit.settings.values import Keys, Origin, Settings, SettingsError

KINDS = ("opened", "proposal", "escalated", "change", "resolved", "reminder", "budget")
"""Kinds of message, as `only` names them."""
SHORTEST_PART = 16
"""Characters of a part of an address that is taken for a secret."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SEVERITIES = {severity.value: severity for severity in Severity}
BESIDE = ("telegram",)
"""Channels that are configured by tables of their own, and may come first in an escalation."""


class Notifying(TypedDict):
    """The settings of this module, by their names in `Settings`."""

    notify: tuple[Notify, ...]
    escalation: Escalation | None
    gitea: Gitea | None
    deadman: Deadman | None
    heartbeats: tuple[Heartbeat, ...]
    maintenance: tuple[Maintenance, ...]


def notifying(found: Found) -> Notifying:
    """Everything about telling people. Raises SettingsError naming the place of what is wrong."""
    channels = tables("notify", found, NOTIFY)
    escalation, gitea, deadman = (
        table(name, found, known)
        for name, known in (("escalation", ESCALATION), ("gitea", GITEA), ("deadman", DEADMAN))
    )
    return Notifying(
        notify=tuple(Notify(_named("notify", name, found), **values) for name, values in channels.items()),
        escalation=_ordered(Escalation(**escalation), channels, found) if escalation else None,
        gitea=Gitea(**gitea) if gitea else None,
        deadman=Deadman(**deadman) if deadman else None,
        heartbeats=tuple(
            Heartbeat(_named("heartbeats", name, found), **values)
            for name, values in tables("heartbeats", found, HEARTBEAT).items()
        ),
        maintenance=_maintenance(found),
    )


def secrets_of(settings: Settings) -> Iterator[Secret]:
    """The secrets of these tables."""
    yield from (channel.url for channel in settings.notify)
    if settings.gitea:
        yield settings.gitea.token
    if settings.deadman:
        yield settings.deadman.ping_url


def parts_of(secret: Secret) -> set[str]:
    """A secret and, where it is an address, the parts of it that may stand by themselves in an error.

    Raises SettingsError when it is missing, or can be read by others.
    """
    whole = secret.fetched()
    return {whole, *re.findall(rf"[^/:@?&=\s]{{{SHORTEST_PART},}}", whole)}


def _named(above: str, name: str, found: Found) -> str:
    if not NAME.fullmatch(name):
        origin = next(origin for keys, (_, origin) in found.items() if keys[:2] == (above, name))
        raise SettingsError(
            f"{origin}: '{dotted((above, name))}' is no name that can be used.",
            "Use letters, digits, '-', '_' and '.'.",
        )
    return name


def _ordered(escalation: Escalation, channels: Mapping[str, object], found: Found) -> Escalation:
    origin = next(origin for keys, (_, origin) in found.items() if keys[:2] == ("escalation", "order"))
    for position, name in enumerate(escalation.order):
        if name not in channels and not (name in BESIDE and position == 0):
            raise no_such(name, name, "channel", origin, {*channels, *(BESIDE if position == 0 else ())})
    if len(set(escalation.order)) != len(escalation.order):
        raise SettingsError(f"{origin}: 'escalation.order' names a channel twice.", "Name each once.")
    return escalation


def _maintenance(found: Found) -> tuple[Maintenance, ...]:
    if ("maintenance",) not in found:
        below = [origin for keys, (_, origin) in found.items() if keys[0] == "maintenance"]
        if below:
            raise SettingsError(f"{below[0]}: 'maintenance' is a list of tables.", "Write each as [[maintenance]].")
        return ()
    value, origin = found[("maintenance",)]
    return tuple(_window(values, origin) for values in rows(("maintenance",), value, origin, MAINTENANCE))


def _window(values: dict[str, Any], origin: Origin) -> Maintenance:
    window = Maintenance(values.pop("name", "maintenance"), **values)
    once, again = window.start or window.end, window.at or window.minutes or window.weekdays
    whole = (window.start and window.end) if once else (window.at and window.minutes)
    if not whole or (once and again):
        raise SettingsError(
            f"{origin}: the maintenance window '{window.name}' has no time of its own.",
            "Give it start and end, or at, minutes and perhaps weekdays.",
        )
    if window.start and window.end:
        local = [moment.replace(tzinfo=moment.tzinfo or UTC) for moment in (window.start, window.end)]
        if (window.start.tzinfo is None) != (window.end.tzinfo is None) or local[0] >= local[1]:
            raise SettingsError(
                f"{origin}: the maintenance window '{window.name}' ends before it starts.",
                "Give both an offset, or neither, and a later end.",
            )
    if not (window.services or window.hosts or window.tags or window.kinds):
        raise SettingsError(
            f"{origin}: the maintenance window '{window.name}' is for nothing.",
            "Add services, hosts, tags or kinds.",
        )
    return window


def _hours(keys: Keys, raw: Any, origin: Origin) -> tuple[str, str]:
    return hours(keys, fitted(keys, raw, origin, list), origin)


def _zone(keys: Keys, raw: Any, origin: Origin) -> str:
    from zoneinfo import ZoneInfo

    name: str = fitted(keys, raw, origin, str)
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' is no time zone: {name}.", 'Write it like: zone = "Europe/Berlin"'
        ) from None
    return name


def _only(keys: Keys, raw: Any, origin: Origin) -> tuple[str, ...]:
    return tuple(chosen(keys, each, origin, {kind: kind for kind in KINDS}) for each in fitted(keys, raw, origin, list))


def _weekdays(keys: Keys, raw: Any, origin: Origin) -> tuple[int, ...]:
    days = {day: number for number, day in enumerate(WEEKDAYS)}
    return tuple(chosen(keys, each, origin, days) for each in fitted(keys, raw, origin, list))


def _time_of_day(keys: Keys, raw: Any, origin: Origin) -> str:
    text: str = fitted(keys, raw, origin, str)
    if not re.fullmatch(TIME, text):
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' must be a time of day.", f'Write it like: {keys[-1]} = "02:30"'
        )
    return text


def _moment(keys: Keys, raw: Any, origin: Origin) -> datetime:
    try:
        return raw if isinstance(raw, datetime) else datetime.fromisoformat(str(raw))
    except ValueError:
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' must be a date and time.", f"Write it like: {keys[-1]} = 2026-03-29T02:30:00"
        ) from None


def _url(keys: Keys, raw: Any, origin: Origin) -> str:
    text: str = fitted(keys, raw, origin, str)
    if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", text):
        raise SettingsError(f"{origin}: '{dotted(keys)}' must be an address of the web.", "Start it with https://")
    return text.rstrip("/")


def _repository(keys: Keys, raw: Any, origin: Origin) -> str:
    text: str = fitted(keys, raw, origin, str)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", text) or {".", ".."} & set(text.split("/")):
        raise SettingsError(f"{origin}: '{dotted(keys)}' must be an owner and a name.", "Write it like: ops/homelab")
    return text


NOTIFY = {
    "url": Key(secret=True, required=True),
    "min_severity": Key(choices=SEVERITIES),
    "only": Key(read=_only),
    "quiet_hours": Key(read=_hours),
    "zone": Key(read=_zone),
    "gather": Key(float, least=1.0),
}
ESCALATION = {"order": Key(list, required=True), "after_minutes": Key(float, least=0.1)}
GITEA = {
    "url": Key(read=_url, required=True),
    "repository": Key(read=_repository, required=True),
    "token": Key(secret=True, required=True),
}
DEADMAN = {"ping_url": Key(secret=True, required=True), "every": Key(float, least=1.0)}
HEARTBEAT = {
    "every": Key(float, least=1.0, required=True),
    "grace": Key(float, least=0.0),
    "severity": Key(choices=SEVERITIES),
}
MAINTENANCE = {
    "name": Key(),
    **{name: Key(list) for name in ("services", "hosts", "tags", "kinds")},
    "start": Key(read=_moment),
    "end": Key(read=_moment),
    "weekdays": Key(read=_weekdays),
    "at": Key(read=_time_of_day),
    "minutes": Key(float, least=0.1),
    "zone": Key(read=_zone),
}
