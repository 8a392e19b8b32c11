"""Diagnostics of the server as a whole: does it answer, and what does its log say."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from cockpit.model import CockpitError, Denied, Finding, RunStatus, Unreachable
from tools.control import ServiceControl
from tools.postgres.client import PostgresReader, StartingUp, TooManyConnections
from tools.postgres.kind import postgres

SERVER = """
select current_setting('server_version') as version, pg_postmaster_start_time()::text as started_at,
       extract(epoch from now() - pg_postmaster_start_time())::float8 as uptime_seconds,
       pg_is_in_recovery() as in_recovery,
       coalesce((select extract(epoch from now() - backend_start) from pg_stat_activity
          where backend_type = 'checkpointer'
            and backend_start > pg_postmaster_start_time() + interval '0.5 s'), -1)::float8
         as crash_recovery_age_seconds,
       (select coalesce(sum(checksum_failures), 0) from pg_stat_database)::float8 as checksum_failures,
       coalesce((select datname::text from pg_stat_database where checksum_failures > 0
          order by checksum_failures desc limit 1), '') as damaged_database,
       (select count(*) from pg_stat_activity where backend_type = 'client backend')::float8 as connections
"""

TAIL_BYTES = 200_000
TAIL_LINES = 400
LINE = re.compile(r"(?!\t).*?\b([A-Z]{3,9}[1-5]?):  (.*)")
SAID = ("PANIC", "FATAL", "LOG")
# Names and queries of strangers stand inside these messages, so each mark holds on to an end that is the server's own.
MARKS = {
    "disk_full": re.compile(r"could not .*: (No space left on device|Disk quota exceeded)$"),
    "backend_killed": re.compile(r"[a-z ]+ \(PID \d+\) was terminated by signal \d+"),
    "recovering": re.compile(r"database system was not properly shut down|redo starts at|redo in progress"),
    "bad_configuration": re.compile(
        r"configuration file .* contains errors$|could not load .*\.conf$|could not map anonymous shared memory"
        r"|could not create any TCP/IP sockets$|could not access directory"
    ),
    "damaged_page": re.compile(r"invalid page in block \d+ of relation"),
    "stopped_on_request": re.compile(r"received (smart|fast|immediate) shutdown request$"),
    "shut_down": re.compile(r"database system is shut down$"),
    "wal_removed": re.compile(r"requested WAL segment \w+ has already been removed$"),
}
"""What the server itself writes, by what it means."""
STARTED = re.compile(r"database system is ready to accept connections")


@postgres.diagnostic()
async def check_postgres_health(reader: PostgresReader) -> Finding:
    """Whether the server answers, since when it runs, and if not, why not. Use it first.

    Connects and reads `pg_postmaster_start_time()` and `pg_stat_database`; asks the service manager
    where one is configured. A crash recovery is seen by a checkpointer younger than the server.
    """
    data: dict[str, Any] = {"reachable": False, "refused": False, "starting_up": False, "too_many_connections": False}
    data |= await _service_running(reader)
    try:
        figures = await reader.row(SERVER)
    except (Unreachable, Denied) as error:
        data["denied"] = isinstance(error, Denied)
        data["starting_up"] = isinstance(error, StartingUp)
        data["too_many_connections"] = isinstance(error, TooManyConnections)
        data["refused"] = error.what.startswith("Nothing listens")
        return Finding(error.what, data)
    data |= {**figures, "reachable": True, "crash_recovered": figures["crash_recovery_age_seconds"] >= 0}
    return Finding(f"PostgreSQL {figures['version']} has been running for {figures['uptime_seconds']:.0f} s.", data)


async def _service_running(reader: PostgresReader) -> dict[str, bool]:
    """What the service manager says; nothing where none is configured."""
    try:
        return {"service_running": await ServiceControl(reader.service).running()}
    except CockpitError:
        return {}


@postgres.diagnostic(quotes=True)
async def check_postgres_log(reader: PostgresReader) -> Finding:
    """What the server's log says of a stop, a crash, a full disk or a bad configuration. Use it when it is down.

    Reads the end of the file that the service's option `log_file` names. Only what the server
    itself says (`LOG`, `FATAL`, `PANIC`) since it was last ready counts, never a query's or a name's text.
    """
    path = reader.text("log_file")
    if not path:
        return Finding("No log is configured.", {"available": False, **dict.fromkeys(MARKS, False)}, RunStatus.NOTHING)
    try:
        lines = await asyncio.to_thread(_tail, Path(path))
    except OSError as error:
        raise Denied(
            f"The log of {reader.service.name} cannot be read: {error.strerror}.", "Check 'log_file'."
        ) from error
    said = [match for match in map(LINE.match, lines) if match and match[1] in SAID]
    recent = _since_ready([match[2] for match in said])
    seen = {name: any(mark.match(text) for text in recent) for name, mark in MARKS.items()}
    last = next((match[0] for match in reversed(said) if match[1] in ("PANIC", "FATAL")), "")
    data: dict[str, Any] = {"available": True, **seen, "last_fatal": last[:300]}
    names = ", ".join(name.replace("_", " ") for name, found in seen.items() if found)
    return Finding(f"The log speaks of: {names or 'nothing unusual'}.", data)


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read(TAIL_BYTES).decode(errors="replace").splitlines()[-TAIL_LINES:]


def _since_ready(texts: list[str]) -> list[str]:
    """What was said since the last start that succeeded, and in the crash that led to it."""
    ready = [number for number, text in enumerate(texts) if STARTED.match(text)]
    if not ready:
        return texts
    crash = [number for number, text in enumerate(texts) if MARKS["backend_killed"].match(text)]
    start = ready[-1]
    if crash and crash[-1] < start and not any(crash[-1] < number < start for number in ready[:-1]):
        start = crash[-1]
    return texts[start:]
