"""What Redis says of itself, read once and given names: INFO, CONFIG GET and CLIENT LIST.

Fields of INFO: https://redis.io/docs/latest/commands/info/, of CLIENT LIST:
https://redis.io/docs/latest/commands/client-list/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tools.redis.client import NAME, RedisConnection
from tools.shapes import mapping, number, sequence, text

LASTING_FLAGS = {"S": "replica", "M": "master", "b": "blocked", "O": "monitor", "P": "subscriber"}
"""Flags of clients that are quiet on purpose, or that must never be ended for being idle."""


class Info:
    """The answer to INFO; a field that this version does not have reads as 0 or empty."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def number(self, field: str, default: float = 0.0) -> float:
        """A field as a number."""
        return number(self._fields.get(field), default)

    def text(self, field: str) -> str:
        """A field as text."""
        return text(self._fields.get(field))

    def inner(self, field: str) -> Mapping[str, Any]:
        """A field made of several, such as `db0` or `errorstat_OOM`."""
        return mapping(self._fields.get(field))

    @cached_property
    def databases(self) -> list[dict[str, Any]]:
        """Each database that holds keys: `database`, `keys`, `expiring`, `average_ttl_seconds`."""
        return [
            {
                "database": int(name[2:]),
                "keys": number(of.get("keys")),
                "expiring": number(of.get("expires")),
                "average_ttl_seconds": number(of.get("avg_ttl")) / 1000,
            }
            for name in sorted(self._fields)
            if name.startswith("db") and name[2:].isdigit() and (of := self.inner(name))
        ]

    @property
    def keys(self) -> float:
        """Keys in all databases."""
        return float(sum(each["keys"] for each in self.databases))

    @property
    def lasting(self) -> float:
        """Keys without an expiry, which nobody but their application may remove."""
        return float(sum(each["keys"] - each["expiring"] for each in self.databases))

    @property
    def used_ratio(self) -> float:
        """Memory used, as a part of the limit; 0.0 without a limit."""
        limit = self.number("maxmemory")
        return self.number("used_memory") / limit if limit > 0 else 0.0

    @property
    def refuses_when_full(self) -> bool:
        """Whether writes are refused at the limit, instead of keys being evicted."""
        return self.text("maxmemory_policy") == "noeviction"


async def info(client: RedisConnection, section: str = "default") -> Info:
    """INFO of one section; `default` has nearly all, `commandstats` the calls of each command."""
    return Info(mapping(await client.ask("INFO", section)))


async def setting(client: RedisConnection, name: str) -> str:
    """The running value of one setting; empty when this version does not have it."""
    return str(mapping(await client.ask("CONFIG GET", name)).get(name, ""))


@dataclass(frozen=True)
class Connected:
    """One connected client."""

    id: int
    address: str
    """`ip:port`, or the path of a socket."""
    name: str
    idle: float
    """Seconds since its last command."""
    age: float
    flags: str
    command: str
    buffer: float
    """Bytes of answers that it has not read."""

    @property
    def host(self) -> str:
        """Its address without the port."""
        return self.address.rpartition(":")[0]

    @property
    def ours(self) -> bool:
        """Whether it is a connection of cockpit."""
        return self.name == NAME

    @property
    def role(self) -> str:
        """Why it is quiet on purpose: replica, blocked, monitor …; empty for a plain client."""
        return next((role for flag, role in LASTING_FLAGS.items() if flag in self.flags), "")


async def connected(client: RedisConnection) -> list[Connected]:
    """All connected clients, oldest first."""
    rows = [mapping(row) for row in sequence(await client.ask("CLIENT LIST"))]
    return sorted((_connected(row) for row in rows), key=lambda each: each.id)


def _connected(row: Mapping[str, Any]) -> Connected:
    return Connected(
        id=int(number(row.get("id"))),
        address=text(row.get("addr")),
        name=text(row.get("name")),
        idle=number(row.get("idle")),
        age=number(row.get("age")),
        flags=text(row.get("flags")),
        command=text(row.get("cmd")),
        buffer=number(row.get("omem")),
    )
