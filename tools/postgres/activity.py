"""Diagnostics of what sessions do: connections, locks, long queries."""

from __future__ import annotations

from collections import Counter
from typing import Any

from cockpit.model import Denied, Finding, RunStatus, Unexpected
from cockpit.toolkit import counted
from tools.postgres.client import PostgresReader, Row
from tools.postgres.kind import postgres
from tools.postgres.names import find_database
from tools.postgres.sessions import ROWS, clients, idle_in_transaction, lock_roots, sessions, shown

LIMIT = """
select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true)::int, 0) as connection_limit
"""
BLOCKERS = "select pid, pg_blocking_pids(pid) as blockers from pg_stat_activity where wait_event_type = 'Lock'"
WANTED = """
select l.pid, l.mode, coalesce(c.relname::text, '') as relation
from pg_locks l left join pg_class c on c.oid = l.relation where not l.granted
"""
STATEMENTS = """
select left(query, 300) as query, calls::float8 as calls, mean_exec_time::float8 as mean_ms,
       total_exec_time::float8 as total_ms, rows::float8 as rows
from pg_stat_statements where mean_exec_time >= %s order by total_exec_time desc limit %s
"""
DATABASES = """
select datname::text as database, numbackends::float8 as sessions, xact_commit::float8 as commits,
       xact_rollback::float8 as rollbacks, deadlocks::float8 as deadlocks, temp_bytes::float8 as temp_bytes,
       coalesce(blks_hit::float8 / nullif(blks_hit + blks_read, 0), 1.0) as cache_hit_ratio
from pg_stat_database where datname is not null order by xact_commit desc limit 20
"""


@postgres.diagnostic()
async def monitor_database_connections(reader: PostgresReader, database: str = "") -> Finding:
    """Who is connected and in which state. Use it when connections run out or sessions pile up.

    Reads `pg_stat_activity`. Sessions count as left open, or as leaked, by the service's options
    `idle_transaction_seconds` and `idle_session_seconds`.

    Args:
        database: count only sessions of this database; empty for all.
    """
    found = await clients(reader, await find_database(reader, database) if database else "")
    limit = float((await reader.row(LIMIT))["connection_limit"])
    left_open, leaked = reader.number("idle_transaction_seconds", 30), reader.number("idle_session_seconds", 600)
    open_transactions = [row for row in found if idle_in_transaction(row)]
    groups = Counter((row["user"], row["database"], row["application"], row["state"]) for row in found)
    data = {
        "total": float(len(found)),
        "limit": limit,
        "ratio": len(found) / max(limit, 1.0),
        "active": _count(found, "active"),
        "idle": _count(found, "idle"),
        "idle_leaked": float(sum(row["state"] == "idle" and row["state_seconds"] >= leaked for row in found)),
        "idle_in_transaction": float(len(open_transactions)),
        "idle_in_transaction_old": float(sum(row["transaction_seconds"] >= left_open for row in open_transactions)),
        "oldest_idle_transaction_seconds": max((row["transaction_seconds"] for row in open_transactions), default=0.0),
        "lock_waiting": float(sum(row["wait_type"] == "Lock" for row in found)),
        **_largest(open_transactions, "idle_transaction"),
        **_largest([row for row in found if row["state"] == "idle"], "idle"),
        "groups": [
            {"user": user, "database": base, "application": application, "state": state, "sessions": float(count)}
            for (user, base, application, state), count in groups.most_common(ROWS)
        ],
    }
    summary = f"{len(found)} of {limit:.0f} connections, {len(open_transactions)} of them idle in transaction."
    return Finding(summary, data, RunStatus.FOUND if found else RunStatus.NOTHING)


def _count(found: list[Row], state: str) -> float:
    return float(sum(row["state"] == state for row in found))


def _largest(found: list[Row], name: str) -> dict[str, Any]:
    """Which database and application hold most of these sessions."""
    if not found:
        return {f"{name}_database": "", f"{name}_application": "", f"{name}_user": ""}
    database, application, user = Counter(
        (row["database"], row["application"], row["user"]) for row in found
    ).most_common(1)[0][0]
    return {f"{name}_database": database, f"{name}_application": application, f"{name}_user": user}


@postgres.diagnostic()
async def check_database_locks(reader: PostgresReader) -> Finding:
    """Who waits for a lock, and which session holds everyone up. Use it when queries hang.

    Reads `pg_locks` and `pg_blocking_pids()`. A root is a session that blocks others and is
    itself not blocked; ending any other session of the queue does not help.
    """
    blockers = {row["pid"]: list(row["blockers"]) for row in await reader.rows(BLOCKERS) if row["blockers"]}
    behind = lock_roots(blockers)
    found = {row["pid"]: row for row in await sessions(reader)}
    roots = sorted((found[pid] for pid in behind if pid in found), key=lambda row: -behind[row["pid"]])
    wanted = await reader.rows(WANTED)
    waits = [found[pid]["lock_wait_seconds"] for pid in blockers if pid in found]
    data: dict[str, Any] = {
        "waiters": float(len(blockers)),
        "longest_wait_seconds": max(waits, default=0.0),
        "root_count": float(len(behind)),
        "prepared_transaction": 0 in behind,
        "roots": [shown(row, "dump") | {"waiters": float(behind[row["pid"]])} for row in roots[:ROWS]],
        "waiting": [shown(found[pid]) for pid in list(blockers)[:ROWS] if pid in found],
        **_exclusive(wanted, found),
        **(_root(roots[0], behind[roots[0]["pid"]]) if roots else {}),
    }
    if not blockers:
        return Finding("No session waits for a lock.", data, RunStatus.NOTHING)
    who = f"pid {data['root_pid']}, {data['root_state']}" if roots else "a prepared transaction"
    return Finding(f"{counted(len(blockers), 'session waits', 'sessions wait')} for a lock, behind {who}.", data)


def _root(row: Row, waiters: int) -> dict[str, Any]:
    return {
        "root_pid": row["pid"],
        "root_database": row["database"],
        "root_user": row["user"],
        "root_application": row["application"],
        "root_state": row["state"],
        "root_idle": idle_in_transaction(row),
        "root_dump": bool(row["dump"]),
        "root_progress": row["progress"],
        "root_seconds": row["transaction_seconds"],
        "root_waiters": float(waiters),
    }


def _exclusive(wanted: list[Row], found: dict[int, Row]) -> dict[str, Any]:
    """The waiting session whose lock would exclude everyone: usually a migration, with the readers behind it."""
    exclusive = [row for row in wanted if row["mode"] == "AccessExclusiveLock" and row["pid"] in found]
    if not exclusive:
        return {"exclusive_waiting": False}
    first = exclusive[0]
    return {
        "exclusive_waiting": True,
        "exclusive_pid": first["pid"],
        "exclusive_relation": first["relation"],
        "exclusive_query": found[first["pid"]]["query"],
    }


@postgres.diagnostic()
async def analyze_slow_queries(reader: PostgresReader, min_duration_ms: float = 1000.0, limit: int = 20) -> Finding:
    """Which queries run for long now, and which took longest on average. Use it when everything is slow.

    Reads `pg_stat_activity`, the `pg_stat_progress_*` views and, where it is installed, `pg_stat_statements`.
    A query that reports progress (a copy, an index build, a vacuum) or is a dump is legitimate
    heavy work and never the `worst`; neither is one that waits for a lock.

    Args:
        min_duration_ms: leave out what is quicker, milliseconds.
        limit: rows at most.
    """
    rows = max(1, min(limit, ROWS))
    running = [
        row
        for row in await sessions(reader, "a.state = 'active' and a.backend_type = 'client backend'")
        if row["query_seconds"] * 1000 >= min_duration_ms
    ]
    heavy = [row for row in running if row["progress"] or row["dump"]]
    suspects = sorted(
        (row for row in running if row not in heavy and row["wait_type"] not in ("Lock", "IPC", "Client")),
        key=lambda row: -row["query_seconds"],
    )
    statements = await _statements(reader, min_duration_ms, rows)
    data: dict[str, Any] = {
        "running": [shown(row, "wait_type", "wait") for row in running[:rows]],
        "running_count": float(len(running)),
        "lock_waiting": float(sum(row["wait_type"] == "Lock" for row in running)),
        "sync_waiting": float(sum(row["wait"] == "SyncRep" for row in running)),
        "legitimate_count": float(len(heavy)),
        "legitimate": [shown(row) for row in heavy[:rows]],
        "suspect_count": float(len(suspects)),
        "statements_available": statements is not None,
        "statements": statements or [],
        **(_worst(suspects[0]) if suspects else {}),
    }
    if not running and not statements:
        return Finding(f"No query takes {min_duration_ms:g} ms or more.", data, RunStatus.NOTHING)
    longest = (
        f"the longest for {suspects[0]['query_seconds']:.0f} s" if suspects else f"{len(heavy)} of them heavy work"
    )
    run = counted(len(running), "query runs", "queries run")
    return Finding(f"{run} for {min_duration_ms:g} ms or more, {longest}.", data)


def _worst(row: Row) -> dict[str, Any]:
    return {
        "worst_pid": row["pid"],
        "worst_database": row["database"],
        "worst_user": row["user"],
        "worst_application": row["application"],
        "worst_seconds": row["query_seconds"],
        "worst_wait": row["wait"],
    }


async def _statements(reader: PostgresReader, min_ms: float, limit: int) -> list[Row] | None:
    """Rows of pg_stat_statements; None where it is not installed, not loaded or not readable."""
    try:
        return await reader.rows(STATEMENTS, [min_ms, limit])
    except (Unexpected, Denied):
        return None


@postgres.diagnostic()
async def query_database_performance(reader: PostgresReader, show_queries: bool = False) -> Finding:
    """Throughput, cache hits, deadlocks and temporary files of each database. Use it for a first picture.

    Reads `pg_stat_database`.

    Args:
        show_queries: also list what runs at the moment.
    """
    databases = await reader.rows(DATABASES)
    running = [row for row in await clients(reader) if row["state"] == "active"]
    data = {
        "databases": databases,
        "sessions": sum(row["sessions"] for row in databases),
        "deadlocks": sum(row["deadlocks"] for row in databases),
        "temp_bytes": sum(row["temp_bytes"] for row in databases),
        "lowest_cache_hit_ratio": min((row["cache_hit_ratio"] for row in databases), default=1.0),
        "running_count": float(len(running)),
        "running": [shown(row) for row in running[:ROWS]] if show_queries else [],
    }
    hits = 100 * data["lowest_cache_hit_ratio"]
    run = counted(len(running), "query runs", "queries run")
    return Finding(f"{run}; the lowest cache hit share of a database is {hits:.1f} %.", data)
