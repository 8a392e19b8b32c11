"""The log: services, events, and what its file is like."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cockpit.files import data_file
from cockpit.model import (
    Call,
    CockpitError,
    Finding,
    IncidentStatus,
    Level,
    Service,
)
from cockpit.store.connection import SCHEMA
from cockpit.store.reader import Reader
from cockpit.store.store import Store
from tests.unit.store_examples import START, Log, alert, health, services


def test_the_file_its_key_and_its_folder_are_private(log: Log) -> None:
    log.store.note("ann", "note", "hello")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [log.folder, *log.folder.iterdir()]}
    assert modes.pop("data") == 0o700
    assert set(modes) >= {"cockpit.db", "cockpit.db-wal", "audit.key", "audit.head"}
    assert set(modes.values()) == {0o600}


def test_a_file_that_others_may_read_loses_that_right(tmp_path: Path) -> None:
    Log(tmp_path).store.close()
    (tmp_path / "cockpit.db").chmod(0o644)
    Log(tmp_path).store.close()
    assert stat.S_IMODE((tmp_path / "cockpit.db").stat().st_mode) == 0o600


def test_every_commit_waits_for_the_disk(log: Log) -> None:
    connection = log.store._database.conn
    assert [connection.execute(f"pragma {name}").fetchone()[0] for name in ("journal_mode", "synchronous")] == [
        "wal",
        2,
    ]
    assert connection.execute("pragma foreign_keys").fetchone()[0] == 1


def test_the_schema_number_is_that_of_the_last_migration() -> None:
    assert max(int(script.name[:4]) for script in data_file("migrations").glob("[0-9]*.sql")) == SCHEMA


def test_reading_loads_neither_sqlite_utils_nor_pydantic_nor_textual() -> None:
    code = (
        "import sys, cockpit.store.reader; "
        "print({'sqlite_utils', 'pydantic', 'httpx', 'textual', 'asyncio'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "set()"


def test_reading_a_log_that_is_not_there_says_how_it_comes_to_be(tmp_path: Path) -> None:
    with pytest.raises(CockpitError, match=r"There is no log at .*nowhere\.db yet"):
        Reader(tmp_path / "nowhere.db")


def test_the_reader_cannot_write(log: Log) -> None:
    with pytest.raises(CockpitError, match="read-only"):
        log.store.reader._fetch("insert into state values ('a', '1')")


def test_options_of_a_service_stay_out_of_the_file(log: Log) -> None:
    log.store.watch(services("redis/main"))
    log.store.close()
    assert b"hunter2" not in log.path.read_bytes()


def test_services_come_back_as_configured_and_in_that_order(log: Log) -> None:
    wanted = [
        Service("postgres/main", depends_on=("host/nas",), critical=True, interval=2.0, timeout=1.0),
        Service("host/nas", expected_down=True, note="ask first", tags=("cellar",)),
    ]
    log.store.watch(wanted)
    assert [watched.service for watched in log.store.reader.services()] == wanted


def test_a_service_that_is_no_longer_configured_leaves_the_view_and_keeps_its_history(log: Log) -> None:
    log.store.watch(services("redis/main", "redis/old"))
    log.store.record_health("redis/old", health(clients=3.0), START)
    log.store.watch(services("redis/main"))
    assert [watched.service.name for watched in log.store.reader.services()] == ["redis/main"]
    assert log.store.reader.recent("redis/old", "clients") == [3.0]


def test_a_service_never_probed_is_unknown(log: Log) -> None:
    log.store.watch(services("redis/main"))
    [watched] = log.store.reader.services()
    assert (watched.health.level, watched.checked_at, watched.since) == (Level.UNKNOWN, None, None)


def test_a_change_of_level_is_an_event_and_a_repeated_level_is_none(log: Log) -> None:
    log.store.watch(services("redis/main"))
    levels = [Level.UP, Level.UP, Level.DOWN, Level.DOWN, Level.UP]
    before = [log.store.record_health("redis/main", health(level), START + at) for at, level in enumerate(levels)]
    assert [seen.level if seen else None for seen in before] == [None, *levels[:-1]]
    assert [(e.data["was"], e.data["level"]) for e in log.store.reader.events()] == [("up", "down"), ("down", "up")]
    [watched] = log.store.reader.services()
    assert (watched.since, watched.checked_at) == (START + 4, START + 4)


def test_a_service_that_is_down_when_first_seen_is_an_event(log: Log) -> None:
    log.store.watch(services("redis/main"))
    log.store.record_health("redis/main", health(Level.DOWN), START)
    assert [(e.kind, e.service) for e in log.store.reader.events()] == [("health", "redis/main")]


def test_health_of_a_service_that_is_not_watched_is_refused(log: Log) -> None:
    with pytest.raises(CockpitError, match="'redis/other' is not watched"):
        log.store.record_health("redis/other", health(), START)


def test_events_are_read_in_pages_forward_and_backward(log: Log) -> None:
    first = log.opened()
    for number in range(2, 31):
        log.store.note("ann", "note", str(number), incident=first if number % 2 else None)
    reader = log.store.reader
    assert [e.id for e in reader.events(after=10, limit=5)] == [11, 12, 13, 14, 15]
    assert [e.id for e in reader.events(before=20, limit=3)] == [17, 18, 19]
    assert [e.id for e in reader.events(incident=first, limit=3)] == [1, 3, 5]
    assert [e.id for e in reader.events(incident=first, before=20, after=14, limit=9)] == [15, 17, 19]
    assert reader.last_event() == 30


def test_events_cannot_be_edited_or_deleted_through_sql(log: Log) -> None:
    log.carried_out(log.approved(log.opened()))
    for statement in (
        "update event set text = 'nothing happened'",
        "delete from event",
        "replace into event select * from event where id = 1",
        "update decision set verdict = 'denied'",
        "delete from decision",
        "update proposal set plan = '{}'",
        "update change set body = '{}'",
        "delete from change",
    ):
        refused = pytest.raises(CockpitError, match=r"append-only|final|kept|never edited")
        with refused, log.store._transaction() as transaction:
            transaction.execute(statement)
    assert log.store.check() == []


def test_the_version_changes_with_every_commit_of_somebody_else_and_not_without(log: Log) -> None:
    with Reader(log.path) as reader:
        before = reader.version()
        assert reader.version() == before
        log.store.remember("a", 1)
        assert reader.version() != before


def test_the_version_changes_when_another_process_commits(log: Log) -> None:
    before = log.store.reader.version()
    code = f"""
from pathlib import Path
from cockpit.store.store import Store
with Store.open(Path({str(log.path)!r})) as store: store.note("bob", "note", "from afar")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert log.store.reader.version() != before
    assert [event.actor for event in log.store.reader.events()] == ["bob"]


def test_freezing_names_who_did_it_until_it_is_lifted(log: Log) -> None:
    seen = [log.store.reader.frozen()]
    for by in ("ann", None, "bob"):
        log.store.freeze(by)
        seen.append(log.store.reader.frozen())
    assert seen == [None, "ann", None, "bob"]


def test_small_things_are_remembered_and_replaced(log: Log) -> None:
    assert log.store.reader.state("last seen") is None
    for value in ({"event": 7, "list": [1, None]}, 8):
        log.store.remember("last seen", value)
        assert log.store.reader.state("last seen") == value


def test_everything_stored_is_scrubbed(tmp_path: Path) -> None:
    def scrub(value: object) -> object:
        if isinstance(value, str):
            return value.replace("hunter2", "‹secret:1›")
        if isinstance(value, dict):
            return {scrub(key): scrub(inner) for key, inner in value.items()}
        return [scrub(inner) for inner in value] if isinstance(value, list | tuple) else value

    secret = "the password is hunter2"
    with Store.open(tmp_path / "log.db", scrub=scrub) as store:
        store.watch([Service("redis/main", note=secret, tags=(secret,))])
        store.record_health("redis/main", health(), START)
        [incident] = store.ingest_alerts([alert(name=secret, summary=secret)])
        store.record_run(
            incident, Call("t", "redis/main", {"a": [secret]}), Finding(secret, {secret: secret}), "", 1, 1
        )
        store.record_run(incident, Call("t", "redis/main"), None, secret, 1, 1)
        store.advance(incident, IncidentStatus.WATCHING, actor=secret, text=secret, cause=secret, data={"a": secret})
        store.note(secret, secret, secret, service=secret, data={"a": {"b": secret}})
        store.remember("key", secret)
        store.clear_alerts([alert(name=secret).fingerprint], START)
        assert [raised.firing for raised in store.reader.alerts()] == [False]
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"hunter2" not in held and b"\\u2039secret:1\\u203a" in held


@pytest.mark.parametrize(
    "text",
    [
        "'; drop table event; --",
        "\x00nul",
        "half \ud800 of a pair",
        "\x1b]52;c;YQ==\x07",
        "[/]",
        "%s {} ?1",
        "é" * 5000,
    ],
)
def test_hostile_text_is_stored_as_text(log: Log, text: str) -> None:
    log.store.ingest_alerts([alert(text, text, summary=text)])
    event = log.store.note(text, text, text, service=text, data={text: text})
    log.store.record_run(1, Call(text, text, {text: text}), None, text, START, 0.0)
    assert event.data == {text: text}
    assert event.text == text.encode("utf-8", "backslashreplace").decode()
    assert log.store.reader.events(after=1, limit=1) == [event]
    assert log.store.check() == []


def test_a_failed_transaction_leaves_nothing_and_may_be_repeated(log: Log) -> None:
    with pytest.raises(CockpitError, match="FOREIGN KEY"):
        log.store.record_run(77, Call("t", "redis/main"), None, "x", START, 0.0)
    assert log.store.reader.last_event() == 0
    log.opened()
    assert log.store.record_run(1, Call("t", "redis/main"), None, "x", START, 0.0).id == 1


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    made = Log(tmp_path)
    made.store.close()
    made.store.close()
    with pytest.raises(CockpitError, match="closed"):
        made.store.note("ann", "note", "late")


def test_a_log_on_a_folder_that_is_a_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(CockpitError, match="cannot be opened"):
        Store.open(tmp_path / "data" / "cockpit.db")
    assert os.path.isfile(tmp_path / "data")
