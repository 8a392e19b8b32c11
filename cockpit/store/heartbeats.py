"""Signs of life that others send: who is waited for, and who came when."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cockpit.model import CockpitError

if TYPE_CHECKING:
    from cockpit.store.transaction import Transaction

Begin: TypeAlias = "Callable[[], AbstractContextManager[Transaction]]"

KNOWN = "select * from heartbeat order by name"
BEAT = "update heartbeat set last_at = max(last_at, ?), pings = pings + 1 where name = ?"


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life of one sender."""

    name: str
    last_at: float
    """When it came; when it was first waited for, if none has come yet."""
    pings: int
    """How many came so far."""


class Heartbeats:
    """The part of the log that says who is waited for. Made by `Store.heartbeats`.

    Args:
        begin: opens a transaction on the log.
    """

    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    def expect(self, names: Iterable[str], now: float) -> None:
        """Wait for signs of life under these names, and under no others."""
        wanted = set(names)
        with self._begin() as log:
            for row in log.all(KNOWN):
                if row["name"] not in wanted:
                    log.execute("delete from heartbeat where name = ?", row["name"])
            for name in sorted(wanted):
                log.execute("insert or ignore into heartbeat (name, last_at, pings) values (?, ?, 0)", name, now)

    def beat(self, name: str, at: float) -> None:
        """Take in a sign of life. Raises CockpitError when nobody waits for one under that name."""
        with self._begin() as log:
            wanted = log.text(name)
            if log.execute(BEAT, at, wanted) == 1:
                return
            known = ", ".join(row["name"] for row in log.all(KNOWN)) or "none"
        raise CockpitError(
            f"No heartbeat '{wanted[:80]}' is waited for.", f"Add [heartbeats.NAME] to the config. Known: {known}."
        )


def beat_from(row: sqlite3.Row) -> Beat:
    """The last sign of life of one sender."""
    return Beat(row["name"], row["last_at"], row["pings"])
