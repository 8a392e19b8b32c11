"""What a test asks of a kind's tools, the way the monitor, the analyst and the executor do."""

from __future__ import annotations

from pathlib import Path

from cockpit.agent.expressions import argument, fill, holds
from cockpit.agent.runbooks import Library, load
from cockpit.model import Call, Finding, Health, Plan, Service, ServiceError
from cockpit.toolkit import Kind, Registry, inspect, plan, probe

RUNBOOKS = Path(__file__).parents[2] / "data" / "runbooks"


class Bench:
    """One kind's tools and runbooks, applied to one service."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.registry = Registry.of([kind])
        writes = {name: tool.writes for name, tool in self.registry.tools.items()}
        self.library: Library = load([RUNBOOKS], writes)

    async def ask(self, service: Service, tool: str, /, **arguments: object) -> Finding:
        """Run a diagnostic."""
        return await inspect(self.registry, service, Call(tool, service.name, arguments))

    async def planned(self, service: Service, tool: str, /, **arguments: object) -> Plan:
        """Plan a remediation."""
        return await plan(self.registry, service, Call(tool, service.name, arguments))

    async def health(self, service: Service) -> Health:
        """Probe, and see that every sample is documented."""
        health = await probe(self.kind, service)
        assert set(health.samples) <= set(self.kind.samples)
        return health

    async def alerts(self, service: Service) -> set[str]:
        """The conditions that hold for what the probe sees now."""
        health = await self.health(service)
        seen = {"level": health.level.value, "summary": health.summary, "samples": dict(health.samples)}
        found = {one.id for one in self.library.conditions_for(self.kind.name) if holds(one.when, seen)}
        for name in found:
            assert fill(self.library.conditions[name].summary, seen)
        return found

    async def causes(self, service: Service, alerts: set[str]) -> set[str]:
        """The runbooks whose cause holds and whose rivals are all ruled out, every text of theirs filled."""
        found = set()
        for book in self.library.runbooks_for(self.kind.name, alerts):
            try:
                seen = await self.readings(service, book.id)
            except ServiceError:
                continue
            if holds(book.holds, seen) and all(holds(rival.ruled_out, seen) for rival in book.rivals):
                assert fill(book.cause, seen)
                assert fill(book.advice, seen) or book.remedies
                assert all(fill(rival.reading, seen) for rival in book.rivals)
                found.add(book.id)
        return found

    async def readings(self, service: Service, runbook: str) -> dict[str, object]:
        """What a runbook's diagnostics return."""
        looks = self.library.runbooks[runbook].looks
        return {look.name: (await self.ask(service, look.tool, **look.arguments)).data for look in looks}

    async def remedy(self, service: Service, runbook: str) -> tuple[str, Plan]:
        """The first call that a runbook proposes, planned."""
        seen = await self.readings(service, runbook)
        first = self.library.runbooks[runbook].remedies[0]
        arguments = {key: argument(value, seen) for key, value in first.arguments.items()}
        return first.tool, await self.planned(service, first.tool, **arguments)

    async def carry_out(self, service: Service, wanted: Plan) -> None:
        """Apply a plan; before it does not hold, and afterwards it does."""
        assert wanted.changes
        for change in wanted.changes:
            item = self.kind.items[change.item]
            async with self.kind.reader(service) as reader:
                assert not await item.holds(reader, change)
            async with self.kind.writer(service) as writer:
                await item.apply(writer, change)
            async with self.kind.reader(service) as reader:
                assert await item.holds(reader, change)
