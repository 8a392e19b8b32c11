"""The services of the config: common keys checked, the rest kept as options of their kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cockpit.model import Service
from cockpit.settings.checks import at_least, dotted, fitted, no_such
from cockpit.settings.sources import Found
from cockpit.settings.values import Keys, Origin, SettingsError

COMMON: dict[str, type] = {
    "depends_on": list,
    "critical": bool,
    "interval": float,
    "timeout": float,
    "expected_down": bool,
    "note": str,
    "tags": list,
}
"""What every service may have, whatever its kind."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def services(found: Found) -> tuple[Service, ...]:
    """The services. Raises SettingsError for a wrong key, an unknown dependency, or a circle of them."""
    tables: dict[Keys, Found] = {}
    for keys, entry in found.items():
        if not keys:
            continue
        _check_name(keys, *entry)
        tables.setdefault(keys[:2], {})[keys[2:]] = entry
    result = {"/".join(name): _service("/".join(name), table) for name, table in tables.items()}
    origins = {"/".join(name): table[("depends_on",)][1] for name, table in tables.items() if ("depends_on",) in table}
    for service in result.values():
        for other in service.depends_on:
            if other not in result:
                raise no_such(other, other, "service", origins[service.name], result)
    _refuse_circles(result, origins)
    return tuple(result.values())


def _check_name(keys: Keys, value: object, origin: Origin) -> None:
    where = dotted(("services", *keys[:2]))
    if len(keys) == 1 or (len(keys) == 2 and value != {}):
        raise SettingsError(
            f"{origin}: '{where}' is no service.",
            f"A service is a table of its kind and name: [services.{keys[0]}.main]",
        )
    if not all(NAME.fullmatch(part) for part in keys[:2]):
        raise SettingsError(f"{origin}: '{where}' is no name for a service.", "Use letters, digits, '-', '_' and '.'.")


def _service(name: str, table: Found) -> Service:
    common: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for keys, (raw, origin) in table.items():
        if not keys:
            continue
        full = ("services", *name.split("/"), *keys)
        if keys[0] in COMMON:
            value = fitted(full, raw, origin, COMMON[keys[0]])
            if keys[0] in ("interval", "timeout"):
                at_least(full, value, origin, 0, above=True)
            common[keys[0]] = tuple(value) if isinstance(value, list) else value
        else:
            _put(options, keys, raw)
    return Service(name, options, **common)


def _put(options: dict[str, Any], keys: Keys, value: object) -> None:
    for key in keys[:-1]:
        options = options.setdefault(key, {})
    options[keys[-1]] = value


def _refuse_circles(known: Mapping[str, Service], origins: Mapping[str, Origin]) -> None:
    settled: set[str] = set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " → ".join((*way[way.index(name) :], name))
            raise SettingsError(
                f"{origins[name]}: services depend on each other in a circle: {circle}.", "Remove one 'depends_on'."
            )
        if name not in settled:
            for other in known[name].depends_on:
                follow(other, (*way, name))
            settled.add(name)

    for name in known:
        follow(name, ())
