"""The kind `postgres` and the options that a service of it may have."""

from __future__ import annotations

from cockpit.toolkit import Kind, Option
from tools import control
from tools.postgres.client import PostgresReader, PostgresWriter

postgres = Kind(
    "postgres",
    summary="PostgreSQL servers, from version 14 on.",
    reader=PostgresReader,
    writer=PostgresWriter,
    options=(
        Option("host", str, "Host name, address or socket folder.", default="127.0.0.1"),
        Option("port", int, "Port it listens on.", default=5432),
        Option(
            "user",
            str,
            "Role to connect as; a superuser still gets in when connections are used up.",
            default="postgres",
        ),
        Option("password", str, "The role's password; without one, libpq's password file is asked.", secret=True),
        Option("database", str, "Database whose tables are looked after.", default="postgres"),
        Option("sslmode", str, "How TLS is used, as libpq names it.", default="prefer"),
        Option("long_query_seconds", float, "From this age on, a running query counts as long.", default=300.0),
        Option(
            "idle_transaction_seconds",
            float,
            "From this age on, an idle transaction counts as left open.",
            default=30.0,
        ),
        Option("idle_session_seconds", float, "From this age on, an idle session counts as leaked.", default=600.0),
        Option("lock_wait_seconds", float, "From this age on, waiting for a lock counts.", default=10.0),
        Option(
            "old_snapshot_seconds", float, "From this age on, a transaction's snapshot counts as old.", default=300.0
        ),
        Option("log_file", str, "The server's log, when it lies on this machine."),
        *control.OPTIONS,
    ),
)
"""The kind `postgres`."""
