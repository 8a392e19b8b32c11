"""The two connections to a PostgreSQL server: one that cannot write, and one that can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from cockpit.model import Denied, Service, ServiceError, Unexpected, Unreachable
from cockpit.toolkit import Client

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Error
    from psycopg.sql import SQL, Composed

Row: TypeAlias = dict[str, Any]  # a driver's row: its columns' types are the query's business
Query: TypeAlias = "str | SQL | Composed"
Parameters: TypeAlias = Sequence[object] | Mapping[str, object]

MONITOR = "pg_monitor"
READ_ALL = "pg_read_all_data"
LOGIN = ""
"""The login role's own rights, for the two views that no predefined role may read."""

STATEMENT_SECONDS = 8
LOCK_SECONDS = 1
WRITER_LOCK_SECONDS = 10
SLOT_SECONDS = 1.0
APPLICATION = "cockpit"

FULL = ("remaining connection slots are reserved", "too many clients already", "too many connections for")
STARTING = ("is starting up", "in recovery mode", "is shutting down", "not yet accepting connections")
REFUSED_LOGIN = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "permission denied", "role ")


class TooManyConnections(Unreachable):
    """The server runs, and has no connection left for us (53300)."""


class StartingUp(Unreachable):
    """The server runs, and is starting, recovering or shutting down (57P03)."""


class PostgresClient(Client):
    """What reader and writer share: one connection a database, made when it is first needed.

    Nothing connects in `open`, so that a server that is down can still be asked about in
    other ways: its service manager, its log.
    """

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._connections: dict[str, AsyncConnection[Row]] = {}

    @property
    def database(self) -> str:
        """The database whose tables are looked after."""
        return self.text("database", "postgres")

    async def close(self) -> None:
        """Disconnect from every database; never raises."""
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            await connection.close()

    async def _connection(self, database: str) -> AsyncConnection[Row]:
        name = database or self.database
        known = self._connections.get(name)
        if known is None or known.closed:
            known = self._connections[name] = await self._connect_soon(name)
        return known

    async def _connect_soon(self, database: str) -> AsyncConnection[Row]:
        # Several tools may look at once, and few slots are reserved for superusers: one may be free in a moment.
        deadline = time.monotonic() + SLOT_SECONDS
        while True:
            try:
                return await self._connect(database)
            except TooManyConnections:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

    async def _connect(self, database: str) -> AsyncConnection[Row]:
        import psycopg
        from psycopg.rows import dict_row

        try:
            connection = await psycopg.AsyncConnection.connect(
                host=self.text("host", "127.0.0.1"),
                port=int(self.number("port", 5432)),
                user=self.text("user", "postgres"),
                password=self.text("password") or None,
                dbname=database,
                sslmode=self.text("sslmode", "prefer"),
                application_name=APPLICATION,
                client_encoding="utf8",
                connect_timeout=max(2, int(self.service.timeout)),
                options=self._session_settings(),
                autocommit=True,
                prepare_threshold=None,
                row_factory=dict_row,
            )
        except psycopg.Error as error:
            raise in_our_words(error, self.service.name) from error
        return connection

    def _session_settings(self) -> str:
        raise NotImplementedError


class PostgresReader(PostgresClient):
    """A connection that cannot write: read-only transactions, without a superuser's rights.

    Where the login role is a superuser, each query runs as `pg_monitor`, which may read all
    statistics and can neither end a session nor reload the configuration.
    """

    async def rows(
        self, query: Query, parameters: Parameters = (), *, database: str = "", role: str = MONITOR
    ) -> list[Row]:
        """What a query returns, read in a read-only transaction of its own.

        Args:
            query: the SQL; data goes into `parameters`, never into the text.
            parameters: what is bound to its placeholders.
            database: where to ask; empty for the configured one.
            role: the predefined role whose rights a superuser's query is cut down to.

        Raises:
            Unreachable, Denied, Unexpected: what the server or the way to it said.
        """
        import psycopg
        from psycopg import sql

        connection = await self._connection(database)
        superuser = connection.info.parameter_status("is_superuser") == "on"
        try:
            async with connection.transaction(), connection.cursor() as cursor:
                if superuser and role:
                    await cursor.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
                await cursor.execute(query, parameters or None, binary=True)  # extended protocol: one statement only
                return await cursor.fetchall()
        except psycopg.Error as error:
            raise in_our_words(error, self.service.name) from error
        except UnicodeError as error:
            raise Unexpected(
                f"{self.service.name} holds or was sent text that is not UTF-8.", "Ask it by hand."
            ) from error

    async def _connect(self, database: str) -> AsyncConnection[Row]:
        connection = await super()._connect(database)
        await connection.set_read_only(True)
        return connection

    async def row(self, query: Query, parameters: Parameters = (), *, database: str = "", role: str = MONITOR) -> Row:
        """The first row of what a query returns; empty when there is none. Raises as `rows` does."""
        found = await self.rows(query, parameters, database=database, role=role)
        return found[0] if found else {}

    def _session_settings(self) -> str:
        return (
            "-c default_transaction_read_only=on -c TimeZone=UTC -c DateStyle=ISO -c jit=off "
            f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={LOCK_SECONDS}s"
        )


class PostgresWriter(PostgresClient):
    """A connection that can write, each statement in a transaction of its own; the executor alone opens it."""

    async def run(
        self, query: Query, parameters: Parameters = (), *, database: str = "", within: float = 30.0
    ) -> list[Row]:
        """Run one statement and return its rows, if it has any.

        Args:
            query: the SQL; names go in as `sql.Identifier`, data into `parameters`.
            parameters: what is bound to its placeholders.
            database: where to run it; empty for the configured one.
            within: seconds after which the server gives the statement up.

        Raises:
            Unreachable, Denied, Unexpected: what the server or the way to it said.
        """
        import psycopg

        connection = await self._connection(database)
        try:
            await connection.execute("select set_config('statement_timeout', %s, false)", [f"{int(within * 1000)}ms"])
            cursor = await connection.execute(query, parameters or None)
            return await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise in_our_words(error, self.service.name) from error

    def _session_settings(self) -> str:
        return f"-c TimeZone=UTC -c DateStyle=ISO -c lock_timeout={WRITER_LOCK_SECONDS}s"


def in_our_words(error: Error, name: str) -> ServiceError:
    """The driver's error as one of ours, by its SQLSTATE, or by its text where it came before a SQLSTATE could."""
    said = " ".join((error.diag.message_primary or str(error)).split())
    match error.sqlstate:
        case None:
            return _before_login(said, name)
        case "57014":
            return Unreachable(
                f"{name} did not answer a query in time.", "See what it is busy with: check_database_locks."
            )
        case "57P01" | "57P02" | "08006":
            return Unreachable(f"{name} closed the connection: {said}.", "Try again in a moment.")
        case "55P03":
            return Unexpected(
                f"{name}: somebody else holds a lock that is in the way.", "See who: check_database_locks."
            )
        case "42501" | "25006":
            return Denied(f"{name} refused: {said}.", "Grant the role pg_monitor, or name another user in the config.")
        case _:
            return Unexpected(
                f"{name} answered: {said} ({error.sqlstate}).", "Check the arguments and the server's version."
            )


def _before_login(said: str, name: str) -> ServiceError:
    if any(mark in said for mark in FULL):
        return TooManyConnections(f"{name} has no connection left.", "Free one, or let cockpit connect as a superuser.")
    if any(mark in said for mark in STARTING):
        return StartingUp(f"{name} is starting up, recovering or shutting down.", "Wait, and follow its log.")
    if 'database "' in said and "does not exist" in said:
        return Unexpected(
            f"{name}: {said.partition('FATAL: ')[2].strip() or said}.", "Correct 'database' in the config."
        )
    if "FATAL" in said and any(mark in said for mark in REFUSED_LOGIN):
        return Denied(f"{name} refused the login: {said.partition('FATAL: ')[2].strip()}.", "Check user and password.")
    if "Connection refused" in said:
        return Unreachable(f"Nothing listens at the address of {name}.", "Check that it is running.")
    return Unreachable(f"{name} cannot be reached: {said[:300]}.", "Check host, port and network.")
