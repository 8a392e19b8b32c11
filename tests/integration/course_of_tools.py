"""What the tests of a kind's tools have in common: ask, plan, carry out, and see which runbook concludes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from cockpit.agent.expressions import ExpressionError, argument, fill, holds
from cockpit.agent.runbooks import Library, Runbook, load
from cockpit.model import Call, Change, Finding, Health, Plan, Service, ServiceError
from cockpit.toolkit import Kind, Registry, inspect, plan, probe

PATIENCE = 60.0


class Desk:
    """One service with its kind, and the runbooks of that kind.

    Args:
        kind: the kind under test.
        service: the service it is tried on.
    """

    def __init__(self, kind: Kind, service: Service) -> None:
        self.kind = kind
        self.service = service
        self.registry = Registry.of([kind])
        self.library = _library(kind)

    async def probe(self) -> Health:
        return await probe(self.kind, self.service)

    async def ask(self, tool: str, **arguments: Any) -> Finding:
        return await inspect(self.registry, self.service, Call(tool, self.service.name, arguments))

    async def plan(self, tool: str, **arguments: Any) -> Plan:
        return await plan(self.registry, self.service, Call(tool, self.service.name, arguments))

    async def carry_out(self, planned: Plan) -> None:
        """Apply each change as the executor does: it must not hold before, and must hold afterwards."""
        assert planned.changes, planned.summary
        for change in planned.changes:
            item = self.kind.items[change.item]
            async with self.kind.reader(self.service) as reader:
                assert await item.read(reader, change.key) == change.before
                assert not await item.holds(reader, change)
            async with self.kind.writer(self.service) as writer:
                await item.apply(writer, change)
            await until(partial(self.holds, change), planned.summary)

    async def holds(self, change: Change) -> bool:
        """Whether the target shows, to a new reader, that the change was made."""
        async with self.kind.reader(self.service) as reader:
            return await self.kind.items[change.item].holds(reader, change)

    async def raised(self) -> set[str]:
        """The conditions that hold for what the probe sees now; one that cannot be told does not."""
        health = await self.probe()
        seen = {
            "level": health.level.value,
            "summary": health.summary,
            "samples": dict(health.samples),
            "latency": health.latency or 0.0,
            "service": self.service.name,
        }
        found = set()
        for condition in self.library.conditions_for(self.kind.name):
            try:
                if holds(condition.when, seen):
                    assert fill(condition.summary, seen)
                    found.add(condition.id)
            except ExpressionError:
                continue
        return found

    async def concluded(self, *alerts: str) -> set[str]:
        """The runbooks whose cause holds and whose rivals are all ruled out."""
        found = set()
        for book in self.library.runbooks_for(self.kind.name, alerts):
            seen = await self._looks(book)
            try:
                if holds(book.holds, seen) and all(holds(rival.ruled_out, seen) for rival in book.rivals):
                    assert all(fill(text, seen) for text in (book.cause, *(rival.reading for rival in book.rivals)))
                    found.add(book.id)
            except ExpressionError:
                assert len(seen) < len(book.looks), f"{book.id} asks for what its looks do not tell"
        return found

    async def remedy(self, runbook: str) -> Plan:
        """The plan of the first call that a runbook proposes, with what it sees now."""
        book = self.library.runbooks[runbook]
        seen = await self._looks(book)
        call = book.remedies[0]
        return await self.plan(call.tool, **{name: argument(value, seen) for name, value in call.arguments.items()})

    async def _looks(self, book: Runbook) -> dict[str, Any]:
        seen = {}
        for look in book.looks:
            try:
                seen[look.name] = (await self.ask(look.tool, **look.arguments)).data
            except ServiceError:
                continue
        return seen


async def until(true: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE
    while not await true():
        assert time.monotonic() < deadline, f"never came true: {what}"
        await asyncio.sleep(0.05)


def _library(kind: Kind) -> Library:
    found = load([Path("data/runbooks")], {name: tool.writes for name, tool in kind.tools.items()})
    assert not [str(one) for one in found.broken if one.file.stem == kind.name]
    return found
