"""Caddy's files: the config that ought to run, and the log."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path

from cockpit.model import JSON, CockpitError
from tools.command import execute

ADAPT_SECONDS = 10.0
LARGEST_LOG = 2_000_000
"""Bytes read from the end of a log."""


@dataclass(frozen=True)
class Adapted:
    """The config that ought to run, from its file."""

    config: JSON
    error: str = ""
    """Why the file is no config; empty when it is one."""


# Asked for with every probe, and the program takes 50 ms: kept while the file stays as it is.
_known: dict[Path, tuple[tuple[int, int], Adapted]] = {}


async def adapted(binary: str, file: Path) -> Adapted:
    """The config in a file, by `caddy adapt`; a file that ends in `.json` is one already.

    Args:
        binary: the program caddy.
        file: the config file.

    Raises:
        Unreachable: the program cannot be run.
    """
    try:
        state = await asyncio.to_thread(os.stat, file)
    except OSError as error:
        return Adapted(None, f"{file}: {error.strerror}")
    stamp = (state.st_mtime_ns, state.st_size)
    kept = _known.get(file)
    if kept and kept[0] == stamp:
        return kept[1]
    fresh = await (_parsed(file) if file.suffix == ".json" else _adapted(binary, file))
    _known[file] = (stamp, fresh)
    return fresh


async def tail(file: Path) -> list[str]:
    """The last lines of a log, at most 2 MB. Raises CockpitError when it cannot be read."""
    try:
        return await asyncio.to_thread(_tail, file)
    except OSError as error:
        raise CockpitError(f"The log {file} cannot be read: {error.strerror}.", "Correct 'log_file'.") from error


async def _adapted(binary: str, file: Path) -> Adapted:
    output = await execute([binary, "adapt", "--adapter", "caddyfile", "--config", str(file)], seconds=ADAPT_SECONDS)
    if output.status != 0:
        return Adapted(None, output.said.rpartition("\n")[2].removeprefix("Error: "))
    return _json(output.text)


async def _parsed(file: Path) -> Adapted:
    try:
        return _json(await asyncio.to_thread(file.read_text, encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return Adapted(None, f"{file}: {error}")


def _json(text: str) -> Adapted:
    try:
        return Adapted(json.loads(text))
    except ValueError as error:
        return Adapted(None, f"not JSON: {error}")


def _tail(file: Path) -> list[str]:
    with file.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - LARGEST_LOG))
        lines = log.read(LARGEST_LOG).decode(errors="replace").splitlines()
    return lines[1:] if size > LARGEST_LOG else lines
