"""Tables of the config beside `policy` and `services`: their keys checked, their secrets fetched when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cockpit.settings.checks import at_least, chosen, dotted, fitted, unknown
from cockpit.settings.secrets import FORMS, fetch, refuse_readable
from cockpit.settings.sources import Found
from cockpit.settings.values import Keys, Origin, SettingsError

Read: TypeAlias = Callable[[Keys, Any, Origin], Any]
"""Turns what was written into a value, or raises SettingsError."""


@dataclass(frozen=True)
class Secret:
    """A secret that stands in the config or is named there; it is fetched by whoever needs it."""

    name: str
    """What a placeholder calls it, such as `notify.phone.url`."""
    form: str
    """Empty when the text is the secret itself, else one of `FORMS`."""
    text: str
    origin: Origin

    def fetched(self) -> str:
        """The secret itself. Raises SettingsError when it is missing, empty, or can be read by others."""
        if self.form:
            return fetch(self.form, self.text, self.origin)
        if self.origin.file:
            refuse_readable(self.origin.file, "it holds a secret")
        return self.text

    def __repr__(self) -> str:
        return f"Secret({self.name})"


@dataclass(frozen=True)
class Key:
    """What a key of a table may hold."""

    type: type = str
    secret: bool = False
    """Whether it may be given as `_file`, `_env` or `_credential` too; its value is a `Secret` then."""
    required: bool = False
    least: float | None = None
    choices: Mapping[str, Any] | None = None
    read: Read | None = None


def tables(name: str, found: Found, known: Mapping[str, Key]) -> dict[str, dict[str, Any]]:
    """The values of each `[name.X]` by its X. Raises SettingsError naming the place of what is wrong."""
    parts: dict[str, Found] = {}
    for keys, (value, origin) in found.items():
        if keys[0] != name or (len(keys) == 1 and value == {}):
            continue
        if len(keys) == 1 or (len(keys) == 2 and value != {}):
            raise SettingsError(
                f"{origin}: '{dotted(keys)}' is no table of its own.", f"Give it a name: [{name}.{keys[-1]}]"
            )
        parts.setdefault(keys[1], {})[keys] = (value, origin)
    return {part: _values((name, part), entries, known) for part, entries in parts.items()}


def table(name: str, found: Found, known: Mapping[str, Key]) -> dict[str, Any] | None:
    """The values of `[name]`, or None when it is not there. Raises SettingsError."""
    entries = {keys: entry for keys, entry in found.items() if keys[0] == name}
    return _values((name,), entries, known) if entries else None


def rows(keys: Keys, value: Any, origin: Origin, known: Mapping[str, Key]) -> list[dict[str, Any]]:
    """The values of each table of a list of tables, such as `[[maintenance]]`. Raises SettingsError."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' must be a list of tables.", f"Write each as [[{dotted(keys)}]]."
        )
    return [
        _values(keys, {(*keys, key): (each, origin) for key, each in row.items()} or {keys: ({}, origin)}, known)
        for row in value
    ]


def _values(path: Keys, entries: Found, known: Mapping[str, Key]) -> dict[str, Any]:
    names = {given: name for name, key in known.items() for given in _names(name, key)}
    values: dict[str, Any] = {}
    for keys, (raw, origin) in entries.items():
        if keys == path:
            if raw != {}:
                raise SettingsError(f"{origin}: '{dotted(path)}' must be a table.", f"Write it under [{dotted(path)}].")
            continue
        given = keys[len(path)]
        if given not in names:
            raise unknown((*path, given), origin, names)
        name = names[given]
        if name in values:
            raise SettingsError(f"{origin}: '{dotted((*path, name))}' is given twice.", "Keep one way of giving it.")
        whole = raw if len(keys) == len(path) + 1 else {}
        values[name] = _value((*path, given), name, whole, origin, known[name])
    for name, key in known.items():
        if key.required and name not in values:
            origin = next(iter(entries.values()))[1]
            raise SettingsError(f"{origin}: '{dotted(path)}' lacks '{name}'.", f"Add it: {name} = …")
    return values


def _names(name: str, key: Key) -> tuple[str, ...]:
    return (name, *(name + form for form in FORMS)) if key.secret else (name,)


def _value(keys: Keys, name: str, raw: Any, origin: Origin, key: Key) -> Any:
    if key.read is not None:
        return key.read(keys, raw, origin)
    if key.choices is not None:
        return chosen(keys, raw, origin, key.choices)
    value = fitted(keys, raw, origin, key.type)
    if key.least is not None:
        at_least(keys, value, origin, key.least)
    if key.secret:
        return Secret(dotted((*keys[:-1], name)), keys[-1].removeprefix(name), value, origin)
    return tuple(value) if isinstance(value, list) else value
