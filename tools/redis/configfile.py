"""The config file of a Redis on this machine, compared with what runs.

Format: https://redis.io/docs/latest/operate/oss_and_stack/management/config/.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import stat
from pathlib import Path

from tools.redis.client import RedisConnection
from tools.redis.readings import Info, setting

DEFAULTS = {
    "appendonly": "no",
    "maxclients": "10000",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "timeout": "0",
}
"""The settings that are compared, with what holds when the file does not name them."""

LOCAL = ("127.0.0.1", "localhost", "::1")
LARGEST = 1024 * 1024
MEMORY = re.compile(r"(\d+)(k|kb|m|mb|g|gb)?", re.IGNORECASE)
FACTORS = {"": 1, "k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3}


async def differences(client: RedisConnection, seen: Info) -> dict[str, dict[str, str]] | None:
    """The settings whose value in the file is not the running one, each with `file` and `running`.

    None when that cannot be told: no config file, another machine, a file we may not read,
    or one that includes others.
    """
    in_file = await kept(client, seen)
    if in_file is None:
        return None
    running = {name: await setting(client, name) for name in DEFAULTS}
    return {
        name: {"file": in_file[name], "running": running[name]} for name in DEFAULTS if in_file[name] != running[name]
    }


async def kept(client: RedisConnection, seen: Info) -> dict[str, str] | None:
    """The compared settings as the config file has them; None when that cannot be told."""
    path = seen.text("config_file")
    if client.host not in LOCAL or not path:
        return None
    content = await asyncio.to_thread(_content, Path(path))
    return None if content is None else parsed(content)


def parsed(content: str) -> dict[str, str] | None:
    """The compared settings of a config file's text, the last of each; None when it includes other files."""
    found = dict(DEFAULTS)
    for line in content.splitlines():
        name, _, value = line.strip().partition(" ")
        if name.lower() == "include":
            return None
        if name.lower() in found:
            found[name.lower()] = _value(name.lower(), value)
    return found


def _value(name: str, value: str) -> str:
    try:
        word = " ".join(shlex.split(value))
    except ValueError:
        word = value
    size = MEMORY.fullmatch(word)
    return str(int(size[1]) * FACTORS[(size[2] or "").lower()]) if name == "maxmemory" and size else word


def _content(path: Path) -> str | None:
    """The text of a regular file of a sane size; the path comes from the server and may be anything."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        found = os.fstat(descriptor)
        return file.read() if stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST else None
