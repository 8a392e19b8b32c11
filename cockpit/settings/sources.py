"""Where settings come from: files, the environment, options; each value with the place it was set."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from cockpit import ownership
from cockpit.settings.values import Keys, Origin, SettingsError, config_home

SYSTEM = Path("/etc/cockpit/config.toml")
PREFIX = "COCKPIT_"
RESERVED = ("COCKPIT_CONFIG", "COCKPIT_LAB")
"""Variables of ours that are no settings: the config file, and the mark on the lab's processes."""

Tree: TypeAlias = "dict[str, Any]"  # what tomllib returns
Found: TypeAlias = "dict[Keys, tuple[Any, Origin]]"


def places(config: Path | None, environ: Mapping[str, str]) -> list[Path]:
    """The config files that exist, the weakest first; a file named by the operator stands alone.

    Raises SettingsError when that one is missing.
    """
    named = config or (Path(environ["COCKPIT_CONFIG"]) if environ.get("COCKPIT_CONFIG") else None)
    if named is None:
        return [place for place in (SYSTEM, config_home(environ) / "config.toml") if os.path.lexists(place)]
    if not os.path.lexists(named):
        raise SettingsError(f"There is no config file {named}.", "Write one with: cockpit init")
    return [named]


def read(file: Path) -> Found:
    """Every value in a TOML file by its keys.

    Raises SettingsError naming the line that is no TOML, or when others can change the file.
    """
    try:
        if fault := ownership.of_text(file):
            raise SettingsError(*fault)
        tree = tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not TOML: {error}.", "Correct that line.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is not text in UTF-8.", "Save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.", "Check its owner and mode.") from None
    return {keys: (value, Origin(str(file), keys)) for keys, value in _leaves(tree)}


def from_environment(environ: Mapping[str, str]) -> Found:
    """Every `COCKPIT_A__B` variable; its value stays text until it is known what it is for."""
    found: Found = {}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in RESERVED:
            found[tuple(name[len(PREFIX) :].lower().split("__"))] = (environ[name], Origin(f"${name}"))
    return found


def merged(*sources: Found) -> Found:
    """The sources laid over each other, the strongest last; a value replaces all that stood below its key."""
    result: Found = {}
    for source in sources:
        for keys, entry in source.items():
            below = [other for other in result if other[: len(keys)] == keys]
            above = [other for other in result if other == keys[: len(other)] and other != keys]
            if entry[0] == {} and below:
                continue
            for other in (*below, *above):
                del result[other]
            result[keys] = entry
    return result


def _leaves(tree: Tree, above: Keys = ()) -> list[tuple[Keys, Any]]:
    found: list[tuple[Keys, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            found += _leaves(value, (*above, key))
        else:
            found.append(((*above, key), value))
    return found
