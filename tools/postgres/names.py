"""Names of databases and tables, looked up in the catalogue before they are used anywhere."""

from __future__ import annotations

from dataclasses import dataclass

from cockpit.model import JSON, Refused
from tools.postgres.client import PostgresReader

# Names are compared as text: bound as `name`, one over 63 bytes would be cut and match another.
TABLE = """
select c.oid::bigint as oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as relkind,
       pg_table_is_visible(c.oid) and c.relname::text = %(name)s as visible
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where (c.relname::text = %(name)s or n.nspname::text || '.' || c.relname::text = %(name)s)
  and c.relkind in ('r', 'm', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and n.nspname::text !~ '^pg_(temp|toast_temp)_'
order by visible desc, schema, name
"""
LETTERS = 100
DATABASE = "select datallowconn, datistemplate from pg_database where datname::text = %s::text"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the catalogue knows it."""

    database: str
    schema: str
    name: str
    oid: int

    @property
    def key(self) -> dict[str, JSON]:
        """Which table it is, as a change's key."""
        return {"database": self.database, "schema": self.schema, "table": self.name}

    @property
    def text(self) -> str:
        """Its name with the schema, quoted for SQL."""
        return quoted(self.schema, self.name)


def quoted(*parts: str) -> str:
    """A name quoted for SQL, so that whatever stands in it stays one name."""
    from psycopg import sql

    return sql.Identifier(*parts).as_string()


def literal(value: JSON) -> str:
    """A value as a literal for SQL that an operator would type."""
    from psycopg import sql

    return sql.Literal(value).as_string().strip()


def shown(name: str) -> str:
    """A name from outside as an error tells it: in quotes, and not at any length."""
    return repr(name if len(name) <= LETTERS else f"{name[:LETTERS]}…")


async def find_database(reader: PostgresReader, database: str) -> str:
    """The name of a database that exists and takes connections; the configured one when empty.

    Raises Refused when there is none of that name.
    """
    name = database or reader.database
    _check_text(name, "database")
    known = await reader.row(DATABASE, [name])
    if not known:
        raise Refused(f"There is no database {shown(name)} on {reader.service.name}.", "See check_database_sizes.")
    if not known["datallowconn"]:
        raise Refused(f"Database {shown(name)} takes no connections.", "Name another one.")
    return name


async def find_table(reader: PostgresReader, database: str, table: str) -> Table:
    """The one ordinary table or materialized view of that name, plain or as `schema.table`.

    Reads `pg_class`. Raises Refused when there is none, when several schemas have one, and
    for a partitioned table.
    """
    where = await find_database(reader, database)
    _check_text(table, "table")
    found = await reader.rows(TABLE, {"name": table}, database=where)
    if not found:
        raise Refused(
            f"There is no table {shown(table)} in database {shown(where)}.", "Name it as schema.table, without quotes."
        )
    if len(found) > 1 and not (found[0]["visible"] and not found[1]["visible"]):
        places = ", ".join(quoted(row["schema"], row["name"]) for row in found[:5])
        raise Refused(f"{shown(table)} may mean any of {places}.", "Name it as schema.table.")
    first = found[0]
    if first["relkind"] == "p":
        raise Refused(f"{shown(table)} is partitioned.", "Name one of its partitions.")
    return Table(where, first["schema"], first["name"], first["oid"])


def _check_text(name: str, what: str) -> None:
    try:
        sendable = "\0" not in name and bool(name.encode())
    except UnicodeEncodeError:
        sendable = False
    if not sendable:
        raise Refused(f"That is not the name of a {what}.", "A name is text without NUL characters.")
