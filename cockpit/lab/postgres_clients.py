"""Clients of the lab's PostgreSQL that misbehave: `python -m cockpit.lab.postgres_clients FOLDER MODE SIGN`.

Each makes its fault, then creates the file SIGN, and holds the fault until it is ended. A
session that the server ends is not opened again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import psycopg

from cockpit.lab.lab import Lab
from cockpit.lab.postgres import OLD_SNAPSHOT

Connection: TypeAlias = psycopg.AsyncConnection[tuple[object, ...]]
READERS = 6
MIGRATION = "alter table orders alter column note set default ''"


async def connect(lab: Lab, application: str, *, autocommit: bool = False) -> Connection:
    """A new connection of the shop under that name."""
    return await psycopg.AsyncConnection.connect(
        host="127.0.0.1",
        port=lab.port("postgres"),
        user="shop",
        dbname="shop",
        application_name=application,
        autocommit=autocommit,
    )


async def fill(lab: Lab, application: str, begin: Callable[[Connection], Awaitable[object]]) -> list[Connection]:
    """Open connections until the server has none left."""
    held: list[Connection] = []
    while True:
        try:
            connection = await connect(lab, application)
        except psycopg.OperationalError:
            return held
        await begin(connection)
        held.append(connection)


async def exhaust(lab: Lab, sign: Path) -> None:
    """Hold every connection with a transaction that is never ended."""
    held = await fill(lab, "checkout", lambda connection: connection.execute("select count(*) from customers"))
    await hold(sign, held)


async def leak(lab: Lab, sign: Path) -> None:
    """Hold every connection, idle, outside any transaction."""
    held = await fill(lab, "catalogue", lambda connection: connection.commit())
    await hold(sign, held)


async def snapshot(lab: Lab, sign: Path) -> None:
    """Hold one repeatable-read transaction, which is an old one before anybody is told of it."""
    connection = await connect(lab, "analytics")
    await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    await connection.execute("select count(*) from orders")
    await asyncio.sleep(OLD_SNAPSHOT)
    await hold(sign, [connection])


async def runaway(lab: Lab, sign: Path) -> None:
    """Run a join without a condition; it would take years."""
    connection = await connect(lab, "report")
    running = asyncio.create_task(ask(connection, "select sum(a.total) from orders a, orders b, orders c"))
    await hold(sign, [connection], running)


async def queue(lab: Lab, sign: Path) -> None:
    """Hold one open transaction, let a migration wait behind it, and readers behind the migration."""
    root = await connect(lab, "batch")
    await root.execute("select count(*) from orders")
    migration = await connect(lab, "migration", autocommit=True)
    waiting = [asyncio.create_task(ask(migration, MIGRATION))]
    await waits(lab, 1)
    readers = [await connect(lab, "web", autocommit=True) for _ in range(READERS)]
    waiting += [asyncio.create_task(ask(reader, "select count(*) from orders")) for reader in readers]
    await waits(lab, 1 + READERS)
    await hold(sign, [root, migration, *readers], *waiting)


async def waits(lab: Lab, sessions: int) -> None:
    """Return when so many sessions wait for a lock."""
    async with await connect(lab, "lab", autocommit=True) as connection:
        while True:
            cursor = await connection.execute("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
            found = await cursor.fetchone()
            if found and found[0] == sessions:
                return
            await asyncio.sleep(0.02)


async def ask(connection: Connection, query: str) -> None:
    """Run a query to its end, or until the server ends it."""
    try:
        await connection.execute(query.encode())
    except psycopg.Error as error:
        print(f"{query}: {error}", flush=True)  # noqa: T201 - the process's log is its standard output


async def hold(sign: Path, connections: list[Connection], *tasks: asyncio.Task[None]) -> None:
    """Say that the fault holds, and keep the connections until this process is ended."""
    await asyncio.to_thread(sign.touch)
    print(f"holding {len(connections)} connections and {len(tasks)} queries", flush=True)  # noqa: T201 - as above
    await asyncio.Event().wait()


MODES = {"exhaust": exhaust, "leak": leak, "snapshot": snapshot, "runaway": runaway, "queue": queue}


def main(folder: str, mode: str, sign: str) -> None:
    """Hold the fault of that mode in the lab of that folder."""
    asyncio.run(MODES[mode](Lab(Path(folder), ()), Path(sign)))


if __name__ == "__main__":
    main(*sys.argv[1:])
