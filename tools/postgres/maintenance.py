"""Remediations that tend tables: vacuum, analyze, autovacuum switched on again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from cockpit.model import JSON, Approval, Change, Plan, Refused
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.postgres.client import PostgresReader, PostgresWriter, Row
from tools.postgres.kind import postgres
from tools.postgres.names import Table, find_table, quoted
from tools.postgres.sessions import holders

VACUUM_SECONDS = 3600.0
SPARE = 1.2
"""A copy of a table needs its size and some room for WAL beside it."""
LOCAL = ("127.0.0.1", "::1", "localhost")

STATE = """
select c.oid::bigint as oid, pg_relation_filenode(c.oid)::bigint as filenode, c.reloptions as options,
       coalesce(s.n_dead_tup, 0)::float8 as dead_rows, coalesce(s.n_live_tup, 0)::float8 as live_rows,
       coalesce(s.n_mod_since_analyze, 0)::float8 as changed_rows,
       coalesce(s.last_vacuum::text, '') as vacuumed_at, coalesce(s.last_analyze::text, '') as analyzed_at,
       pg_table_size(c.oid)::float8 as bytes
from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_stat_all_tables s on s.relid = c.oid
where n.nspname::text = %(schema)s::text and c.relname::text = %(table)s::text
"""


async def table_state(reader: PostgresReader, key: Any) -> Row:
    """What the catalogue and the statistics say of a table now; empty where it is gone."""
    return await reader.row(STATE, {"schema": key["schema"], "table": key["table"]}, database=key["database"])


async def free_bytes(reader: PostgresReader) -> float | None:
    """Free space where the data folder lies, bytes; None where the server runs on another machine."""
    if reader.text("host", "127.0.0.1") not in LOCAL and not reader.text("host").startswith("/"):
        return None
    folder = Path((await reader.row("select current_setting('data_directory') as folder"))["folder"])
    try:
        room = await asyncio.to_thread(os.statvfs, folder)
    except OSError:
        return None
    return float(room.f_bavail * room.f_frsize)


async def require_room(reader: PostgresReader, needed: float) -> str:
    """Say how much room a copy needs. Raises Refused where it is known that there is less."""
    free = await free_bytes(reader)
    if free is not None and free < needed * SPARE:
        raise Refused(
            f"A copy needs {needed * SPARE / 1048576:.0f} MiB, and {free / 1048576:.0f} MiB are free.",
            "Make room on the disk first.",
        )
    known = "free space is unknown" if free is None else f"{free / 1048576:.0f} MiB are free"
    return f"It needs {needed * SPARE / 1048576:.0f} MiB for a copy; {known}."


async def _read_table(reader: PostgresReader, key: JSON) -> JSON:
    state = await table_state(reader, key)
    return {"oid": state["oid"]} if state else None


async def _read_file(reader: PostgresReader, key: JSON) -> JSON:
    state = await table_state(reader, key)
    return {"oid": state["oid"], "filenode": state["filenode"]} if state else None


async def _vacuum(writer: PostgresWriter, change: Change) -> None:
    await _run(writer, change, "vacuum (analyze) {}")


async def _vacuum_full(writer: PostgresWriter, change: Change) -> None:
    await _run(writer, change, "vacuum (full, analyze) {}")


async def _analyze(writer: PostgresWriter, change: Change) -> None:
    await _run(writer, change, "analyze {}")


async def _run(writer: PostgresWriter, change: Change, statement: str) -> None:
    from psycopg import sql

    key: Any = change.key
    name = sql.Identifier(key["schema"], key["table"])
    await writer.run(sql.SQL(statement).format(name), database=key["database"], within=VACUUM_SECONDS)


async def _vacuumed(reader: PostgresReader, change: Change) -> bool:
    state, before = await table_state(reader, change.key), change.observed
    later = bool(state) and state["vacuumed_at"] > str(before["vacuumed_at"])
    return later and state["dead_rows"] <= float(str(before["dead_rows"]))


async def _rewritten(reader: PostgresReader, change: Change) -> bool:
    state, before = await table_state(reader, change.key), change.before
    assert isinstance(before, dict)
    return bool(state) and state["oid"] == before["oid"] and state["filenode"] != before["filenode"]


async def _analyzed(reader: PostgresReader, change: Change) -> bool:
    state = await table_state(reader, change.key)
    return bool(state) and state["analyzed_at"] > str(change.observed["analyzed_at"])


def _name(key: JSON) -> str:
    assert isinstance(key, dict)
    return quoted(str(key["schema"]), str(key["table"]))


vacuumed_table = postgres.action(
    "postgres-vacuum",
    read=_read_table,
    do=_vacuum,
    check=_vacuumed,
    steps=lambda key, before, after: [f"vacuum (analyze) {_name(key)};"],
    verification="pg_stat_user_tables shows a later last_vacuum and no more dead rows than before.",
    no_undo="None is needed: VACUUM removes what nobody can see any more.",
    timeout=VACUUM_SECONDS,
)
rewritten_table = postgres.action(
    "postgres-vacuum-full",
    read=_read_file,
    do=_vacuum_full,
    check=_rewritten,
    steps=lambda key, before, after: [f"vacuum (full, analyze) {_name(key)};"],
    verification="The table lies in another file than before.",
    no_undo="None is needed: the rows are the same.",
    timeout=VACUUM_SECONDS,
)
analyzed_table = postgres.action(
    "postgres-analyze",
    read=_read_table,
    do=_analyze,
    check=_analyzed,
    steps=lambda key, before, after: [f"analyze {_name(key)};"],
    verification="pg_stat_user_tables shows a later last_analyze.",
    no_undo="None is needed: statistics describe the rows and change none.",
    timeout=VACUUM_SECONDS,
)


@postgres.remediation(approval=Approval.SOFT, uses=(vacuumed_table, rewritten_table))
async def vacuum_postgres_table(reader: PostgresReader, database: str, table: str, full: bool = False) -> Plan:
    """Remove a table's dead rows and renew its statistics. Use it for a table that check_table_bloat names.

    Sends `VACUUM (ANALYZE)`, which disturbs nobody. With `full` the table is rewritten: it shrinks,
    is locked for everyone meanwhile, needs room for a copy, and always waits for a person.
    Refused while an old snapshot holds the dead rows, as nothing would be freed.

    Args:
        database: where the table is; empty for the configured one.
        table: its name, plain or as schema.table, without quotes.
        full: rewrite it under an exclusive lock.
    """
    found = await find_table(reader, database, table)
    await _nothing_holds(reader, found)
    state = await table_state(reader, found.key)
    observed = {name: state[name] for name in ("dead_rows", "live_rows", "bytes", "vacuumed_at")}
    dead = counted(state["dead_rows"], "dead row lies", "dead rows lie")
    why = f"{dead} beside {counted(state['live_rows'], 'live one')}."
    if not full:
        change = vacuumed_table.change(
            reader.service.name,
            found.key,
            {"oid": state["oid"]},
            {"oid": state["oid"], "vacuumed": True},
            why=why,
            observed=observed,
        )
        return plan_of(f"Vacuum {found.text}.", change, risk="Reads the table once; nobody is locked out.")
    room = await require_room(reader, state["bytes"])
    before = {"oid": state["oid"], "filenode": state["filenode"]}
    change = rewritten_table.change(
        reader.service.name, found.key, before, {"oid": state["oid"], "rewritten": True}, why=why, observed=observed
    )
    risk = f"Nobody can read or write {found.text} while it is rewritten. {room}"
    return plan_of(f"Rewrite {found.text}.", change, risk=risk, approval=Approval.HARD)


async def _nothing_holds(reader: PostgresReader, table: Table) -> None:
    holding = await holders(reader, table.database)
    if holding:
        first = holding[0]
        raise Refused(
            f"Process {first['pid']} has held a snapshot for {first['transaction_seconds']:.0f} s; "
            "rows that died since cannot be removed.",
            "Let it end, or end it first: kill_long_running_query.",
        )


@postgres.remediation(approval=Approval.SOFT, uses=(analyzed_table,))
async def analyze_table(reader: PostgresReader, database: str, table: str) -> Plan:
    """Renew a table's statistics, so that queries are planned for the rows it has now. Sends `ANALYZE`.

    Args:
        database: where the table is; empty for the configured one.
        table: its name, plain or as schema.table, without quotes.
    """
    found = await find_table(reader, database, table)
    state = await table_state(reader, found.key)
    change = analyzed_table.change(
        reader.service.name,
        found.key,
        {"oid": state["oid"]},
        {"oid": state["oid"], "analyzed": True},
        why=f"{counted(state['changed_rows'], 'row')} changed since it was last analyzed.",
        observed={name: state[name] for name in ("changed_rows", "live_rows", "analyzed_at")},
    )
    return plan_of(
        f"Analyze {found.text}.", change, risk="Reads a sample of the table; plans of its queries may change."
    )


async def _read_autovacuum(reader: PostgresReader, key: JSON) -> JSON:
    state = await table_state(reader, key)
    option = "autovacuum_enabled="
    given = [text for text in state.get("options") or () if text.startswith(option)]
    return (
        {"oid": state["oid"], "autovacuum_enabled": given[0].removeprefix(option) if given else ""} if state else None
    )


def _autovacuum_statement(key: Any, after: Any) -> str:
    value = after["autovacuum_enabled"]
    change = (
        "reset (autovacuum_enabled)" if not value else f"set (autovacuum_enabled = {'off' if _is_off(value) else 'on'})"
    )
    return f"alter table {_name(key)} {change}"


def _is_off(value: str) -> bool:
    return value.lower() in ("off", "false", "no", "0")


async def _write_autovacuum(writer: PostgresWriter, key: JSON, before: JSON, after: JSON) -> None:
    from psycopg import sql

    assert isinstance(key, dict)
    await writer.run(sql.SQL(_autovacuum_statement(key, after)), database=str(key["database"]))


autovacuum_option = postgres.resource(
    "postgres-autovacuum-option",
    read=_read_autovacuum,
    write=_write_autovacuum,
    steps=lambda key, before, after: [f"{_autovacuum_statement(key, after)};"],
    verification="reloptions in pg_class read as wanted.",
)


@postgres.remediation(approval=Approval.HARD, uses=(autovacuum_option,))
async def enable_table_autovacuum(reader: PostgresReader, database: str, table: str) -> Plan:
    """Let autovacuum tend a table again for which it was switched off. Use it when dead rows come back.

    Resets the storage parameter `autovacuum_enabled` of the table.

    Args:
        database: where the table is; empty for the configured one.
        table: its name, plain or as schema.table, without quotes.
    """
    found = await find_table(reader, database, table)
    before = await _read_autovacuum(reader, found.key)
    assert isinstance(before, dict)
    if not _is_off(str(before["autovacuum_enabled"])):
        return nothing_to_do(f"Autovacuum is not switched off for {found.text}.")
    after = before | {"autovacuum_enabled": ""}
    change = autovacuum_option.change(
        reader.service.name, found.key, before, after, why="Without it, dead rows pile up until somebody vacuums."
    )
    return plan_of(
        f"Let autovacuum tend {found.text} again.", change, risk="Autovacuum will read the table now and then."
    )
