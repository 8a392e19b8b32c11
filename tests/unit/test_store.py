"""The log: services, alerts, incidents, events, and what its file is like."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.files import data_file
from cockpit.model import (
    Call,
    CockpitError,
    Finding,
    IncidentStatus,
    Level,
    RunStatus,
    Service,
    Severity,
)
from cockpit.store.connection import SCHEMA
from cockpit.store.reader import Reader
from cockpit.store.store import Store
from tests.unit.store_examples import START, Log, alert, health, services


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "data")
    yield made
    made.store.close()


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
    assert len(list(data_file("migrations").glob("[0-9]*.sql"))) == SCHEMA


def test_reading_loads_neither_sqlite_utils_nor_pydantic_nor_textual() -> None:
    code = (
        "import sys, cockpit.store.reader; "
        "print({'sqlite_utils', 'pydantic', 'httpx', 'textual', 'asyncio'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
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


def test_an_alert_opens_an_incident_that_bears_its_summary(log: Log) -> None:
    incident = log.store.reader.incident(log.opened())
    assert (incident.title, incident.status, incident.severity) == (
        "Redis does not answer.",
        IncidentStatus.OPEN,
        Severity.WARNING,
    )
    assert (incident.opened_at, incident.alerts, incident.flapping) == (START, 1, False)


def test_an_alert_that_fires_already_is_counted_and_makes_no_row(log: Log) -> None:
    first = log.opened()
    assert log.store.ingest_alerts([alert(), alert()]) == [first, first]
    [raised] = log.store.reader.alerts()
    assert (raised.times, raised.firing, log.store.reader.last_event()) == (3, True, 1)


def test_another_alert_of_the_service_joins_and_the_worst_severity_counts(log: Log) -> None:
    first = log.opened()
    assert log.store.ingest_alerts([alert(name="redis-memory-full", severity=Severity.CRITICAL)]) == [first]
    incident = log.store.reader.incident(first)
    assert (incident.alerts, incident.severity) == (2, Severity.CRITICAL)


def test_an_alert_that_gets_worse_raises_its_incident(log: Log) -> None:
    log.opened()
    log.store.ingest_alerts([alert(severity=Severity.CRITICAL)])
    [incident] = log.store.reader.incidents()
    assert (incident.severity, incident.alerts) == (Severity.CRITICAL, 1)


def test_an_alert_behind_a_dead_parent_joins_the_parents_incident(log: Log) -> None:
    parent = log.opened("host/nas", "host-down")
    assert log.store.ingest_alerts([alert("redis/main")], under={"redis/main": "host/nas"}) == [parent]


def test_an_alert_whose_parent_is_well_opens_its_own_incident(log: Log) -> None:
    log.store.ingest_alerts([alert("redis/main")], under={"redis/main": "host/nas"})
    assert [incident.service for incident in log.store.reader.incidents()] == ["redis/main"]


def ended(log: Log, incident: int) -> None:
    assert log.store.clear_alerts(["redis/main:redis-down"], log.clock.now) == [incident]
    log.store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text="over")


def test_an_alert_that_comes_back_soon_reopens_its_incident(log: Log) -> None:
    first = log.opened()
    ended(log, first)
    log.clock.now += 299.0
    assert log.opened() == first
    incident = log.store.reader.incident(first)
    assert (incident.status, incident.resolved_at, incident.alerts) == (IncidentStatus.OPEN, None, 2)


def test_an_alert_that_comes_back_late_or_is_another_opens_a_new_incident(log: Log) -> None:
    first = log.opened()
    ended(log, first)
    assert log.opened(name="redis-memory-full") != first
    log.store.clear_alerts(["redis/main:redis-memory-full"], log.clock.now)
    log.store.advance(2, IncidentStatus.RESOLVED, actor="monitor", text="over")
    log.clock.now += 301.0
    assert log.opened() == 3


def test_an_incident_reopened_three_times_within_an_hour_is_flapping(log: Log) -> None:
    first = log.opened()
    seen = []
    for _ in range(3):
        ended(log, first)
        log.clock.now += 60.0
        assert log.opened() == first
        seen.append(log.store.reader.incident(first).flapping)
    assert seen == [False, False, True]


def test_three_reopenings_over_more_than_an_hour_are_no_flapping(log: Log) -> None:
    first = log.opened()
    for _ in range(3):
        log.clock.now += 1800.0
        ended(log, first)
        log.clock.now += 60.0
        log.opened()
    assert not log.store.reader.incident(first).flapping


def test_clearing_names_only_incidents_in_which_nothing_fires_any_more(log: Log) -> None:
    first = log.opened()
    log.opened(name="redis-memory-full")
    assert log.store.clear_alerts(["redis/main:redis-down"], START) == []
    assert log.store.clear_alerts(["redis/main:redis-memory-full", "never heard of"], START) == [first]
    assert log.store.reader.alerts(firing_only=True) == []
    assert log.store.reader.incident(first).status == IncidentStatus.OPEN


def test_advancing_keeps_the_cause_until_another_is_given(log: Log) -> None:
    first = log.opened()
    for cause in ("memory is full", "", "a client leaks"):
        log.store.advance(first, IncidentStatus.INVESTIGATING, actor="analyst", text="looks", cause=cause, runbook="r")
    incident = log.store.reader.incident(first)
    assert (incident.cause, incident.runbook) == ("a client leaks", "r")
    assert [e.data["was"] for e in log.store.reader.events(incident=first) if e.kind == "status"][:2] == [
        "open",
        "investigating",
    ]


def test_a_resolved_incident_goes_nowhere_by_itself(log: Log) -> None:
    first = log.opened()
    ended(log, first)
    with pytest.raises(CockpitError, match="resolved already"):
        log.store.advance(first, IncidentStatus.WATCHING, actor="healer", text="late")


def test_incidents_that_wait_for_a_person_come_first_and_resolved_ones_last(log: Log) -> None:
    names = ("a/resolved", "a/old", "a/new", "a/bad", "a/waits", "a/escalated")
    for name in names:
        log.clock.now += 1.0
        severity = Severity.CRITICAL if name in ("a/bad", "a/resolved") else Severity.WARNING
        log.store.ingest_alerts([alert(name, severity=severity)])
    log.store.advance(5, IncidentStatus.WAITING, actor="healer", text="waits")
    log.store.advance(6, IncidentStatus.ESCALATED, actor="healer", text="stuck")
    log.store.advance(1, IncidentStatus.RESOLVED, actor="monitor", text="over")
    found = [incident.service for incident in log.store.reader.incidents()]
    assert found == ["a/escalated", "a/waits", "a/bad", "a/new", "a/old", "a/resolved"]
    assert len(log.store.reader.incidents(unresolved_only=True)) == 5
    assert len(log.store.reader.incidents(limit=2)) == 2


def test_what_is_not_there_is_said_in_a_sentence(log: Log) -> None:
    for what, look in [
        ("incident", log.store.reader.incident),
        ("proposal", log.store.reader.proposal),
        ("run", log.store.reader.run),
    ]:
        with pytest.raises(CockpitError, match=f"There is no {what} 9"):
            look(9)


def test_a_run_is_kept_with_its_result_and_an_error_with_its_reason(log: Log) -> None:
    first = log.opened()
    call = Call("check_redis_memory", "redis/main", {"limit": 3})
    found = log.store.record_run(first, call, Finding("full", {"rows": [1, {"a": None}]}), "", START, 0.5)
    failed = log.store.record_run(None, call, None, "refused", START, 0.1)
    assert log.store.reader.runs(first) == [found]
    assert log.store.reader.run(failed.id) == failed
    assert (found.call, found.data, failed.status, failed.summary) == (
        call,
        {"rows": [1, {"a": None}]},
        RunStatus.ERROR,
        "refused",
    )


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
        with pytest.raises(CockpitError, match="append-only|final|kept|never edited"):
            with log.store._transaction() as transaction:
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
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
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
