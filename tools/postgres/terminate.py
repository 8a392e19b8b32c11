"""Remediations that end sessions and queries, each by process id and start time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from cockpit.model import JSON, Approval, Change, Plan, Refused
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.postgres.client import PostgresReader, PostgresWriter, Row
from tools.postgres.kind import postgres
from tools.postgres.names import find_database, literal
from tools.postgres.sessions import clients, identity, idle_in_transaction, same_session, session, sessions, shown

GRACE_SECONDS = 10.0
"""So long a cancelled query may take to end before its session is ended."""
MOST_SESSIONS = 200

TERMINATE = """
select pg_terminate_backend(pid) from pg_stat_activity
where pid = %s and backend_start = %s::timestamptz and backend_type = 'client backend'
"""
CANCEL = """
select pg_cancel_backend(pid) from pg_stat_activity
where pid = %s and backend_start = %s::timestamptz and query_start = %s::timestamptz and state = 'active'
"""
TERMINATE_TRANSACTION = """
select pg_terminate_backend(pid) from pg_stat_activity
where pid = %s and backend_start = %s::timestamptz and xact_start = %s::timestamptz and backend_type = 'client backend'
"""
STILL_OPEN = """
select 1 from pg_stat_activity where pid = %s and backend_start = %s::timestamptz and xact_start = %s::timestamptz
"""

MATCHES: dict[str, Callable[[Row], bool]] = {
    "idle in transaction": idle_in_transaction,
    "idle": lambda row: row["state"] == "idle",
    "any": lambda row: True,
}


def _ids(rows: Sequence[Row]) -> list[JSON]:
    return [identity(row) for row in sorted(rows, key=lambda row: int(row["pid"]))]


async def _read_sessions(reader: PostgresReader, key: Any) -> JSON:
    """Which of the key's sessions are still there and in the state for which they were chosen."""
    still = MATCHES[key["state"]]
    found = await sessions(reader, "a.pid = any(%s)", [[known["pid"] for known in key["sessions"]]])
    return {
        "sessions": _ids(
            [row for row in found if still(row) and any(same_session(row, known) for known in key["sessions"])]
        )
    }


async def _end_sessions(writer: PostgresWriter, change: Change) -> None:
    before: Any = change.before
    for known in before["sessions"]:
        await writer.run(TERMINATE, [known["pid"], known["backend_start"]])


async def _sessions_ended(reader: PostgresReader, change: Change) -> bool:
    before: Any = change.before
    found = await sessions(reader, "a.pid = any(%s)", [[known["pid"] for known in before["sessions"]]])
    return not any(same_session(row, known) for row in found for known in before["sessions"])


def _session_steps(key: JSON, before: JSON, after: JSON) -> list[str]:
    known: Any = before
    whom = ", ".join(f"({row['pid']}, {literal(row['backend_start'])})" for row in known["sessions"])
    return [f"select pg_terminate_backend(pid) from pg_stat_activity where (pid, backend_start) in ({whom});"]  # noqa: S608 - a step to be read; what runs binds its values


def _whom(row: dict[str, Any]) -> str:
    return f"from pg_stat_activity where pid = {row['pid']} and backend_start = {literal(row['backend_start'])};"


ended_sessions = postgres.action(
    "postgres-sessions",
    read=_read_sessions,
    do=_end_sessions,
    check=_sessions_ended,
    steps=_session_steps,
    verification="pg_stat_activity has none of these sessions, by pid and start time.",
    no_undo="A session that was ended is gone; its client connects again, and its open transaction was rolled back.",
)


async def _read_transaction(reader: PostgresReader, key: JSON) -> JSON:
    assert isinstance(key, dict)
    row = await session(reader, key["pid"])
    return _transaction(row) if row and row["backend_start"] == key["backend_start"] else None


def _transaction(row: Row) -> dict[str, JSON]:
    """What must still hold: the same session, in the same transaction, at the same query."""
    return identity(row) | {name: row[name] for name in ("xact_start", "query_start", "state")}


async def _end_transaction(writer: PostgresWriter, change: Change) -> None:
    known: Any = change.before
    where = [known["pid"], known["backend_start"], known["xact_start"]]
    if known["state"] == "active":
        await writer.run(CANCEL, [known["pid"], known["backend_start"], known["query_start"]])
        deadline = time.monotonic() + GRACE_SECONDS
        while await writer.run(STILL_OPEN, where) and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.1)
    if await writer.run(STILL_OPEN, where):
        await writer.run(TERMINATE_TRANSACTION, where)


async def _transaction_ended(reader: PostgresReader, change: Change) -> bool:
    known: Any = change.before
    row = await session(reader, known["pid"])
    return not (row and same_session(row, known) and row["xact_start"] == known["xact_start"])


def _transaction_steps(key: JSON, before: JSON, after: JSON) -> list[str]:
    known: Any = before
    end = f"select pg_terminate_backend(pid) {_whom(known)}"
    if known["state"] != "active":
        return [end]
    return [f"select pg_cancel_backend(pid) {_whom(known)}", f"-- if it still runs after {GRACE_SECONDS:.0f} s: {end}"]


ended_transaction = postgres.action(
    "postgres-transaction",
    read=_read_transaction,
    do=_end_transaction,
    check=_transaction_ended,
    steps=_transaction_steps,
    verification="pg_stat_activity no longer has this session in this transaction.",
    no_undo="What the transaction had done is rolled back; its client has to run it again.",
    timeout=GRACE_SECONDS + 20,
)


@postgres.remediation(approval=Approval.HARD, uses=(ended_sessions,))
async def clear_postgres_connections(reader: PostgresReader, database: str = "", force_user: str | None = None) -> Plan:
    """End sessions that left a transaction open, or every session of one user. Use it when connections are used up.

    Chosen are sessions idle in transaction for longer than the option `idle_transaction_seconds`;
    with `force_user` all of that user's sessions. Never replication; sessions of superusers only
    when that user is named. Sends `pg_terminate_backend()`.

    Args:
        database: whose sessions; empty for the configured database.
        force_user: end all sessions of this user instead.
    """
    name = await find_database(reader, database)
    found = await clients(reader, name)
    if force_user:
        chosen = [row for row in found if row["user"] == force_user]
        return _end_plan(reader, chosen, "any", f"of {force_user}", f"{force_user} has no session in {name}.")
    least = reader.number("idle_transaction_seconds", 30)
    chosen = [
        row
        for row in found
        if idle_in_transaction(row) and row["transaction_seconds"] >= least and not row["superuser"]
    ]
    nothing = f"No session of {name} has been idle in transaction for {least:g} s."
    return _end_plan(reader, chosen, "idle in transaction", "idle in transaction", nothing)


@postgres.remediation(approval=Approval.SOFT, uses=(ended_sessions,))
async def terminate_idle_sessions(
    reader: PostgresReader, database: str = "", older_than_seconds: float | None = None
) -> Plan:
    """End sessions that are connected and do nothing, outside any transaction. Use it when a client leaks connections.

    Never replication, never sessions of superusers. Sends `pg_terminate_backend()`.

    Args:
        database: whose sessions; empty for the configured database.
        older_than_seconds: idle for at least so long; the option `idle_session_seconds` when absent.
    """
    name = await find_database(reader, database)
    least = reader.number("idle_session_seconds", 600) if older_than_seconds is None else max(older_than_seconds, 0)
    chosen = [
        row
        for row in await clients(reader, name)
        if row["state"] == "idle" and row["state_seconds"] >= least and not row["superuser"]
    ]
    nothing = f"No session of {name} has been idle for {least:g} s."
    return _end_plan(reader, chosen, "idle", "idle outside a transaction", nothing)


def _end_plan(reader: PostgresReader, chosen: list[Row], state: str, which: str, nothing: str) -> Plan:
    chosen = sorted(chosen, key=lambda row: row["pid"])[:MOST_SESSIONS]
    if not chosen:
        return nothing_to_do(nothing)
    known = _ids(chosen)
    change = ended_sessions.change(
        reader.service.name,
        {"state": state, "sessions": known},
        {"sessions": known},
        {"sessions": []},
        why=f"Connections held: {len(known)}.",
        observed={"sessions": [shown(row) for row in chosen[:20]], "count": len(known)},
    )
    risk = "Their clients see 57P01 and have to connect again; what they had not committed is rolled back."
    return plan_of(f"End {counted(len(known), 'session')} {which}.", change, risk=risk)


@postgres.remediation(approval=Approval.HARD, uses=(ended_transaction,))
async def kill_long_running_query(reader: PostgresReader, database: str, query_pid: int) -> Plan:
    """End one query or one open transaction: a runaway query, or the root of a lock queue.

    A running query is cancelled (`pg_cancel_backend()`), and its session ended if it still runs
    after 10 s; a session idle in transaction is ended at once. Dumps, replication, the server's own
    processes and queries that report progress are refused.

    Args:
        database: the session's database; empty for the configured one.
        query_pid: its process id, as check_database_locks or analyze_slow_queries names it.
    """
    name = await find_database(reader, database)
    row = await session(reader, query_pid)
    if row is None or (row["type"] == "client backend" and not row["xact_start"]):
        return nothing_to_do(f"Process {query_pid} has no transaction open any more.")
    _must_be_endable(row, name)
    change = ended_transaction.change(
        reader.service.name,
        {"pid": row["pid"], "backend_start": row["backend_start"]},
        _transaction(row),
        {"pid": row["pid"], "transaction": "ended"},
        why=f"It has been open for {row['transaction_seconds']:.0f} s.",
        observed=shown(row, "superuser"),
    )
    risk = "Its client sees the query cancelled or the connection closed; the transaction is rolled back."
    if row["superuser"]:
        risk += " The session belongs to a superuser: it may be somebody's maintenance."
    return plan_of(
        f"End the transaction of pid {row['pid']}, open for {row['transaction_seconds']:.0f} s.", change, risk=risk
    )


def _must_be_endable(row: Row, database: str) -> None:
    if row["type"] != "client backend":
        raise Refused(f"Process {row['pid']} is a {row['type']}, not a client.", "Leave it alone.")
    if row["database"] != database:
        raise Refused(f"Process {row['pid']} works in another database than {database}.", "Name the right database.")
    if row["dump"]:
        raise Refused(
            f"Process {row['pid']} is a dump; without it there is no backup.", "Let it end, or end it by hand."
        )
    if row["progress"]:
        raise Refused(
            f"Process {row['pid']} runs a {row['progress']} and makes progress.", "Let it end, or end it by hand."
        )
