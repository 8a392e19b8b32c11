"""One transaction on the log: scrubbed writes, and events that are linked and vouch for rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, TypeAlias

from cockpit.model import JSON, canonical
from cockpit.store.chain import GENESIS, SEALED, Head, link, seal

SQL: TypeAlias = int | float | str | bytes | None
Scrub: TypeAlias = Callable[[JSON], JSON]
Written: TypeAlias = Mapping[str, Any]
"""A row as it was written just now, by column; Any, for it holds whatever a column takes."""
RowOf: TypeAlias = tuple[str, int | Written]
"""A table of `SEALED`, and the key of one of its rows or all that an event vouches for of one just written."""

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
LAST_EVENT = "select id, mac from event order by id desc limit 1"
TOUCH = "update incident set updated_at = max(updated_at, ?) where id in (select value from json_each(?))"
URGENT = ("decision", "change", "freeze", "prune")
"""Kinds of events after which the head must reach the anchors at once."""
MOST_ROWS = 64
"""Rows that one statement appends at the most."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that is to be appended."""

    kind: str
    text: str
    actor: str
    at: float | None
    """When it happened; None for now."""
    incident: int | None
    service: str
    data: Mapping[str, JSON]
    vouches: Iterable[RowOf]


class Transaction:
    """What happens between `begin immediate` and `commit`.

    Args:
        connection: the one that writes.
        key: the chain's key.
        scrub: takes secrets and control sequences out of all that is stored.
        now: the time of what happens, in seconds since the epoch.
    """

    def __init__(self, connection: sqlite3.Connection, key: bytes, scrub: Scrub, now: float) -> None:
        self._connection = connection
        self._key = key
        self._scrub = scrub
        self.now = now
        self._texts: dict[str, str] = {}
        self.head: Head | None = None
        """The last event this transaction appended."""
        self.urgent = False
        """Whether the head must reach the anchors at once."""

    def part(self) -> Iterator[Self]:
        """A part of this transaction that is kept with it, or taken back by itself when it raises."""
        before = self.head, self.urgent
        self._connection.execute("savepoint part")
        try:
            yield self
        except BaseException:
            if self._connection.in_transaction:  # a full disk ends the whole of it at once
                self._connection.execute("rollback to part")
                self._connection.execute("release part")
            self.head, self.urgent = before
            raise
        self._connection.execute("release part")

    def execute(self, sql: str, *parameters: SQL) -> int:
        """Run a statement; returns how many rows it changed."""
        return self._connection.execute(sql, parameters).rowcount

    def all(self, sql: str, *parameters: SQL) -> list[sqlite3.Row]:
        """The rows of a query."""
        return self._connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, *parameters: SQL) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        row: sqlite3.Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    def insert(self, table: str, **values: SQL) -> int:
        """Append a row; returns its id."""
        rowid = self._connection.execute(_insert(table, tuple(values)), tuple(values.values())).lastrowid
        assert rowid is not None
        return rowid

    def insert_all(self, table: str, rows: Sequence[Written]) -> None:
        """Append rows, all with the same columns; many by one statement, for each costs as much as a row."""
        start = 0
        while start < len(rows):
            size = min(MOST_ROWS, 1 << ((len(rows) - start).bit_length() - 1))  # few sizes: each is prepared once
            part = rows[start : start + size]
            self._connection.execute(
                _insert(table, tuple(part[0]), size), [value for row in part for value in row.values()]
            )
            start += size

    def row(self, table: str, key: int) -> sqlite3.Row | None:
        """A row of one of the tables that events vouch for, or None."""
        return self.one(ROW_OF[table], key)

    def text(self, text: str) -> str:
        """A text as it may be stored: scrubbed, and without halves of surrogate pairs, which SQLite refuses."""
        known = self._texts.get(text)
        if known is None:
            known = self._texts[text] = _storable(self._scrub(str(text)))
        return known

    def expect(self, texts: Iterable[str]) -> None:
        """Prepare texts that are about to be stored: scrubbed together, many cost less than one at a time."""
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        scrubbed = self._scrub(new)
        assert isinstance(scrubbed, list)
        self._texts.update(zip(new, map(_storable, scrubbed), strict=True))

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
    ) -> Written:
        """Append an event that vouches for these rows as they now are; returns what was appended."""
        return self.events([Entry(kind, text, actor, at, incident, service, data or {}, vouches)])[0]

    def events(self, entries: Sequence[Entry]) -> list[Written]:
        """Append events; returns what was appended."""
        self._touch(entries)
        head, appended = self.head or self.last(), []
        for entry in entries:
            row = self._linked(entry, head)
            head = Head(row["id"], row["mac"])
            appended.append(row)
        self.insert_all("event", appended)
        self.head = head
        self.urgent = self.urgent or any(entry.kind in URGENT for entry in entries)
        return appended

    def _touch(self, entries: Sequence[Entry]) -> None:
        times: dict[float, list[int]] = {}
        for entry in entries:
            if entry.incident is not None:
                times.setdefault(self.now if entry.at is None else entry.at, []).append(entry.incident)
        for at, incidents in times.items():
            self.execute(TOUCH, at, canonical(incidents))

    def _linked(self, entry: Entry, before: Head) -> Written:
        row: dict[str, SQL] = {
            "id": before.id + 1,
            "at": float(self.now if entry.at is None else entry.at),
            "incident": entry.incident,
            "actor": self.text(entry.actor),
            "kind": self.text(entry.kind),
            "text": self.text(entry.text),
            "data": self.json(entry.data),
            "service": self.text(entry.service),
            "seals": canonical(dict(self._seal(table, row) for table, row in entry.vouches)),
        }
        return {**row, "mac": link(self._key, before.mac, row)}

    def last(self) -> Head:
        """The last event there is."""
        row = self.one(LAST_EVENT)
        return Head(row["id"], row["mac"]) if row else Head(0, GENESIS)

    def _seal(self, table: str, row: int | Written) -> tuple[str, str]:
        found = self.row(table, row) if isinstance(row, int) else row
        assert found is not None and table in SEALED
        return f"{table}:{found[SEALED[table][0]]}", seal(table, found)


@cache
def _insert(table: str, columns: tuple[str, ...], rows: int = 1) -> str:
    """The statement that appends rows; written here, for sqlite_utils looks the table up each time."""
    row = f"({', '.join('?' * len(columns))})"
    return f"insert into {table} ({', '.join(columns)}) values {', '.join([row] * rows)}"  # noqa: S608  our names


def _storable(scrubbed: JSON) -> str:
    text = str(scrubbed)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def plain(row: sqlite3.Row) -> Written:
    """All of a row; `dict` would look each column up by its name."""
    return dict(zip(row.keys(), row, strict=True))


def ids(rows: Sequence[sqlite3.Row]) -> list[int]:
    """The first column of rows."""
    return [row[0] for row in rows]
