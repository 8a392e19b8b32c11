"""What the tests of PostgreSQL share: looking, planning, applying and concluding on the lab's server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psycopg

from cockpit.agent.conditions import readings
from cockpit.agent.expressions import ExpressionError, argument, fill, holds
from cockpit.agent.runbooks import Library, Runbook, load
from cockpit.files import data_file
from cockpit.lab.lab import Lab
from cockpit.lab.parts import Fault
from cockpit.lab.postgres import FAULTS, SERVERS
from cockpit.model import JSON, Call, Change, Finding, Health, Plan, Service
from cockpit.toolkit import Registry, inspect, plan, probe
from tools.postgres import postgres
from tools.postgres.client import PostgresReader, PostgresWriter

REGISTRY = Registry.of([postgres])
BY_NAME = {fault.name: fault for fault in FAULTS}


def library() -> Library:
    """The runbooks for PostgreSQL that are shipped."""
    found = load([Path(data_file("runbooks"))], {name: tool.writes for name, tool in REGISTRY.tools.items()})
    assert not [broken for broken in found.broken if broken.file.name == "postgres.yaml"]
    return found


async def ask(service: Service, tool: str, **arguments: JSON) -> Finding:
    return await inspect(REGISTRY, service, Call(tool, service.name, arguments))


async def planned(service: Service, tool: str, **arguments: JSON) -> Plan:
    return await plan(REGISTRY, service, Call(tool, service.name, arguments))


async def reads(service: Service, change: Change) -> JSON:
    async with PostgresReader(service) as reader:
        return await postgres.items[change.item].read(reader, change.key)


async def holds_now(service: Service, change: Change) -> bool:
    async with PostgresReader(service) as reader:
        return await postgres.items[change.item].holds(reader, change)


async def apply(service: Service, change: Change) -> None:
    """Apply one change as the executor does: not done before, drift-checked, written, seen."""
    assert not await holds_now(service, change)
    assert await reads(service, change) == change.before
    async with PostgresWriter(service) as writer:
        await postgres.items[change.item].apply(writer, change)
    await until(lambda: holds_now(service, change))


async def until(seen: Callable[[], Awaitable[bool]], within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not await seen():
        assert time.monotonic() < deadline, "it did not come to hold"
        await asyncio.sleep(0.05)


def raised(found: Library, service: Service, health: Health) -> set[str]:
    """The conditions that hold for a reading; one whose samples are missing does not."""
    told = set()
    for condition in found.conditions_for("postgres"):
        try:
            if holds(condition.when, readings(service, health)):
                assert fill(condition.summary, readings(service, health))
                told.add(condition.id)
        except ExpressionError:
            assert str(health.level) == "down"
    return told


async def alerts(found: Library, service: Service) -> set[str]:
    return raised(found, service, await probe(postgres, service))


async def conclusions(found: Library, service: Service, names: set[str]) -> list[tuple[Runbook, dict[str, JSON], bool]]:
    """The runbooks that hold for these alerts, most confident first, with what they saw and whether all rivals fell."""
    told = []
    for book in found.runbooks_for("postgres", names):
        looks = await asyncio.gather(*(ask(service, look.tool, **look.arguments) for look in book.looks))
        known: dict[str, JSON] = {look.name: run.data for look, run in zip(book.looks, looks, strict=True)}
        if holds(book.holds, known):
            assert fill(book.cause, known)
            assert all(fill(rival.reading, known) for rival in book.rivals)
            told.append((book, known, all(holds(rival.ruled_out, known) for rival in book.rivals)))
    return told


async def concluded(found: Library, service: Service, names: set[str]) -> list[str]:
    return [book.id for book, _, certain in await conclusions(found, service, names) if certain]


def calls(book: Runbook, known: dict[str, JSON]) -> list[tuple[str, dict[str, JSON]]]:
    """The calls a runbook proposes, with their arguments filled in."""
    return [
        (remedy.tool, {name: argument(value, known) for name, value in remedy.arguments.items()})
        for remedy in book.remedies
    ]


def with_options(service: Service, **options: JSON) -> Service:
    return replace(service, options={**service.options, **options})


def running_lab() -> Iterator[Lab]:
    """A lab of PostgreSQL alone, for one test file."""
    made = Lab.create(SERVERS)
    asyncio.run(made.up())
    yield made
    asyncio.run(made.down())


@asynccontextmanager
async def injected(lab: Lab, name: str) -> AsyncIterator[Fault]:
    fault = BY_NAME[name]
    await fault.inject(lab)
    try:
        yield fault
    finally:
        await fault.clear(lab)


@asynccontextmanager
async def client(lab: Lab, application: str, user: str = "shop") -> AsyncIterator[psycopg.AsyncConnection]:
    """One more client of the shop, which its server may end at any time."""
    connection = await psycopg.AsyncConnection.connect(
        host="127.0.0.1", port=lab.port("postgres"), user=user, dbname="shop", application_name=application
    )
    try:
        yield connection
    finally:
        await connection.close()
