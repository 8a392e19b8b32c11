"""Finds what was edited, removed, inserted or cut off in the log behind cockpit's back, and says which row."""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cockpit.files import data_file
from cockpit.model import CockpitError
from cockpit.store import anchors as anchoring
from cockpit.store.chain import GENESIS, LINKED, SEALED, Head, link, load_key, seal
from cockpit.store.connection import explained, reading

LISTED = 20
"""Problems of integrity that SQLite lists at the most."""

# Columns by name, so that a damaged schema is an error of SQLite; the names are our own, not data.
EVENTS = f"select {', '.join(LINKED)}, mac from event order by id"  # noqa: S608  see above
ALL = {table: f"select {', '.join(columns)} from {table}" for table, columns in SEALED.items()}  # noqa: S608  see above
CHECKPOINT = "select event, mac from checkpoint order by event desc limit 1"
STRUCTURE = "select type, name, sql from sqlite_master where name not like 'sqlite_%' order by type, name"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the log that is not as cockpit left it."""

    row: str
    """Which row, such as `event:17`; a file's path for an anchor; `file` for the file as a whole."""
    what: str


def verify(path: Path, key_path: Path, anchors: Sequence[Path]) -> list[Problem]:
    """Check a log against its key and the anchors; empty when nothing is wrong.

    Raises CockpitError when the log or the key cannot be read at all.
    """
    return check(path, load_key(key_path, create=False), anchors)


def check(path: Path, key: bytes, anchors: Sequence[Path]) -> list[Problem]:
    """Check a log against a key that was read already, and the anchors."""
    connection = reading(path)
    connection.text_factory = _text
    try:
        with explained(path):
            # Before the snapshot begins: a log that is being written grows, and its anchors with it.
            kept = [(anchor, _kept_in(anchor)) for anchor in anchors]
            connection.execute("begin")
            return [*_file(connection), *_Walk(connection, key).problems(), *_anchored(connection, kept)]
    finally:
        connection.close()


def _text(stored: bytes) -> str:
    """Text as it is in the file; bytes that are none make it differ, and do not end the audit."""
    return stored.decode("utf-8", "surrogateescape")


def _file(connection: sqlite3.Connection) -> Iterator[Problem]:
    for (found,) in connection.execute(f"pragma integrity_check({LISTED})"):
        if found != "ok":
            yield Problem("file", found)
    for table, rowid, parent, _ in connection.execute("pragma foreign_key_check"):
        yield Problem(f"{table}:{rowid}", f"points at a row of {parent} that does not exist")
    expected, actual = _structure_wanted(), set(map(tuple, connection.execute(STRUCTURE)))
    for kind, name, _ in sorted(expected ^ actual, key=str):
        yield Problem(f"{kind}:{name}", "is not as cockpit made it: rows may have been edited without a trace")


def _structure_wanted() -> set[tuple[str, str, str]]:
    """The tables, indexes and triggers that the migrations make."""
    fresh = sqlite3.connect(":memory:")
    try:
        for script in sorted(data_file("migrations").glob("[0-9]*.sql")):
            fresh.executescript(script.read_text())
        return set(fresh.execute(STRUCTURE))
    finally:
        fresh.close()


@dataclass(frozen=True, slots=True)
class _Voucher:
    """What an event says that a row holds."""

    seal: str
    event: int
    genuine: bool
    """Whether the event itself is as it was written."""


class _Walk:
    """One walk along the chain, collecting what each event vouches for."""

    def __init__(self, connection: sqlite3.Connection, key: bytes) -> None:
        self._connection = connection
        self._key = key
        self._vouchers: dict[str, _Voucher] = {}

    def problems(self) -> Iterator[Problem]:
        yield from self._chain()
        for table in SEALED:
            yield from self._rows(table)
        for name, voucher in self._vouchers.items():
            yield Problem(name, f"removed: event {voucher.event} vouches for it, and it is gone")

    def _chain(self) -> Iterator[Problem]:
        last = _beginning(self._connection)
        for row in self._connection.execute(EVENTS):
            follows = row["id"] == last.id + 1
            if not follows:
                yield Problem(f"event:{row['id']}", f"removed: events {last.id + 1} to {row['id'] - 1} are missing")
            genuine = follows and _links(self._key, last, row)
            if not genuine:
                yield Problem(f"event:{row['id']}", "edited, inserted or moved: it does not fit the event before it")
            yield from self._collect(row, genuine)
            last = Head(row["id"], row["mac"])

    def _collect(self, row: sqlite3.Row, genuine: bool) -> Iterator[Problem]:
        try:
            seals = dict(json.loads(row["seals"]))
        except (ValueError, TypeError):
            yield Problem(f"event:{row['id']}", "edited: what it vouches for cannot be read")
            return
        for name, wanted in seals.items():
            self._vouchers[name] = _Voucher(str(wanted), row["id"], genuine)

    def _rows(self, table: str) -> Iterator[Problem]:
        """Compare each row with the last event that vouches for it; what stays in `_vouchers` has no row."""
        for row in self._connection.execute(ALL[table]):
            name = f"{table}:{row[SEALED[table][0]]}"
            voucher = self._vouchers.pop(name, None)
            if voucher is None:
                yield Problem(name, "inserted: no event vouches for it")
            elif not _holds(table, row, voucher):
                yield Problem(name, f"edited: it is not as event {voucher.event} left it")
            elif not voucher.genuine:
                yield Problem(name, f"in doubt: event {voucher.event}, which vouches for it, is not genuine")


def _beginning(connection: sqlite3.Connection) -> Head:
    """What stands before the first event: nothing, or the last of those that were pruned.

    Whether the checkpoint is ours shows further on: an event vouches for it, like for any row.
    """
    row = connection.execute(CHECKPOINT).fetchone()
    if row is None:
        return Head(0, GENESIS)
    try:
        return Head(row["event"], bytes.fromhex(row["mac"]))
    except (TypeError, ValueError):
        return Head(row["event"], b"")


def _holds(table: str, row: sqlite3.Row, voucher: _Voucher) -> bool:
    try:
        return seal(table, row) == voucher.seal
    except TypeError:  # a blob where text belongs
        return False


def _links(key: bytes, last: Head, row: sqlite3.Row) -> bool:
    try:
        return hmac.compare_digest(link(key, last.mac, row), row["mac"])
    except TypeError:  # a blob where text belongs
        return False


def _kept_in(anchor: Path) -> list[Head] | CockpitError | None:
    """The heads in an anchor, why they cannot be read, or None when there is no such file."""
    if not anchor.exists():
        return None
    try:
        return anchoring.read(anchor)
    except CockpitError as error:
        return error


def _anchored(
    connection: sqlite3.Connection, kept: Sequence[tuple[Path, list[Head] | CockpitError | None]]
) -> Iterator[Problem]:
    last = connection.execute("select coalesce(max(id), 0) from event").fetchone()[0]
    for path, heads in kept:
        if isinstance(heads, CockpitError):
            yield Problem(str(path), heads.what)
        elif heads is not None:
            yield from (problem for head in heads if (problem := _compared(connection, path, head, last)))
        elif last:
            yield Problem(str(path), "this anchor is missing: a log that was cut off cannot be told from a whole one")


def _compared(connection: sqlite3.Connection, path: Path, head: Head, last: int) -> Problem | None:
    if head.id > last:
        return Problem(f"event:{last + 1}", f"cut off: {path} names event {head.id}, the log ends at {last}")
    beginning = _beginning(connection)
    if head.id < beginning.id:
        return None
    row = connection.execute("select mac from event where id = ?", [head.id]).fetchone()
    mac = row["mac"] if row else beginning.mac if head.id == beginning.id else None
    if mac != head.mac:
        return Problem(f"event:{head.id}", f"rebuilt: {path} holds another link of this event")
    return None
