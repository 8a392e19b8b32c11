"""One transaction on the log: scrubbed writes, and events that are linked and vouch for rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from cockpit.model import JSON, Event, canonical
from cockpit.store.chain import GENESIS, SEALED, Head, link, seal
from cockpit.store.rows import event_from

if TYPE_CHECKING:
    from sqlite_utils import Database

SQL: TypeAlias = int | float | str | bytes | None
Scrub: TypeAlias = Callable[[JSON], JSON]
RowOf: TypeAlias = tuple[str, int]
"""A table of `SEALED` and the key of one of its rows."""

ROW_OF = {
    "incident": "select * from incident where id = ?",
    "alert": "select * from alert where id = ?",
    "run": "select * from run where id = ?",
    "proposal": "select * from proposal where id = ?",
    "decision": "select * from decision where proposal = ?",
    "change": "select * from change where id = ?",
    "inquiry": "select * from inquiry where id = ?",
    "model_call": "select * from model_call where id = ?",
    "checkpoint": "select * from checkpoint where event = ?",
}
APPEND = """
insert into event (id, at, incident, actor, kind, text, data, service, seals, mac) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
LAST_EVENT = "select id, mac from event order by id desc limit 1"
TOUCH = "update incident set updated_at = max(updated_at, ?) where id = ?"


class Transaction:
    """What happens between `begin immediate` and `commit`.

    Args:
        database: the one connection that writes.
        key: the chain's key.
        scrub: takes secrets and control sequences out of all that is stored.
        now: the time of what happens, in seconds since the epoch.
    """

    def __init__(self, database: Database, key: bytes, scrub: Scrub, now: float) -> None:
        self._database = database
        self._key = key
        self._scrub = scrub
        self.now = now
        self.head: Head | None = None
        """The last event this transaction appended."""
        self.urgent = False
        """Whether the head must reach the anchors at once."""

    def part(self) -> Iterator[Self]:
        """A part of this transaction that is kept with it, or taken back by itself when it raises."""
        before = self.head, self.urgent
        self._database.execute("savepoint part")
        try:
            yield self
        except BaseException:
            if self._database.conn.in_transaction:  # a full disk ends the whole of it at once
                self._database.execute("rollback to part")
                self._database.execute("release part")
            self.head, self.urgent = before
            raise
        self._database.execute("release part")

    def execute(self, sql: str, *parameters: SQL) -> int:
        """Run a statement; returns how many rows it changed."""
        return self._database.execute(sql, parameters).rowcount

    def all(self, sql: str, *parameters: SQL) -> list[sqlite3.Row]:
        """The rows of a query."""
        return self._database.execute(sql, parameters).fetchall()

    def one(self, sql: str, *parameters: SQL) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        row: sqlite3.Row | None = self._database.execute(sql, parameters).fetchone()
        return row

    def insert(self, table: str, **values: SQL) -> int:
        """Append a row; returns its id."""
        rowid = self._database.execute(_insert(table, tuple(values)), tuple(values.values())).lastrowid
        assert rowid is not None
        return rowid

    def row(self, table: str, key: int) -> sqlite3.Row | None:
        """A row of one of the tables that events vouch for, or None."""
        return self.one(ROW_OF[table], key)

    def text(self, text: str) -> str:
        """A text as it may be stored: scrubbed, and without halves of surrogate pairs, which SQLite refuses."""
        scrubbed = str(self._scrub(str(text)))
        return scrubbed.encode("utf-8", "backslashreplace").decode("utf-8")

    def plain(self, value: JSON) -> Any:
        """Data as it may be stored; Any, for it is read back from JSON."""
        return self._scrub(value)

    def json(self, value: JSON) -> str:
        """Data as the JSON text that is stored."""
        return canonical(self.plain(value))

    def event(
        self,
        kind: str,
        text: str,
        *,
        actor: str,
        at: float | None = None,
        incident: int | None = None,
        service: str = "",
        data: Mapping[str, JSON] | None = None,
        vouches: Iterable[RowOf] = (),
    ) -> Event:
        """Append an event that vouches for these rows as they now are."""
        if incident is not None:
            self.execute(TOUCH, self.now if at is None else at, incident)
        previous = self.last()
        row: dict[str, int | float | str | None] = {
            "id": previous.id + 1,
            "at": float(self.now if at is None else at),
            "incident": incident,
            "actor": self.text(actor),
            "kind": self.text(kind),
            "text": self.text(text),
            "data": self.json(data or {}),
            "service": self.text(service),
            "seals": canonical({f"{table}:{key}": self._seal(table, key) for table, key in vouches}),
        }
        mac = link(self._key, previous.mac, row)
        self.execute(APPEND, *row.values(), mac)
        self.head = Head(previous.id + 1, mac)
        self.urgent = self.urgent or kind in ("decision", "change", "freeze", "prune")
        return event_from(row)

    def last(self) -> Head:
        """The last event there is."""
        row = self.one(LAST_EVENT)
        return Head(row["id"], row["mac"]) if row else Head(0, GENESIS)

    def _seal(self, table: str, key: int) -> str:
        row = self.row(table, key)
        assert row is not None and table in SEALED
        return seal(table, row)


@cache
def _insert(table: str, columns: tuple[str, ...]) -> str:
    """The statement that appends a row; written here, for sqlite_utils looks the table up each time."""
    return f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"  # noqa: S608  our names


def ids(rows: Sequence[sqlite3.Row]) -> list[int]:
    """The first column of rows."""
    return [row[0] for row in rows]
