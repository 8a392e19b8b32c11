"""The remediation that builds a table's indexes anew."""

from __future__ import annotations

from typing import Any

from cockpit.model import JSON, Approval, Change, Plan
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.postgres.client import PostgresReader, PostgresWriter, Row
from tools.postgres.kind import postgres
from tools.postgres.maintenance import VACUUM_SECONDS, require_room
from tools.postgres.names import find_table, quoted

INDEXES = """
select i.indexrelid::bigint as oid, c.relname::text as name, i.indisvalid as valid, i.indisexclusion as exclusion,
       c.relname::text ~ '_cc(new|old)[0-9]*$' and not i.indisvalid as leftover,
       c.relpages::float8 * current_setting('block_size')::int as bytes, t.oid::bigint as table_oid
from pg_class t join pg_namespace n on n.oid = t.relnamespace
join pg_index i on i.indrelid = t.oid join pg_class c on c.oid = i.indexrelid
where n.nspname::text = %(schema)s::text and t.relname::text = %(table)s::text
order by c.relname
"""


async def indexes_of(reader: PostgresReader, key: Any) -> list[Row]:
    """A table's indexes with their oid, validity and size, by name."""
    return await reader.rows(INDEXES, {"schema": key["schema"], "table": key["table"]}, database=key["database"])


async def _read_indexes(reader: PostgresReader, key: JSON) -> JSON:
    return _identity(await indexes_of(reader, key))


def _identity(indexes: list[Row]) -> JSON:
    """Which indexes there are; building one anew gives it another oid."""
    if not indexes:
        return None
    rows = [{name: row[name] for name in ("name", "oid", "valid", "leftover", "exclusion")} for row in indexes]
    return {"table_oid": indexes[0]["table_oid"], "indexes": rows}


async def _rebuild(writer: PostgresWriter, change: Change) -> None:
    from psycopg import sql

    key: Any = change.key
    before: Any = change.before
    schema, database = key["schema"], key["database"]
    for index in before["indexes"]:
        if index["leftover"]:
            drop = sql.SQL("drop index concurrently if exists {}").format(sql.Identifier(schema, index["name"]))
            await writer.run(drop, database=database, within=VACUUM_SECONDS)
    for index in before["indexes"]:
        if not index["valid"] and not index["leftover"]:
            again = sql.SQL("reindex index concurrently {}").format(sql.Identifier(schema, index["name"]))
            await writer.run(again, database=database, within=VACUUM_SECONDS)
    table = sql.SQL("reindex table concurrently {}").format(sql.Identifier(schema, key["table"]))
    await writer.run(table, database=database, within=VACUUM_SECONDS)


async def _rebuilt(reader: PostgresReader, change: Change) -> bool:
    """Whether every index is valid and none is the one of before; exclusion constraints cannot be rebuilt so."""
    before: Any = change.before
    old = {index["oid"] for index in before["indexes"] if not index["exclusion"]}
    found = await indexes_of(reader, change.key)
    return bool(found) and all(row["valid"] and row["oid"] not in old for row in found if not row["exclusion"])


def _steps(key: JSON, before: JSON, after: JSON) -> list[str]:
    where: Any = key
    known: Any = before
    invalid = [index for index in known["indexes"] if not index["valid"]]
    return [
        *(
            f"drop index concurrently {quoted(where['schema'], index['name'])};"
            for index in invalid
            if index["leftover"]
        ),
        *(
            f"reindex index concurrently {quoted(where['schema'], index['name'])};"
            for index in invalid
            if not index["leftover"]
        ),
        f"reindex table concurrently {quoted(where['schema'], where['table'])};",
    ]


rebuilt_indexes = postgres.action(
    "postgres-indexes",
    read=_read_indexes,
    do=_rebuild,
    check=_rebuilt,
    steps=_steps,
    verification="Every index of the table is valid and has another oid than before.",
    no_undo="None is needed: the indexes hold the same entries.",
    timeout=VACUUM_SECONDS,
)


@postgres.remediation(approval=Approval.HARD, uses=(rebuilt_indexes,))
async def reindex_postgres_table(reader: PostgresReader, database: str, table: str) -> Plan:
    """Build a table's indexes anew while it stays in use. Use it for an invalid or bloated index.

    Sends `REINDEX TABLE CONCURRENTLY`, after `DROP INDEX CONCURRENTLY` for leftovers of an earlier
    try and `REINDEX INDEX CONCURRENTLY` for other invalid indexes. Needs room for a second copy.

    Args:
        database: where the table is; empty for the configured one.
        table: its name, plain or as schema.table, without quotes.
    """
    found = await find_table(reader, database, table)
    indexes = await indexes_of(reader, found.key)
    if not indexes:
        return nothing_to_do(f"{found.text} has no index.")
    size = sum(row["bytes"] for row in indexes)
    room = await require_room(reader, size)
    invalid = sum(not row["valid"] for row in indexes)
    change = rebuilt_indexes.change(
        reader.service.name,
        found.key,
        _identity(indexes),
        {"indexes": "valid and new"},
        why=f"Invalid indexes: {invalid} of {len(indexes)}, which take {size / 1048576:.1f} MiB in all.",
        observed={"bytes": size, "invalid": invalid},
    )
    risk = f"Reads and writes go on, somewhat slower; it waits for transactions that are open now. {room}"
    return plan_of(f"Build {counted(len(indexes), 'index', 'indexes')} of {found.text} anew.", change, risk=risk)
