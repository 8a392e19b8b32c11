"""Backup, restore and pruning by the command line: copies are checked, and nothing is done under a running engine."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from cockpit.cli.exits import FAILED, IO, OK, TEMPORARY, USAGE
from cockpit.engine import Engine
from cockpit.model import IncidentStatus
from cockpit.settings import Settings
from cockpit.store.reader import Reader
from cockpit.store.store import Store
from cockpit.text import Redactor
from tests.faults import world
from tests.unit.cli_world import Home, home_in
from tests.unit.store_examples import alert

DAY = 86_400.0


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    return home_in(tmp_path, capsys, monkeypatch)


def texts(home: Home) -> list[str]:
    with Reader(home.data / "cockpit.db") as reader:
        return [event.text for event in reader.events()]


def put(home: Home, *notes: str) -> None:
    with home.store() as store:
        for note in notes:
            store.note("ada", "note", note)


def test_a_copy_is_made_while_another_process_writes_and_is_whole(home: Home, tmp_path: Path) -> None:
    put(home, "before")
    copy = tmp_path / "copy.db"
    ended = threading.Event()

    def write() -> None:
        with home.store() as store:
            while not ended.is_set():
                store.note("ada", "note", "meanwhile")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        results = [home("backup", str(copy)) for _ in range(5)]
    finally:
        ended.set()
        writer.join()
    assert {status for status, _, _ in results} == {OK}
    assert "whole" in results[0][1] and "copy.db.key" in results[0][2]
    for file in (copy, tmp_path / "copy.db.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".copy*")), "nothing is left over"


def test_what_was_backed_up_is_restored_and_what_was_there_is_kept(home: Home, tmp_path: Path) -> None:
    put(home, "one", "two")
    assert home("backup", str(tmp_path / "copy.db"))[0] == OK
    put(home, "three")
    status, printed, said = home("restore", str(tmp_path / "copy.db"))
    assert (status, printed) == (OK, "The log is put back up to event 2.\n")
    assert texts(home) == ["one", "two", "The log was put back from a copy that ends at event 2."]
    assert home("audit", "verify")[0] == OK
    [aside] = home.data.glob("before-restore-*")
    assert str(aside) in said
    with Store.open(aside / "cockpit.db") as old:
        assert [event.text for event in old.reader.events()] == ["one", "two", "three"]
        assert old.check() == []


def test_a_log_is_restored_on_a_machine_that_has_none(home: Home, tmp_path: Path) -> None:
    put(home, "one")
    home("backup", str(tmp_path / "copy.db"))
    for file in home.data.iterdir():
        file.unlink()
    assert home("restore", str(tmp_path / "copy.db"))[0] == OK
    assert texts(home)[0] == "one"
    assert home("audit", "verify")[0] == OK


def test_a_damaged_log_is_set_aside_and_replaced(home: Home, tmp_path: Path) -> None:
    put(home, "one")
    home("backup", str(tmp_path / "copy.db"))
    (home.data / "cockpit.db").write_bytes(b"not a database" * 500)
    assert home("restore", str(tmp_path / "copy.db"))[0] == OK
    assert texts(home)[0] == "one"
    [aside] = home.data.glob("before-restore-*")
    assert (aside / "cockpit.db").read_bytes().startswith(b"not a database")


def test_nothing_is_restored_under_an_engine_that_acts(home: Home, tmp_path: Path) -> None:
    put(home, "one")
    home("backup", str(tmp_path / "copy.db"))
    settings = Settings(data_folder=home.data, services=(world.service(home.world),))
    with Engine(settings, world.registry(), Redactor()) as engine:
        assert engine.acts
        status, _, said = home("restore", str(tmp_path / "copy.db"))
    assert status == TEMPORARY and f"Process {os.getpid()} acts on" in said
    assert not list(home.data.glob("before-restore-*"))


def test_nothing_is_restored_under_a_screen_that_shows_the_log(home: Home, tmp_path: Path) -> None:
    put(home, "one")
    home("backup", str(tmp_path / "copy.db"))
    put(home, "two")
    with Reader(home.data / "cockpit.db"):
        status, _, said = home("restore", str(tmp_path / "copy.db"))
    assert status == TEMPORARY and "open in another process" in said
    assert texts(home) == ["one", "two"]


def edit(path: Path, statement: str) -> None:
    raw = sqlite3.connect(path, isolation_level=None)
    triggers = raw.execute("select name, sql from sqlite_master where type = 'trigger'").fetchall()
    for name, _ in triggers:
        raw.execute(f"drop trigger {name}")
    raw.execute(statement)
    for _, sql in triggers:
        raw.execute(sql)
    raw.close()


def test_an_edited_copy_is_not_restored(home: Home, tmp_path: Path) -> None:
    put(home, "one")
    home("backup", str(tmp_path / "copy.db"))
    edit(tmp_path / "copy.db", "update event set text = 'nothing happened'")
    status, _, said = home("restore", str(tmp_path / "copy.db"))
    assert status == FAILED and "not whole: event:1" in said
    assert texts(home) == ["one"]
    assert sorted(file.name for file in home.data.glob("restore-*")) == []


def test_a_copy_of_an_edited_log_does_not_replace_a_good_one(home: Home, tmp_path: Path) -> None:
    put(home, "one")
    copy = tmp_path / "copy.db"
    home("backup", str(copy))
    good = copy.read_bytes()
    edit(home.data / "cockpit.db", "update event set text = 'nothing happened'")
    status, _, said = home("backup", str(copy))
    assert status == FAILED and "not whole" in said
    assert copy.read_bytes() == good


def test_a_copy_without_its_key_is_not_restored(home: Home, tmp_path: Path) -> None:
    put(home, "one")
    home("backup", str(tmp_path / "copy.db"))
    (tmp_path / "copy.db.key").unlink()
    assert home("restore", str(tmp_path / "copy.db"))[0] == IO
    assert texts(home) == ["one"]


def test_the_log_is_not_copied_over_itself(home: Home) -> None:
    put(home, "one")
    assert home("backup", str(home.data / "cockpit.db"))[0] == IO
    assert texts(home) == ["one"]


def aged(home: Home) -> None:
    """A log with two old incidents and a new one."""
    now = [1_000_000_000.0]
    with Store.open(home.data / "cockpit.db", clock=lambda: now[0]) as store:
        for number in range(3):
            [incident] = store.ingest_alerts([alert(f"world/{number}", "trouble")])
            store.clear_alerts([f"world/{number}:trouble"], now[0])
            store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text="It is well.")
            now[0] += 400 * DAY


def test_pruning_shows_what_would_go_asks_and_leaves_a_log_that_proves_itself(home: Home) -> None:
    aged(home)
    status, printed, _ = home("prune", "--older", "365d", "--dry-run")
    assert status == OK and "2 of incident" in printed
    assert len(texts(home)) == 9
    assert home("prune", "--older", "365d")[0] == USAGE, "nobody can be asked"
    assert home("prune", "--older", "365d", "--yes")[0] == OK
    assert len(texts(home)) == 4
    status, printed, _ = home("audit", "verify")
    assert status == OK and "events up to 6 were pruned" in printed
    assert home("prune", "--older", "365d", "--yes")[1] == "Nothing that old has come to an end.\n"


def test_what_is_younger_than_a_day_is_not_pruned(home: Home) -> None:
    put(home, "one")
    status, _, said = home("prune", "--older", "60s", "--yes")
    assert status == FAILED and "younger than a day" in said
