"""The audit: whoever edits the log behind cockpit's back is found, and the row is named."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from cockpit.model import canonical
from cockpit.store.audit import check
from cockpit.store.chain import GENESIS, SEALED, link, load_key, seal
from tests.unit.store_examples import Kept, live

EDITS = 500
LINKS = ("id", "proposal", "incident", "inquiry")
FILLED = [table for table in SEALED if table != "checkpoint"]
"""The tables that hold rows here: nothing was pruned yet."""
NO_KEY = bytes(32)
"""What a chain without a secret is made with: everybody knows it."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A log in which six incidents were lived through."""
    return live(tmp_path_factory.mktemp("kept") / "data")


@pytest.fixture(scope="module")
def older(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Another log under the same key, from which rows can be taken."""
    folder = tmp_path_factory.mktemp("older") / "data"
    folder.mkdir()
    shutil.copy(kept.key, folder)
    return live(folder, incidents=8, late=7.0)


class Vandal:
    """Edits a log with the file in hand: switches the triggers off, and puts them back afterwards."""

    def __init__(self, kept: Kept, dice: random.Random) -> None:
        self.dice = dice
        self.raw = sqlite3.connect(kept.path, isolation_level=None)
        self.raw.row_factory = sqlite3.Row
        self.raw.execute("pragma synchronous = off")  # a copy that nobody keeps
        self.triggers = self.raw.execute("select name, sql from sqlite_master where type = 'trigger'").fetchall()
        for trigger in self.triggers:
            self.raw.execute(f'drop trigger "{trigger["name"]}"')

    def close(self) -> None:
        for trigger in self.triggers:
            self.raw.execute(trigger["sql"])
        self.raw.close()

    def any(self, table: str) -> sqlite3.Row:
        return self.dice.choice(self.raw.execute(f"select * from {table}").fetchall())

    def edited(self, value: object, column: str) -> object:
        """Another value of the same type."""
        match value:
            case bytes():
                place = self.dice.randrange(len(value))
                return value[:place] + bytes([value[place] ^ 1 << self.dice.randrange(8)]) + value[place + 1 :]
            case str():
                return self.dice.choice([value + " ", "x" + value, value[:-1] if value else "x"])
            case None:
                return 1 if column in ("incident", "undoes", "finished_at", "resolved_at") else "x"
            case int() | float():
                return value + self.dice.choice([1, -1, 0.5 if isinstance(value, float) else 7])
        raise AssertionError(column)

    def edit(self, table: str, columns: tuple[str, ...]) -> str:
        row, column = self.any(table), self.dice.choice(columns)
        key = SEALED[table][0] if table in SEALED else "id"
        self.raw.execute(
            f"update {table} set {column} = ? where {key} = ?", (self.edited(row[column], column), row[key])
        )
        return f"{table}:{row[key]}"

    def write(self, event: dict[str, object]) -> None:
        names = ", ".join(event)
        marks = ", ".join("?" * len(event))
        self.raw.execute(f"insert into event ({names}) values ({marks})", tuple(event.values()))

    def relink(self, key: bytes, start: int, length: int = 10**6) -> None:
        """Give the events from `start` on links that fit under this key, and new seals."""
        before = self.raw.execute("select mac from event where id < ? order by id desc limit 1", [start]).fetchone()
        previous = before["mac"] if before else GENESIS
        for row in self.raw.execute(
            "select * from event where id >= ? order by id limit ?", [start, length]
        ).fetchall():
            previous = link(key, previous, row)
            self.raw.execute("update event set mac = ? where id = ?", [previous, row["id"]])

    def reseal(self, table: str, row: int) -> int:
        """Let the last event that vouches for a row vouch for it as it now is; returns that event."""
        name = f"{table}:{row}"
        events = self.raw.execute("select id, seals from event order by id desc").fetchall()
        event = next(event for event in events if name in json.loads(event["seals"]))
        now = self.raw.execute(f"select * from {table} where {SEALED[table][0]} = ?", [row]).fetchone()
        seals = json.loads(event["seals"]) | {name: seal(table, now)}
        self.raw.execute("update event set seals = ? where id = ?", [canonical(seals), event["id"]])
        return event["id"]


EVENT = ("at", "incident", "actor", "kind", "text", "data", "service", "seals", "mac")


def edit_event(vandal: Vandal, _: Kept) -> str:
    return vandal.edit("event", EVENT)


def delete_event(vandal: Vandal, _: Kept) -> str:
    last = vandal.raw.execute("select max(id) from event").fetchone()[0]
    gone = vandal.dice.randrange(1, last)
    vandal.raw.execute("delete from event where id = ?", [gone])
    return f"event:{gone + 1}"


def delete_event_and_close_ranks(vandal: Vandal, _: Kept) -> str:
    last = vandal.raw.execute("select max(id) from event").fetchone()[0]
    gone = vandal.dice.randrange(1, last)
    vandal.raw.execute("delete from event where id = ?", [gone])
    for event in range(gone + 1, last + 1):
        vandal.raw.execute("update event set id = id - 1 where id = ?", [event])
    return f"event:{gone}"


def swap_events(vandal: Vandal, _: Kept) -> str:
    first, second = vandal.any("event")["id"], vandal.any("event")["id"]
    second = second if second != first else (first % 5) + 1 + 5 * (first <= 5)
    for before, after in ((first, -1), (second, first), (-1, second)):
        vandal.raw.execute("update event set id = ? where id = ?", [after, before])
    return f"event:{min(first, second)}"


def cut_the_tail(vandal: Vandal, _: Kept) -> str:
    last = vandal.raw.execute("select max(id) from event").fetchone()[0]
    kept = last - vandal.dice.randrange(1, 30)
    vandal.raw.execute("delete from event where id > ?", [kept])
    return f"event:{kept + 1}"


def splice(vandal: Vandal, older: Kept) -> str:
    """Put a stretch of another log of the same key into this one, links and all."""
    start = vandal.any("event")["id"]
    stop = start + vandal.dice.randrange(1, 8)
    vandal.raw.execute("delete from event where id between ? and ?", [start, stop])
    other = sqlite3.connect(older.path)
    other.row_factory = sqlite3.Row
    shift = vandal.dice.randrange(0, 5)
    for row in other.execute("select * from event where id between ? and ?", [start + shift, stop + shift]):
        vandal.write({**dict(row), "id": row["id"] - shift})
    other.close()
    after = vandal.raw.execute("select min(id) from event where id > ?", [stop]).fetchone()[0]
    return f"event:{after or start}"


def insert_event(vandal: Vandal, _: Kept) -> str:
    row = dict(vandal.any("event"))
    last = vandal.raw.execute("select max(id) from event").fetchone()[0]
    vandal.write({**row, "id": last + 1, "mac": vandal.dice.randbytes(32)})
    return f"event:{last + 1}"


def rebuild_without_the_key(vandal: Vandal, _: Kept) -> str:
    """Edit an event and link it and all after it anew, with a key that was made up."""
    name = vandal.edit("event", EVENT[:-1])
    vandal.relink(vandal.dice.choice([NO_KEY, b"", vandal.dice.randbytes(32)]), int(name.partition(":")[2]))
    return name


def rebuild_with_the_key(vandal: Vandal, kept: Kept) -> str:
    """Edit an event and link it and all after it anew, with the key: the anchor alone shows it."""
    name = vandal.edit("event", EVENT[:-1])
    vandal.relink(load_key(kept.key, create=False), int(name.partition(":")[2]))
    return f"event:{vandal.raw.execute('select max(id) from event').fetchone()[0]}"


def edit_row(vandal: Vandal, _: Kept) -> str:
    table = vandal.dice.choice(FILLED)
    return vandal.edit(table, tuple(column for column in SEALED[table] if column not in LINKS))


def delete_row(vandal: Vandal, _: Kept) -> str:
    table = vandal.dice.choice(FILLED)
    key = SEALED[table][0]
    row = vandal.any(table)[key]
    vandal.raw.execute(f"delete from {table} where {key} = ?", [row])
    return f"{table}:{row}"


def insert_row(vandal: Vandal, _: Kept) -> str:
    table = vandal.dice.choice(["run", "proposal", "change", "incident", "alert"])
    row = dict(vandal.any(table)) | {"id": 900 + vandal.dice.randrange(99)}
    row |= {"position": 9} if table == "change" else {}
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    vandal.raw.execute(f"insert into {table} ({names}) values ({marks})", tuple(row.values()))
    return f"{table}:{row['id']}"


def edit_row_and_reseal(vandal: Vandal, _: Kept) -> str:
    """Edit a row and the seal in the event that vouches for it, and link anew without the key."""
    name = edit_row(vandal, _)
    table, row = name.split(":")
    event = vandal.reseal(table, int(row))
    vandal.relink(NO_KEY, event)
    return f"event:{event}"


Edit = Callable[[Vandal, Kept], str]
KINDS: tuple[Edit, ...] = (
    edit_event, delete_event, delete_event_and_close_ranks, swap_events, cut_the_tail, splice, insert_event,
    rebuild_without_the_key, rebuild_with_the_key, edit_row, delete_row, insert_row, edit_row_and_reseal,
)  # fmt: skip


def test_a_log_that_nobody_touched_has_no_problems(kept: Kept, older: Kept) -> None:
    assert kept.problems() == older.problems() == []


def test_500_random_edits_are_all_found_and_the_row_is_named(kept: Kept, older: Kept, tmp_path: Path) -> None:
    tried, missed = Counter[str](), []
    for seed in range(EDITS):
        dice = random.Random(seed)
        edit = KINDS[seed % len(KINDS)]
        copy = kept.copy(tmp_path / "copy")
        vandal = Vandal(copy, dice)
        named = edit(vandal, older if edit is splice else copy)
        vandal.close()
        tried[edit.__name__] += 1
        if named not in {problem.row for problem in copy.problems()}:
            missed.append((seed, edit.__name__, named, copy.problems()[:3]))
    assert missed == []
    assert sum(tried.values()) == EDITS and set(tried) == {edit.__name__ for edit in KINDS}


@pytest.mark.parametrize("name", ["rebuild", "row"])
def test_the_broken_twin_a_chain_without_a_key_is_fooled_by_a_rebuild(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "audit.key").write_text(NO_KEY.hex())
    (folder / "audit.key").chmod(0o600)
    twin = live(folder)
    assert check(twin.path, NO_KEY, []) == []
    fooled = 0
    for seed in range(20):
        copy = twin.copy(tmp_path / "copy")
        vandal = Vandal(copy, random.Random(seed))
        if name == "row":
            edit_row_and_reseal(vandal, copy)
        else:
            vandal.raw.execute("update event set text = 'nothing happened' where id = 5")
            vandal.relink(NO_KEY, 5)
        vandal.close()
        fooled += check(copy.path, NO_KEY, []) == []
        assert copy.problems() != [], "the anchor shows it all the same"
    assert fooled == 20
