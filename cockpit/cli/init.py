"""Writes a first config from what runs on this machine, asking about each service."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path

from cockpit.cli import output
from cockpit.cli.discovery import Found, discover
from cockpit.cli.exits import OK
from cockpit.files import data_file
from cockpit.model import CockpitError
from cockpit.settings.values import config_home
from cockpit.text import counted
from cockpit.toolkit import Kind, Option, Registry

FIRST_SERVICE = "[services."
"""Where the example's own services begin, which the found ones replace."""


def write(arguments: Namespace) -> int:
    """Find what runs on this machine, ask, and write a commented config that only its owner can read."""
    target = getattr(arguments, "config", None) or config_home(os.environ) / "config.toml"
    _may_write(target, ask=not arguments.no_input)
    registry = Registry.discover()
    found = [each for each in discover() if each.name.partition("/")[0] in registry.kinds]
    wanted = [each for each in found if arguments.no_input or _wanted(each)]
    _save(target, "\n".join(document(wanted, registry)) + "\n")
    output.line(target)
    services = counted(len(wanted), "service")
    output.talk(f"Wrote {target} with {services}. Fill in what is missing, then check it with: cockpit doctor")
    return OK


def document(found: Iterable[Found], registry: Registry) -> Iterator[str]:
    """The lines of a config: the example's general part, then each service with every option of its kind."""
    for line in data_file("example.toml").read_text().splitlines():
        if line.startswith(FIRST_SERVICE):
            break
        yield line
    for each in found:
        kind, _, name = each.name.partition("/")
        yield f"[services.{kind}.{_key(name)}]"
        if each.depends_on:
            yield f"depends_on = {json.dumps(list(each.depends_on))}"
        yield from _options(each, registry.kinds[kind])
        yield ""


def _options(found: Found, kind: Kind) -> Iterator[str]:
    for option in kind.options:
        if option.name in found.options:
            yield f"{option.name} = {json.dumps(found.options[option.name])}"
        else:
            yield _comment(option)


def _comment(option: Option) -> str:
    name = f"{option.name}_file" if option.secret else option.name
    example = "{}" if option.type is dict else "[]" if option.type is list else '""'
    value = example if option.default is None else json.dumps(option.default)
    return f"# {name} = {value}  # {' '.join(option.help.split())}"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else json.dumps(name)


def _wanted(found: Found) -> bool:
    told = ", ".join(f"{key} {value}" for key, value in found.options.items())
    return output.ask(f"Watch {found.name}{f' ({told})' if told else ''}? [Y/n]").lower() in ("", "y", "yes")


def _may_write(target: Path, *, ask: bool) -> None:
    """Raise CockpitError unless there is no such file, or the operator agrees to replace it."""
    if not target.exists() and not target.is_symlink():
        return
    if not ask:
        raise CockpitError(f"{target} exists already.", "Move it away, or answer the question without --no-input.")
    if output.ask(f"{target} exists. Replace it? The old one is kept as {target.name}.old [y/N]").lower() not in (
        "y",
        "yes",
    ):
        raise CockpitError(f"{target} was left as it is.", "Write to another file with --config.")


def _save(target: Path, text: str) -> None:
    """Write the whole file or nothing, readable by its owner alone; a replaced one is kept beside it."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = target.with_name(f".{target.name}.{os.getpid()}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            target.replace(target.with_name(f"{target.name}.old"))
        new.replace(target)
    except OSError as error:
        raise CockpitError(
            f"{target} cannot be written: {error.strerror}.", "Name another file with --config."
        ) from None
