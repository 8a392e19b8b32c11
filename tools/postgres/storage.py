"""Diagnostics of what is stored: databases, tables, dead rows, vacuum."""

from __future__ import annotations

from typing import Any

from cockpit.model import Finding, RunStatus
from cockpit.toolkit import counted
from tools.postgres.client import READ_ALL, PostgresReader, Row
from tools.postgres.kind import postgres
from tools.postgres.names import find_database
from tools.postgres.probe import STALE
from tools.postgres.sessions import ROWS, holders, shown

MEBIBYTE = 1048576

DATABASE_SIZES = """
select datname::text as database, pg_database_size(oid)::float8 as bytes
from pg_database where datallowconn order by 2 desc limit 20
"""

# Asking the size of a relation takes a lock on it, and would wait behind whoever holds or wants it exclusively.
SIZE = """
case when exists (select from pg_locks l where l.relation = c.oid and l.mode = 'AccessExclusiveLock')
     then c.relpages::float8 * current_setting('block_size')::int
     else pg_total_relation_size(c.oid)::float8 end
"""
SINCE = "coalesce(extract(epoch from now() - greatest(s.last_{0}, s.last_auto{0})), -1)::float8"
TABLES = f"""
with widths as (
    select schemaname, tablename, sum(avg_width * (1 - null_frac)) + 32 as width from pg_stats group by 1, 2
), tables as (
    select s.schemaname::text as schema, s.relname::text as "table",
           s.schemaname::text || '.' || s.relname::text as name,
           s.n_live_tup::float8 as live_rows, s.n_dead_tup::float8 as dead_rows,
           s.n_dead_tup::float8 / greatest(s.n_live_tup + s.n_dead_tup, 1) as dead_ratio,
           {SIZE} as bytes,
           greatest(c.relpages::float8 * 8192 - greatest(c.reltuples, 0) * coalesce(w.width, 8192) * 1.2, 0)::float8
               as empty_bytes,
           coalesce(c.reloptions && array['autovacuum_enabled=off', 'autovacuum_enabled=false'], false)
               as autovacuum_off,
           {SINCE.format("vacuum")} as vacuumed_seconds_ago,
           {SINCE.format("analyze")} as analyzed_seconds_ago,
           s.n_mod_since_analyze::float8 as changed_rows, c.reltuples::float8 as estimated_rows,
           {STALE} as stale
    from pg_stat_user_tables s join pg_class c on c.oid = s.relid
    left join widths w on w.schemaname = s.schemaname and w.tablename = s.relname
)
"""  # noqa: S608 - all parts are constants of this module and of the probe
BLOAT = f"""{TABLES}
select *, greatest(dead_ratio * bytes, empty_bytes) as bloat_bytes from tables
where greatest(dead_ratio * bytes, empty_bytes) >= %s order by dead_rows desc, bytes desc limit 20
"""  # noqa: S608 - a constant of this module
LARGEST = f"""{TABLES}
select schema, "table", name, live_rows, dead_rows, bytes from tables order by bytes desc limit 10
"""  # noqa: S608 - a constant of this module
STALENESS = f"""{TABLES}
select * from tables where stale order by changed_rows desc limit 20
"""  # noqa: S608 - a constant of this module
RUNNING = """
select p.pid, p.datname::text as database, coalesce(c.relname::text, p.relid::text) as "table", p.phase,
       p.heap_blks_total::float8 as blocks, p.heap_blks_scanned::float8 as scanned,
       coalesce(a.query ilike '%(to prevent wraparound)%', false) as against_wraparound
from pg_stat_progress_vacuum p left join pg_class c on c.oid = p.relid
left join pg_stat_activity a on a.pid = p.pid limit 20
"""
DATABASE = """
select pg_database_size(d.oid)::float8 as bytes, s.numbackends::float8 as sessions, s.deadlocks::float8 as deadlocks,
       s.temp_bytes::float8 as temp_bytes, s.xact_commit::float8 as commits, s.xact_rollback::float8 as rollbacks,
       coalesce(s.checksum_failures, 0)::float8 as checksum_failures, age(d.datfrozenxid)::float8 as transaction_age,
       coalesce(s.blks_hit::float8 / nullif(s.blks_hit + s.blks_read, 0), 1.0) as cache_hit_ratio
from pg_database d join pg_stat_database s on s.datid = d.oid where d.datname = current_database()
"""


@postgres.diagnostic()
async def check_database_sizes(reader: PostgresReader) -> Finding:
    """How large each database is. Use it when the disk fills up. Reads `pg_database_size()`."""
    databases = await reader.rows(DATABASE_SIZES)
    total = sum(row["bytes"] for row in databases)
    data = {"databases": databases, "total_bytes": total, "largest": databases[0]["database"] if databases else ""}
    return Finding(f"{counted(len(databases), 'database holds', 'databases hold')} {total / MEBIBYTE:.1f} MiB.", data)


@postgres.diagnostic()
async def check_specific_database(reader: PostgresReader, database: str = "") -> Finding:
    """One database closely: size, traffic, cache hits and largest tables.

    Reads `pg_stat_database` and `pg_stat_user_tables`.

    Args:
        database: its name; empty for the configured one.
    """
    name = await find_database(reader, database)
    figures = await reader.row(DATABASE, database=name)
    tables = await reader.rows(LARGEST, database=name, role=READ_ALL)
    connected = counted(figures["sessions"], "session is", "sessions are")
    summary = f"{name} holds {figures['bytes'] / MEBIBYTE:.1f} MiB; {connected} connected."
    return Finding(summary, {"database": name, **figures, "tables": tables})


@postgres.diagnostic()
async def check_table_bloat(reader: PostgresReader, min_bloat_mb: float = 10.0, database: str = "") -> Finding:
    """Tables full of dead rows, and whether VACUUM could remove them. Use it when a table grows or slows down.

    Reads `pg_stat_user_tables`, `pg_stats` and `pg_stat_activity`. Where `held` is true, a
    session's old snapshot keeps the dead rows, and VACUUM frees nothing until it ends.

    Args:
        min_bloat_mb: leave out tables with less dead or empty space, mebibytes.
        database: where to look; empty for the configured one.
    """
    name = await find_database(reader, database)
    tables = await reader.rows(BLOAT, [min_bloat_mb * MEBIBYTE], database=name, role=READ_ALL)
    holding = await holders(reader, name)
    data: dict[str, Any] = {
        "database": name,
        "tables": tables,
        "held": bool(holding),
        "holders": [shown(row, "dump") for row in holding[:ROWS]],
        **(_holder(holding[0]) if holding else {}),
        **({f"worst_{key}": value for key, value in tables[0].items()} if tables else {}),
    }
    if not tables:
        return Finding(f"No table of {name} has {min_bloat_mb:g} MiB of dead or empty space.", data, RunStatus.NOTHING)
    worst = tables[0]
    dead = counted(worst["dead_rows"], "dead row")
    summary = f"{worst['name']} has {dead}, {100 * worst['dead_ratio']:.0f} % of all."
    return Finding(summary, data)


def _holder(row: Row) -> dict[str, Any]:
    return {
        "holder_pid": row["pid"],
        "holder_user": row["user"],
        "holder_application": row["application"],
        "holder_seconds": row["transaction_seconds"],
        "holder_state": row["state"],
        "holder_dump": bool(row["dump"] or row["progress"] or row["type"] != "client backend"),
    }


@postgres.diagnostic()
async def monitor_vacuum_status(reader: PostgresReader, database: str = "") -> Finding:
    """Which vacuums run, how far they are, and which tables have stale statistics.

    Reads `pg_stat_progress_vacuum` and `pg_stat_user_tables`. A vacuum against wraparound
    comes back when it is cancelled; let it run.

    Args:
        database: whose tables to look at; empty for the configured one.
    """
    name = await find_database(reader, database)
    running = await reader.rows(RUNNING, database=name)
    stale = await reader.rows(STALENESS, database=name, role=READ_ALL)
    enabled = await reader.row("select current_setting('autovacuum') = 'on' as autovacuum", database=name)
    data: dict[str, Any] = {
        "database": name,
        **enabled,
        "running": running,
        "running_count": float(len(running)),
        "against_wraparound": any(row["against_wraparound"] for row in running),
        "stale": stale,
        "stale_count": float(len(stale)),
        **({f"stalest_{key}": value for key, value in stale[0].items()} if stale else {}),
    }
    old = counted(len(stale), f"table of {name} has", f"tables of {name} have")
    summary = f"{counted(len(running), 'vacuum runs', 'vacuums run')}; {old} stale statistics."
    return Finding(summary, data, RunStatus.FOUND if running or stale else RunStatus.NOTHING)
