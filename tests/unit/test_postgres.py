"""PostgreSQL's parts that need no server: quantities, settings, lock trees, log marks, errors."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from cockpit.model import Call, Denied, Health, Level, Refused, Service, Unexpected, Unreachable
from cockpit.toolkit import Registry, inspect, probe
from tests.stopwatch import Stopwatch
from tools.postgres import postgres
from tools.postgres.client import StartingUp, TooManyConnections, in_our_words
from tools.postgres.quantities import in_base_unit
from tools.postgres.sessions import lock_roots
from tools.postgres.settings import canonical_value

REFUSED = Service("postgres/away", {"host": "127.0.0.1", "port": 1})


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("64MB", "8kB", 8192),
        ("900GB", "8kB", 117964800),
        ("8192", "8kB", 8192),
        ("1.5 min", "ms", 90000),
        ("60s", "ms", 60000),
        ("-1", "ms", -1),
        ("5", "", 5),
        ("5min", "kB", None),
        ("64mb", "kB", None),
        ("banana", "ms", None),
        ("1; drop", "", None),
    ],
)
def test_a_quantity_is_read_in_the_settings_own_unit(text: str, unit: str, value: float | None) -> None:
    assert in_base_unit(text, unit) == value


def setting(kind: str, unit: str = "", least: str = "", most: str = "") -> dict[str, object]:
    return {"name": "it", "type": kind, "unit": unit, "least": least, "most": most, "choices": ["replica", "logical"]}


@pytest.mark.parametrize(
    ("row", "value", "shown"),
    [
        (setting("bool"), "YES", "on"),
        (setting("enum"), "Logical", "logical"),
        (setting("string"), "any; text", "any; text"),
        (setting("integer", "ms", "0", "2147483647"), "1min", "60000"),
        (setting("real", "", "0", "1"), "0.25", "0.25"),
    ],
)
def test_a_value_is_foreseen_as_the_server_will_show_it(row: dict[str, object], value: str, shown: str) -> None:
    assert canonical_value(row, value) == shown


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (setting("bool"), "maybe"),
        (setting("enum"), "minimal"),
        (setting("integer", "ms", "0", "10"), "1min"),
        (setting("real", "", "0", "1"), "much"),
    ],
)
def test_a_value_the_server_would_not_take_is_refused(row: dict[str, object], value: str) -> None:
    with pytest.raises(Refused):
        canonical_value(row, value)


def test_a_root_blocks_others_and_is_not_blocked() -> None:
    assert lock_roots({2: [1], 3: [2], 4: [2, 3]}) == {1: 3}
    assert lock_roots({2: [1], 4: [3]}) == {1: 1, 3: 1}
    assert lock_roots({2: [0]}) == {0: 1}
    assert lock_roots({1: [2], 2: [1]}) == {}
    assert lock_roots({}) == {}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", TooManyConnections),
        ("FATAL:  sorry, too many clients already", TooManyConnections),
        ('FATAL:  too many connections for role "shop"', TooManyConnections),
        ("FATAL:  the database system is starting up", StartingUp),
        ("FATAL:  the database system is in recovery mode", StartingUp),
        ('FATAL:  password authentication failed for user "shop"', Denied),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "shop"', Denied),
        ('FATAL:  role "nobody" does not exist', Denied),
        ('FATAL:  database "nowhere" does not exist', Unexpected),
        ("Connection refused\n\tIs the server running?", Unreachable),
        ("timeout expired", Unreachable),
    ],
)
def test_an_error_before_the_login_is_told_by_its_text(said: str, kind: type[Exception]) -> None:
    error = in_our_words(psycopg.OperationalError(f"connection failed: {said}"), "postgres/main")
    assert type(error) is kind
    assert error.fix
    assert "\n" not in error.what


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.QueryCanceled, Unreachable),
        (psycopg.errors.AdminShutdown, Unreachable),
        (psycopg.errors.LockNotAvailable, Unexpected),
        (psycopg.errors.InsufficientPrivilege, Denied),
        (psycopg.errors.ReadOnlySqlTransaction, Denied),
        (psycopg.errors.SyntaxError, Unexpected),
    ],
)
def test_an_error_of_a_query_is_told_by_its_code(error: type[psycopg.Error], kind: type[Exception]) -> None:
    assert type(in_our_words(error("it said so"), "postgres/main")) is kind


async def test_a_server_that_is_away_is_down_at_once() -> None:
    watch = Stopwatch()
    health = await probe(postgres, REFUSED)
    assert health == Health(Level.DOWN, "Nothing listens at the address of postgres/away.")
    assert watch.seconds() < REFUSED.timeout


async def test_a_server_that_is_away_can_still_be_asked_about() -> None:
    finding = await inspect(Registry.of([postgres]), REFUSED, Call("check_postgres_health", REFUSED.name))
    assert (finding.data["reachable"], finding.data["refused"]) == (False, True)
    assert "service_running" not in finding.data


async def log_says(tmp_path: Path, *lines: str) -> dict[str, object]:
    file = tmp_path / "postgresql.log"
    file.write_text("\n".join(f"2026-01-01 00:00:00.000 UTC [{number}] {line}" for number, line in enumerate(lines)))
    service = Service("postgres/main", {"log_file": str(file)})
    finding = await inspect(Registry.of([postgres]), service, Call("check_postgres_log", service.name))
    return dict(finding.data)


READY = "LOG:  database system is ready to accept connections"


async def test_a_full_disk_is_seen_in_the_log(tmp_path: Path) -> None:
    found = await log_says(
        tmp_path,
        READY,
        'PANIC:  could not write to file "pg_wal/xlogtemp.9": No space left on device',
        "LOG:  shutting down",
    )
    assert found["disk_full"]
    assert "No space left" in str(found["last_fatal"])


async def test_what_was_before_the_last_good_start_is_past(tmp_path: Path) -> None:
    full = 'PANIC:  could not write to file "x": No space left on device'
    assert not (await log_says(tmp_path, full, "LOG:  received fast shutdown request", READY))["disk_full"]


async def test_the_crash_that_led_to_the_last_start_is_not_past(tmp_path: Path) -> None:
    killed = "LOG:  client backend (PID 9) was terminated by signal 9: Killed"
    assert (await log_says(tmp_path, READY, killed, "LOG:  redo starts at 0/1", READY))["backend_killed"]
    assert not (await log_says(tmp_path, killed, READY, "LOG:  received fast shutdown request", READY))[
        "backend_killed"
    ]


async def test_a_statement_cannot_speak_for_the_server(tmp_path: Path) -> None:
    found = await log_says(
        tmp_path,
        READY,
        "LOG:  statement: select 'No space left on device'",
        "ERROR:  invalid input: No space left on device",
        "STATEMENT:  PANIC:  No space left on device",
        "LOG:  duration: 9 ms  statement: select 'No space left on device'",
        "LOG:  execute <unnamed>: select 'client backend (PID 9) was terminated by signal 9'",
        'FATAL:  role "could not write: No space left on device" does not exist',
        'FATAL:  password authentication failed for user "x" could not: No space left on device"',
        "LOG:  connection authorized: user=shop application_name=could not write: No space left on device",
    )
    assert not [name for name, seen in found.items() if seen is True and name != "available"]


async def test_a_line_within_a_statement_cannot_speak_for_the_server(tmp_path: Path) -> None:
    file = tmp_path / "postgresql.log"
    file.write_text("LOG:  statement: select 1\n\tPANIC:  could not write to file: No space left on device\n")
    service = Service("postgres/main", {"log_file": str(file)})
    finding = await inspect(Registry.of([postgres]), service, Call("check_postgres_log", service.name))
    assert not finding.data["disk_full"]


async def test_no_log_is_a_result_and_an_unreadable_one_an_error(tmp_path: Path) -> None:
    registry, call = Registry.of([postgres]), Call("check_postgres_log", "postgres/main")
    none = await inspect(registry, Service("postgres/main"), call)
    assert (none.data["available"], none.data["disk_full"]) == (False, False)
    with pytest.raises(Denied, match="cannot be read"):
        await inspect(registry, Service("postgres/main", {"log_file": str(tmp_path / "absent")}), call)
