"""Who is connected and what each session does: the one reading of `pg_stat_activity` that tools share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cockpit.model import JSON
from tools.postgres.client import PostgresReader, Row

ROWS = 20
"""So many rows a diagnostic returns at most of one list."""
QUERY_LETTERS = 300
"""So much of a query's text is shown."""

PROGRESS = """
    select pid, 'vacuum'::text as task from pg_stat_progress_vacuum
    union all select pid, lower(command) from pg_stat_progress_cluster
    union all select pid, lower(command) from pg_stat_progress_create_index
    union all select pid, 'analyze' from pg_stat_progress_analyze
    union all select pid, 'base backup' from pg_stat_progress_basebackup
    union all select pid, lower(command) from pg_stat_progress_copy
"""

SESSIONS = f"""
with progress as ({PROGRESS}),
waits as (select pid, min(waitstart) as since from pg_locks where not granted group by pid)
select a.pid, a.backend_start::text as backend_start, coalesce(a.xact_start::text, '') as xact_start,
       coalesce(a.query_start::text, '') as query_start, coalesce(a.usename::text, '') as user,
       coalesce(a.datname::text, '') as database, a.application_name as application, coalesce(a.state, '') as state,
       a.backend_type as type, coalesce(r.rolsuper, false) as superuser,
       coalesce(a.wait_event_type, '') as wait_type, coalesce(a.wait_event, '') as wait,
       coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::float8 as transaction_seconds,
       coalesce(extract(epoch from clock_timestamp() - a.query_start), 0)::float8 as query_seconds,
       coalesce(extract(epoch from clock_timestamp() - a.state_change), 0)::float8 as state_seconds,
       coalesce(extract(epoch from clock_timestamp() - w.since), 0)::float8 as lock_wait_seconds,
       greatest(age(a.backend_xmin), age(a.backend_xid), 0)::float8 as snapshot_age,
       coalesce(p.task, '') as progress, left(a.query, {QUERY_LETTERS}) as query,
       a.application_name in ('pg_dump', 'pg_dumpall') or a.query ~* '^\\s*copy .* to stdout' as dump
from pg_stat_activity a
left join pg_roles r on r.oid = a.usesysid
left join waits w on w.pid = a.pid
left join progress p on p.pid = a.pid
where a.pid <> pg_backend_pid()
"""  # noqa: S608 - both parts are constants of this module

LONGEST_FIRST = " order by a.xact_start nulls last, a.pid"
IDLE_TRANSACTION = ("idle in transaction", "idle in transaction (aborted)")
SHOWN = ("pid", "user", "database", "application", "state", "transaction_seconds", "query_seconds", "progress", "query")


async def sessions(reader: PostgresReader, where: str = "", parameters: Sequence[object] = ()) -> list[Row]:
    """Every session but our own, the oldest transaction first, as `pg_stat_activity` shows it.

    Args:
        reader: the connection.
        where: a further condition in SQL over `a`, such as `a.pid = %s`.
        parameters: what is bound in it.
    """
    condition = f" and ({where})" if where else ""
    return await reader.rows(SESSIONS + condition + LONGEST_FIRST, parameters)


async def session(reader: PostgresReader, pid: int) -> Row | None:
    """The session with that process id, or None."""
    found = await sessions(reader, "a.pid = %s", [pid])
    return found[0] if found else None


async def clients(reader: PostgresReader, database: str = "") -> list[Row]:
    """The sessions of clients, without the server's own processes and replication."""
    found = await sessions(reader, "a.backend_type = 'client backend'")
    return [row for row in found if not database or row["database"] == database]


async def holders(reader: PostgresReader, database: str) -> list[Row]:
    """What keeps VACUUM from removing dead rows of a database: sessions with an old snapshot, oldest first."""
    since = reader.number("old_snapshot_seconds", 300)
    return [
        row
        for row in await sessions(reader, "a.backend_type in ('client backend', 'walsender')")
        if row["snapshot_age"] > 0 and row["transaction_seconds"] >= since and row["database"] in (database, "")
    ]


def idle_in_transaction(row: Row) -> bool:
    """Whether the session holds a transaction open and does nothing."""
    return row["state"] in IDLE_TRANSACTION


def shown(row: Row, *more: str) -> dict[str, Any]:
    """What is told of a session in a finding."""
    return {name: row[name] for name in (*SHOWN, *more)}


def identity(row: Row) -> dict[str, JSON]:
    """What tells a session from any other, also when its process id is used again."""
    return {name: row[name] for name in ("pid", "backend_start", "user", "application")}


def same_session(row: Row, known: Mapping[str, Any]) -> bool:
    """Whether the row is the session that was written down."""
    return bool(row["pid"] == known["pid"] and row["backend_start"] == known["backend_start"])


def lock_roots(blockers: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Who holds up the others, and how many wait behind each, directly or not.

    Args:
        blockers: for each waiting process, those that `pg_blocking_pids` names.
    """
    behind: dict[int, int] = {}
    for waiter in blockers:
        seen: set[int] = set()
        ahead = list(blockers[waiter])
        while ahead:
            pid = ahead.pop()
            if pid not in seen:
                seen.add(pid)
                ahead += blockers.get(pid, ())
        for root in seen - set(blockers):
            behind[root] = behind.get(root, 0) + 1
    return behind
