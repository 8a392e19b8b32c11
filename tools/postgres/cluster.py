"""Diagnostics of what goes on behind the tables: replication, WAL, transaction ids."""

from __future__ import annotations

from typing import Any

from cockpit.model import Finding, RunStatus
from cockpit.toolkit import counted
from tools.postgres.client import PostgresReader
from tools.postgres.kind import postgres

STANDBYS = """
select application_name as standby, state, sync_state,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::float8 as lag_bytes,
       coalesce(extract(epoch from replay_lag), 0)::float8 as lag_seconds
from pg_stat_replication where not pg_is_in_recovery() order by 4 desc limit 20
"""
SLOTS = """
select slot_name::text as slot, slot_type as type, active, coalesce(wal_status, '') as wal_status,
       case when pg_is_in_recovery() then 0
            else coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0) end::float8 as held_bytes
from pg_replication_slots order by 5 desc limit 20
"""
REPLICATION = """
select pg_is_in_recovery() as in_recovery, current_setting('synchronous_standby_names') as synchronous_standby_names,
       (select count(*) from pg_stat_activity where wait_event = 'SyncRep')::float8 as sync_waiters,
       (select count(*) from pg_stat_wal_receiver where status = 'streaming')::float8 as streaming_receivers,
       case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() else 'not paused' end as replay_state
"""
WAL = """
select (select sum(size) from pg_ls_waldir())::float8 as wal_bytes,
       (select setting::float8 * 1048576 from pg_settings where name = 'max_wal_size') as max_wal_bytes,
       (select count(*) from pg_ls_archive_statusdir() where name like %s)::float8 as waiting_to_archive,
       current_setting('archive_mode') <> 'off' as archiving,
       failed_count::float8 as failed_count, archived_count::float8 as archived_count,
       coalesce(last_failed_wal, '') as last_failed_wal,
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as failing,
       coalesce(extract(epoch from now() - last_archived_time), -1)::float8 as archived_seconds_ago
from pg_stat_archiver
"""
CHECKPOINTS_17 = """
select num_timed::float8 as timed_checkpoints, num_requested::float8 as requested_checkpoints from pg_stat_checkpointer
"""
CHECKPOINTS = """
select checkpoints_timed::float8 as timed_checkpoints, checkpoints_req::float8 as requested_checkpoints
from pg_stat_bgwriter
"""
AGES = """
select datname::text as database, age(datfrozenxid)::float8 as age, (age(datfrozenxid) / 2147483647.0)::float8 as ratio
from pg_database order by 2 desc limit 20
"""
FREEZING = """
select current_setting('autovacuum_freeze_max_age')::float8 as freeze_max_age,
       (select count(*) from pg_stat_activity
         where query ilike %s and backend_type = 'autovacuum worker')::float8 as freezing,
       (select count(*) from pg_prepared_xacts)::float8 as prepared_transactions
"""


@postgres.diagnostic()
async def check_replication_status(reader: PostgresReader) -> Finding:
    """Standbys with their lag, replication slots, and commits that wait for a standby.

    Reads `pg_stat_replication`, `pg_replication_slots` and `pg_stat_wal_receiver`. Use it when
    commits hang though nothing is locked, when a standby lags, or when WAL piles up.
    """
    figures = await reader.row(REPLICATION)
    standbys, slots = await reader.rows(STANDBYS), await reader.rows(SLOTS)
    inactive = [row for row in slots if not row["active"]]
    data: dict[str, Any] = {
        **figures,
        "synchronous": bool(figures["synchronous_standby_names"]),
        "paused": figures["replay_state"] != "not paused",
        "standbys": standbys,
        "standby_count": float(len(standbys)),
        "sync_standby_count": float(sum(row["sync_state"] in ("sync", "quorum") for row in standbys)),
        "largest_lag_bytes": max((row["lag_bytes"] for row in standbys), default=0.0),
        "slots": slots,
        "inactive_slot": inactive[0]["slot"] if inactive else "",
        "inactive_slot_bytes": inactive[0]["held_bytes"] if inactive else 0.0,
    }
    waiting = counted(figures["sync_waiters"], "commit waits", "commits wait")
    summary = f"{counted(len(standbys), 'standby streams', 'standbys stream')}; {waiting} for one."
    return Finding(summary, data, RunStatus.FOUND if standbys or slots or data["synchronous"] else RunStatus.NOTHING)


@postgres.diagnostic()
async def check_wal_and_checkpoints(reader: PostgresReader) -> Finding:
    """Size of the WAL against its limit, archiving, and what triggers checkpoints. Use it when pg_wal grows.

    Reads `pg_ls_waldir()`, `pg_stat_archiver` and `pg_stat_checkpointer` (before 17 `pg_stat_bgwriter`).
    """
    figures = await reader.row(WAL, ["%.ready"])
    version = await reader.row("select current_setting('server_version_num')::int as number")
    checkpoints = await reader.row(CHECKPOINTS_17 if version["number"] >= 170000 else CHECKPOINTS)
    data = {**figures, **checkpoints, "over_limit": figures["wal_bytes"] > figures["max_wal_bytes"]}
    archive = (
        "archiving fails" if figures["failing"] else "archiving works" if figures["archiving"] else "archiving is off"
    )
    return Finding(f"The WAL takes {figures['wal_bytes'] / 1048576:.0f} MiB; {archive}.", data)


@postgres.diagnostic()
async def check_transaction_wraparound(reader: PostgresReader) -> Finding:
    """How near each database is to running out of transaction ids, and what holds the oldest one back.

    Reads `age(datfrozenxid)` in `pg_database`, `pg_stat_activity` and `pg_prepared_xacts`.
    """
    databases, figures = await reader.rows(AGES), await reader.row(FREEZING, ["%(to prevent wraparound)%"])
    worst = databases[0]
    data = {
        "databases": databases,
        "worst_database": worst["database"],
        "worst_age": worst["age"],
        "worst_ratio": worst["ratio"],
    }
    summary = f"{worst['database']} has used {100 * worst['ratio']:.1f} % of its transaction ids."
    return Finding(summary, data | figures)
