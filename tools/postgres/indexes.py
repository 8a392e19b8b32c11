"""Diagnostics of indexes: invalid, unused, missing."""

from __future__ import annotations

from typing import Any

from cockpit.model import Finding, RunStatus
from cockpit.toolkit import counted
from tools.postgres.client import PostgresReader
from tools.postgres.kind import postgres
from tools.postgres.names import find_database

INVALID = """
select n.nspname::text || '.' || t.relname::text as "table", c.relname::text as index,
       (not i.indislive or c.relname::text ~ '_cc(new|old)[0-9]*$') as leftover
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
join pg_namespace n on n.oid = t.relnamespace
where not i.indisvalid and n.nspname not in ('pg_catalog', 'pg_toast')
  and not exists (select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid)
order by 1, 2 limit 20
"""
UNUSED = """
select s.schemaname::text || '.' || s.relname::text as "table", s.indexrelname::text as index,
       c.relpages::float8 * current_setting('block_size')::int as bytes
from pg_stat_user_indexes s join pg_index i on i.indexrelid = s.indexrelid join pg_class c on c.oid = s.indexrelid
where s.idx_scan = 0 and not i.indisunique and i.indisvalid and c.relpages > 128
order by 3 desc limit 20
"""
SCANNED = """
select schemaname::text || '.' || relname::text as "table", seq_scan::float8 as scans,
       (seq_tup_read / seq_scan)::float8 as rows_per_scan, n_live_tup::float8 as live_rows
from pg_stat_user_tables
where seq_scan > 10 and seq_tup_read / seq_scan > 10000 and coalesce(idx_scan, 0) < seq_scan
order by seq_tup_read desc limit 20
"""
BUILDING = "select count(*)::float8 as building from pg_stat_progress_create_index"


@postgres.diagnostic()
async def check_index_health(reader: PostgresReader, database: str = "") -> Finding:
    """Indexes that are invalid or never used, and tables that may lack one.

    Reads `pg_index`, `pg_stat_user_indexes` and `pg_stat_user_tables`. An invalid index costs
    every write and serves no read; it is left by a failed CREATE INDEX CONCURRENTLY.

    Args:
        database: where to look; empty for the configured one.
    """
    name = await find_database(reader, database)
    invalid = await reader.rows(INVALID, database=name)
    unused = await reader.rows(UNUSED, database=name)
    scanned = await reader.rows(SCANNED, database=name)
    data: dict[str, Any] = {
        "database": name,
        "invalid": invalid,
        "invalid_count": float(len(invalid)),
        **({"invalid_table": invalid[0]["table"], "invalid_index": invalid[0]["index"]} if invalid else {}),
        "unused": unused,
        "unused_bytes": sum(row["bytes"] for row in unused),
        "scanned": scanned,
        **(await reader.row(BUILDING)),
    }
    found = RunStatus.FOUND if invalid or unused or scanned else RunStatus.NOTHING
    broken = counted(len(invalid), f"index of {name} is", f"indexes of {name} are")
    return Finding(f"{broken} invalid, {counted(len(unused), 'is', 'are')} never used.", data, found)
