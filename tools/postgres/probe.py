"""The probe: one connection, three queries, and the samples that conditions look at."""

from __future__ import annotations

from typing import Any

from cockpit.model import Denied, Health, Level
from cockpit.toolkit import counted
from tools.postgres.client import LOGIN, PostgresReader, TooManyConnections
from tools.postgres.kind import postgres
from tools.postgres.sessions import clients, holders, idle_in_transaction

SERVER = """
select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true)::int, 0) as connection_limit,
       extract(epoch from now() - pg_postmaster_start_time())::float8 as uptime_seconds,
       pg_database_size(current_database())::float8 as database_bytes,
       (select max(age(datfrozenxid)) / 2147483647.0 from pg_database)::float8 as wraparound_ratio,
       (select coalesce(sum(checksum_failures), 0) from pg_stat_database)::float8 as checksum_failures,
       (select coalesce(sum(blks_hit) / nullif(sum(blks_hit) + sum(blks_read), 0), 1)
          from pg_stat_database)::float8 as cache_hit_ratio,
       (select case when last_failed_time > coalesce(last_archived_time, '-infinity') then 1 else 0 end
          from pg_stat_archiver)::float8 as archiving_failing,
       (select count(*) from pg_settings where pending_restart)::float8 as pending_restarts,
       (select extract(epoch from now() - backend_start) from pg_stat_activity
         where backend_type = 'checkpointer'
           and backend_start > pg_postmaster_start_time() + interval '0.5 s')::float8 as crash_recovery_age_seconds,
       (select count(*) from pg_stat_replication)::float8 as replicas,
       (select coalesce(max(case when pg_is_in_recovery() then 0
               else pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) end), 0)
          from pg_stat_replication)::float8 as replication_lag_bytes,
       (select coalesce(max(case when pg_is_in_recovery() then 0
               else pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) end), 0)
          from pg_replication_slots where not active)::float8 as inactive_slot_bytes
"""
BLOATED = "n_dead_tup >= 10000 and n_dead_tup > 0.4 * (n_live_tup + n_dead_tup)"
STALE = "n_mod_since_analyze >= 10000 and n_mod_since_analyze > 0.5 * n_live_tup"
TABLES = f"""
select count(*) filter (where {BLOATED})::float8 as bloated_tables,
       count(*) filter (where {STALE})::float8 as stale_statistics_tables,
       coalesce(max(n_dead_tup), 0)::float8 as largest_dead_rows,
       (select count(*) from pg_index i where not i.indisvalid
           and not exists (select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid)
       )::float8 as invalid_indexes
from pg_stat_user_tables
"""  # noqa: S608 - both parts are constants of this module
SETTINGS = """
select (select count(*) from pg_file_settings where error is not null)
     + (select count(*) from pg_hba_file_rules where error is not null) as setting_errors
"""


@postgres.health(
    connections="Sessions of clients, our own included.",
    connection_limit="Connections that ordinary roles may have.",
    connection_ratio="Share of those in use, 0 to 1.",
    too_many_connections="1 when the server has no connection left for the probe itself.",
    idle_in_transaction="Sessions that left a transaction open for longer than idle_transaction_seconds.",
    idle_sessions="Sessions that did nothing for longer than idle_session_seconds.",
    oldest_transaction_seconds="Age of the oldest open transaction of a client, seconds.",
    lock_waiters="Sessions that wait for a lock for longer than lock_wait_seconds.",
    longest_lock_wait_seconds="Longest wait for a lock, seconds.",
    long_queries="Queries that run, not wait, for longer than long_query_seconds and report no progress.",
    longest_query_seconds="Age of the oldest running query, seconds.",
    sync_waiters="Sessions whose commit waits for a synchronous standby.",
    old_snapshots="Transactions older than old_snapshot_seconds that keep dead rows from being removed.",
    bloated_tables="Tables of the configured database with over 10,000 dead rows that are over 40 % of all.",
    largest_dead_rows="Most dead rows in one table, rows.",
    stale_statistics_tables="Tables of which more than half was changed since the last ANALYZE.",
    invalid_indexes="Indexes that are not valid and not being built.",
    uptime_seconds="Time since the server was started, seconds.",
    crash_recovery_age_seconds="Time since it recovered from the crash of a process, seconds; absent without one.",
    database_bytes="Size of the configured database, bytes.",
    wraparound_ratio="Age of the oldest unfrozen transaction as a share of the 2^31 at which writes stop.",
    checksum_failures="Damaged pages met since the statistics were reset.",
    cache_hit_ratio="Share of block reads answered from shared buffers, 0 to 1.",
    archiving_failing="1 when the last attempt to archive WAL failed.",
    pending_restarts="Settings that wait for a restart.",
    setting_errors="Errors in the configuration files, waiting for the next restart.",
    replicas="Standbys that stream from here.",
    replication_lag_bytes="WAL that the slowest standby has yet to replay, bytes.",
    inactive_slot_bytes="WAL held back for a replication slot that nobody reads, bytes.",
)
async def probe(reader: PostgresReader) -> Health:
    """Connections, transactions, locks and what waits to go wrong, in one look."""
    try:
        samples = await _server(reader)
    except TooManyConnections as error:
        return Health(Level.DOWN, error.what, {"too_many_connections": 1.0})
    samples |= await _sessions(reader, samples["connection_limit"])
    samples |= await reader.row(TABLES)
    samples |= await _setting_errors(reader)
    level, summary = judged(samples)
    return Health(level, summary, samples)


def judged(samples: dict[str, Any]) -> tuple[Level, str]:
    """The level and the one sentence that the samples amount to."""
    used = f"{samples['connections']:.0f} of {samples['connection_limit']:.0f} connections in use"
    if samples["connection_ratio"] >= 0.95:
        return Level.DEGRADED, f"{used}: new clients are turned away."
    if samples["sync_waiters"]:
        return Level.DEGRADED, f"{counted(samples['sync_waiters'], 'commit waits', 'commits wait')} for a standby."
    if samples["lock_waiters"]:
        return Level.DEGRADED, f"{counted(samples['lock_waiters'], 'session waits', 'sessions wait')} for a lock."
    if samples["long_queries"]:
        return Level.DEGRADED, f"A query has been running for {samples['longest_query_seconds']:.0f} s."
    return Level.UP, f"{used}."


async def _server(reader: PostgresReader) -> dict[str, float]:
    return {name: float(value) for name, value in (await reader.row(SERVER)).items() if value is not None}


async def _sessions(reader: PostgresReader, limit: float) -> dict[str, float]:
    found = await clients(reader)
    running = [
        row for row in found if row["state"] == "active" and row["wait_type"] != "Lock" and row["wait"] != "SyncRep"
    ]
    waits = [row["lock_wait_seconds"] for row in found if row["wait_type"] == "Lock"]
    idle, left_open = reader.number("idle_session_seconds", 600), reader.number("idle_transaction_seconds", 30)
    long, patience = reader.number("long_query_seconds", 300), reader.number("lock_wait_seconds", 10)
    counts = {
        "connections": len(found) + 1,
        "connection_ratio": (len(found) + 1) / max(limit, 1),
        "idle_in_transaction": sum(
            idle_in_transaction(row) and row["transaction_seconds"] >= left_open for row in found
        ),
        "idle_sessions": sum(row["state"] == "idle" and row["state_seconds"] >= idle for row in found),
        "oldest_transaction_seconds": max((row["transaction_seconds"] for row in found), default=0),
        "lock_waiters": sum(wait >= patience for wait in waits),
        "longest_lock_wait_seconds": max(waits, default=0),
        "long_queries": sum(
            row["query_seconds"] >= long and not row["progress"] and not row["dump"] for row in running
        ),
        "longest_query_seconds": max((row["query_seconds"] for row in running), default=0),
        "sync_waiters": sum(row["wait"] == "SyncRep" for row in found),
        "old_snapshots": len(await holders(reader, reader.database)),
    }
    return {name: float(count) for name, count in counts.items()}


async def _setting_errors(reader: PostgresReader) -> dict[str, float]:
    try:
        found = await reader.row(SETTINGS, role=LOGIN)
    except Denied:  # only superusers may read the two views; without them the sample is absent
        return {}
    return {"setting_errors": float(found["setting_errors"])}
