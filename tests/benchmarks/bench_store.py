"""What a durable event costs against a bare insert, and whether long timelines page as fast as short ones."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cockpit.store.reader import Reader
from cockpit.store.store import Store
from tests.benchmarks.report import line, ratio

WRITES = 200
PAGE = 100
INSERT = "insert into event (at, actor, kind, text, data) values (?, 'ann', 'note', 'something happened', '{}')"


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        _events(Path(folder))
        _pages(Path(folder))


def _events(folder: Path) -> None:
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("pragma journal_mode = wal")
    bare.execute("pragma synchronous = full")
    bare.execute("create table event (id integer primary key, at real, actor text, kind text, text text, data text)")
    with Store.open(folder / "events.db") as store:
        found, mine, theirs = ratio(
            _each(WRITES, lambda: store.note("ann", "note", "something happened")),
            _each(WRITES, lambda: bare.execute(INSERT, [time.time()])),
        )
    bare.close()
    line(
        "a durable event / the same insert through sqlite3",
        f"{found:.2f}x ({mine * 1e3:.2f}/{theirs * 1e3:.2f} ms)",
        "3x",
    )


def _pages(folder: Path) -> None:
    short, long = _filled(folder / "short" / "log.db", 100), _filled(folder / "long" / "log.db", 100_000)
    with short, long:
        for what, page in PAGES.items():
            found, mine, theirs = ratio(_each(20, lambda p=page: p(long)), _each(20, lambda p=page: p(short)))
            line(f"{what}, 100,000 events / 100", f"{found:.2f}x ({mine * 1e3:.2f}/{theirs * 1e3:.2f} ms)", "1.2x")


PAGES: dict[str, Callable[[Reader], object]] = {
    "the last page of the log": lambda reader: reader.events(before=reader.last_event() + 1, limit=PAGE),
    "a page from its middle": lambda reader: reader.events(after=reader.last_event() // 2 - PAGE // 2, limit=PAGE),
    "the last page of one timeline": lambda reader: reader.events(incident=1, before=2**60, limit=PAGE // 2),
}


def _filled(path: Path, events: int) -> Reader:
    """A log of so many events, half of them of one incident, written in one transaction to save time."""
    with Store.open(path) as store, store._transaction() as log:
        incident = log.insert(
            "incident", service="a/b", title="", severity="info", status="open", opened_at=0.0, updated_at=0.0
        )
        for number in range(events):
            log.event("note", f"event {number}", actor="ann", incident=incident if number % 2 else None)
    return Reader(path)


def _each(times: int, action: Callable[[], object]) -> Callable[[], float]:
    """A function that does something so often and returns the seconds of one."""

    def run() -> float:
        started = time.perf_counter()
        for _ in range(times):
            action()
        return (time.perf_counter() - started) / times

    return run


if __name__ == "__main__":
    main()
