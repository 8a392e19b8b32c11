"""Whether a setting is one, and of the right type; errors name its place and the nearest valid one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from cockpit.settings.values import Keys, Origin, SettingsError

NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list of texts",
    dict: "a table",
}
EXAMPLES = {str: '"text"', int: "3", float: "2.5", bool: "true", list: '["one", "two"]', dict: '{ name = "value" }'}
BARE = r"[A-Za-z0-9_-]+"
TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"


def dotted(keys: Keys) -> str:
    """The keys as they are written in the file."""
    return ".".join(key if re.fullmatch(BARE, key) else f'"{key}"' for key in keys)


def unknown(keys: Keys, origin: Origin, known: Iterable[str]) -> SettingsError:
    """The error for a key that is no setting, with the nearest that is one."""
    return no_such(keys[-1], dotted(keys), "setting", origin, known)


def no_such(name: str, shown: str, what: str, origin: Origin, known: Iterable[str]) -> SettingsError:
    """The error for a name that nothing bears, with the nearest that something does.

    Args:
        name: what was written.
        shown: what the error calls it.
        what: what it should be, such as `service`.
        origin: where it was written.
        known: the names there are.
    """
    from difflib import get_close_matches

    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    fix = f"Did you mean '{close[0]}'?" if close else f"Known here: {', '.join(names)}."
    return SettingsError(f"{origin}: '{shown}' is no {what}.", fix)


def fitted(keys: Keys, value: Any, origin: Origin, wanted: type) -> Any:
    """The value as the wanted type; a whole number passes as a number, text of the environment is read as TOML.

    Raises SettingsError for anything else.
    """
    if origin.environment and wanted is not str:
        value = _parsed(value, wanted)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
    if not fits or (isinstance(value, list) and not all(isinstance(item, str) for item in value)):
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' must be {NAMES[wanted]}, and is {_kind(value)}.",
            f"Write it like: {keys[-1]} = {EXAMPLES[wanted]}",
        )
    return value


def at_least(keys: Keys, value: float, origin: Origin, least: float, *, above: bool = False) -> None:
    """Raise SettingsError unless the number is at least (or above) so much."""
    if not (value > least if above else value >= least):
        bound = f"more than {least:g}" if above else f"{least:g} or more"
        raise SettingsError(f"{origin}: '{dotted(keys)}' must be {bound}, and is {value:g}.", "Correct the number.")


def hours(keys: Keys, value: list[str], origin: Origin) -> tuple[str, str]:
    """Two times of day. Raises SettingsError."""
    if len(value) != 2 or not all(re.fullmatch(TIME, time) for time in value):
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' must be two times of day.", f'Write it like: {keys[-1]} = ["22:00", "07:00"]'
        )
    return value[0], value[1]


def chosen(keys: Keys, value: object, origin: Origin, choices: Mapping[str, Any]) -> Any:
    """What the word stands for. Raises SettingsError naming the words there are."""
    if not isinstance(value, str) or value not in choices:
        raise SettingsError(f"{origin}: '{dotted(keys)}' must be one of: {', '.join(choices)}.", "Choose one of them.")
    return choices[value]


def _parsed(text: str, wanted: type) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return [part.strip() for part in text.split(",") if part.strip()] if wanted is list else text


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "a list"
    return NAMES.get(type(value), "a date or time")
