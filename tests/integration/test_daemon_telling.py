"""What the daemon tells the service manager and the journal: that it lives, and every incident from alert to end."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import socket
import time
from pathlib import Path

import pytest

from cockpit.cli.exits import OK
from cockpit.model import Alert, Severity
from cockpit.serve.journal import Journal
from cockpit.store.store import Store
from cockpit.text import Redactor
from tests.faults.daemon_world import Place, listening, until
from tests.unit.store_examples import Log


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def received(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().splitlines()


def test_systemd_is_told_when_it_is_ready_reloads_lives_and_ends(place: Place, tmp_path: Path) -> None:
    with (
        listening(tmp_path / "notify") as manager,
        place.daemon(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="600000") as daemon,
    ):
        told = [line for _ in range(6) for line in received(manager)]
        assert {"READY=1", "WATCHDOG=1"} <= set(told)
        assert any(line.startswith("STATUS=1 service, ") for line in told)
        daemon.send_signal(signal.SIGHUP)
        told = until_told(manager, "READY=1")
        assert told.index("RELOADING=1") < told.index("READY=1")
        daemon.send_signal(signal.SIGTERM)
        until_told(manager, "STOPPING=1")
        assert daemon.wait(60) == OK


def until_told(manager: socket.socket, word: str) -> list[str]:
    told: list[str] = []
    while word not in told:
        told += received(manager)
    return told


def test_the_watchdog_hears_nothing_while_the_loop_is_blocked(place: Place, tmp_path: Path) -> None:
    with (
        listening(tmp_path / "notify") as manager,
        place.daemon(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="900000"),
    ):
        until_told(manager, "WATCHDOG=1")
        (place.world() / "block").write_text("3.0")
        manager.settimeout(2.0)
        with pytest.raises(TimeoutError):
            for _ in range(100):
                received(manager)
        (place.world() / "block").unlink()
        manager.settimeout(60)
        until_told(manager, "WATCHDOG=1")


def test_its_lines_are_json_redacted_and_clean_whatever_strangers_write(place: Place) -> None:
    with place.daemon("--log-format", "json"):
        with Store.open(place.data / "cockpit.db") as store:
            summary = "\x1b]52;c;Zm9v\x07 it broke \u202e password=hunter2hunter2"
            store.ingest_alerts([Alert("x", "world/w0", "evil", Severity.CRITICAL, summary, time.time())])
        until(lambda: "it broke" in place.said())
    lines = [json.loads(line) for line in place.said().splitlines()]
    [evil] = [line for line in lines if "it broke" in line["message"] and line["kind"] == "alert"]
    assert (evil["level"], evil["service"], evil["incident"]) == ("warning", "world/w0", 1)
    assert "hunter2" not in place.said()
    assert place.said().isascii() and "\x1b" not in place.said() and "\x07" not in place.said()


async def test_what_others_write_before_it_begins_to_look_is_told_as_well(log: Log) -> None:
    said = io.StringIO()
    following = asyncio.create_task(Journal(said, Redactor()).follow(log.store.reader, log.store.reader.last_event()))
    log.store.note("ada", "note", "in the very first moment")
    await asyncio.sleep(0)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert "in the very first moment" in said.getvalue()


def test_its_lines_are_text_with_a_time_and_bear_a_priority_where_the_journal_reads_them(place: Place) -> None:
    place.log.touch()
    found = place.log.stat()
    with place.daemon(JOURNAL_STREAM=f"{found.st_dev}:{found.st_ino}"):
        place.trouble()
        until(lambda: "There is trouble" in place.said())
    assert place.said().startswith("<5>Process")
    assert "<4>incident 1: world/w0: There is trouble [alert by monitor]" in place.said()
    place.log.unlink()
    with place.daemon():
        pass
    assert place.said()[:2] == "20" and " notice  Process" in place.said()


def test_every_incident_is_told_from_alert_to_end(place: Place) -> None:
    with place.daemon(), place.reader() as reader:
        place.trouble()
        place.approve(place.waiting(reader))
        until(lambda: "Resolved" in place.said())
    told = place.said()
    order = ["There is trouble", "Proposed: Set a to mended", "by ada", "(value) is done", "Resolved"]
    assert [told.find(word) for word in order] == sorted(told.find(word) for word in order)
    assert -1 not in [told.find(word) for word in order]
