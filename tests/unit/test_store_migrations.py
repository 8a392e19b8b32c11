"""Schemas: older files are migrated after a backup copy, newer ones are refused, nothing is half done."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database

from cockpit.files import data_file
from cockpit.model import CockpitError
from cockpit.store.connection import SCHEMA, schema, writing
from cockpit.store.migrations import migrate
from cockpit.store.reader import Reader
from cockpit.store.store import Store
from tests.unit.store_examples import Log

NEXT = """
create table extra (id integer primary key, text text not null) strict;
insert into extra (text) select text from event;
create index extra_text on extra (text);
alter table extra add column note text not null default 'a; b';
create trigger extra_is_kept before delete on extra begin select raise(abort, 'kept'); end;
"""


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The migrations of a version that is one schema ahead."""
    folder = tmp_path / "migrations"
    shutil.copytree(data_file("migrations"), folder)
    (folder / f"{SCHEMA + 1:04d}_extra.sql").write_text(NEXT)
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A log of today's schema with something in it."""
    log = Log(tmp_path / "data")
    log.carried_out(log.approved(log.opened()))
    log.store.close()
    return log.path


def content(path: Path) -> list[str]:
    raw = sqlite3.connect(path)
    dump = list(raw.iterdump())
    raw.close()
    return dump


def upgrade(path: Path, folder: Path) -> None:
    connection = writing(path)
    try:
        migrate(Database(connection, execute_plugins=False), path, folder)
    finally:
        connection.close()


def version_of(path: Path) -> int:
    raw = sqlite3.connect(path)
    found = schema(raw)
    raw.close()
    return found


def test_an_older_file_is_migrated_after_a_private_backup_copy(old: Path, newer: Path) -> None:
    before = content(old)
    upgrade(old, newer)
    copy = old.with_name(f"cockpit.db.schema{SCHEMA}")
    assert content(copy) == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert version_of(old) == SCHEMA + 1
    assert set(before) - set(content(old)) == set()


def test_a_file_of_the_newest_schema_is_left_alone(old: Path) -> None:
    Store.open(old).close()
    assert sorted(path.name for path in old.parent.glob("*schema*")) == []


@pytest.mark.parametrize("door", [Store.open, Reader])
def test_a_file_of_a_newer_schema_is_refused_by_both_doors(old: Path, newer: Path, door: type) -> None:
    upgrade(old, newer)
    before = content(old)
    with pytest.raises(CockpitError, match="written by a newer version"):
        door(old)
    assert content(old) == before


def test_a_file_of_an_older_schema_is_not_read_but_brought_up_to_date_first(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "old.db").close()
    with pytest.raises(CockpitError, match="Start cockpit once"):
        Reader(tmp_path / "old.db")


def test_a_migration_that_fails_leaves_the_file_as_it_was(old: Path, newer: Path) -> None:
    script = newer / f"{SCHEMA + 1:04d}_extra.sql"
    script.write_text(NEXT + "create table event (id integer);")
    before = content(old)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        upgrade(old, newer)
    assert (content(old), version_of(old)) == (before, SCHEMA)


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlite_utils import Database
from cockpit.store.connection import writing
from cockpit.store.migrations import migrate

path, folder, left = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
connection = writing(path)

def count(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

connection.set_trace_callback(count)
migrate(Database(connection, execute_plugins=False), path, folder)
"""


def killed_at(statement: int, path: Path, folder: Path) -> bool:
    argv = [sys.executable, "-c", KILLED, str(path), str(folder), str(statement)]
    code = subprocess.run(argv, timeout=60, check=False).returncode
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_a_process_killed_at_any_statement_of_a_migration_leaves_a_whole_file(old: Path, newer: Path) -> None:
    before, kills = content(old), 0
    wanted = old.with_name("wanted.db")
    shutil.copy(old, wanted)
    upgrade(wanted, newer)
    for statement in range(1, 100):
        path = old.with_name(f"killed{statement}.db")
        shutil.copy(old, path)
        if not killed_at(statement, path, newer):
            break
        kills += 1
        assert (version_of(path), content(path)) in ((SCHEMA, before), (SCHEMA + 1, content(wanted)))
        upgrade(path, newer)
        assert content(path) == content(wanted)
    assert kills >= 10


@pytest.mark.parametrize("statement", [2, 9, 25, 35])
def test_a_process_killed_while_making_the_file_leaves_one_that_can_be_made(tmp_path: Path, statement: int) -> None:
    path = tmp_path / "cockpit.db"
    assert killed_at(statement, path, data_file("migrations"))
    assert version_of(path) == 0
    with Store.open(path) as store:
        store.note("ann", "note", "here")
        assert store.check() == []
