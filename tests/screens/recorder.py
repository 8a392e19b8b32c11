"""Stands where the engine is: keeps what was asked of it, so that a test can tell what a key would have done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cockpit.lab.parts import Fault
from cockpit.model import (
    Approval,
    Call,
    CockpitError,
    Decision,
    Finding,
    Health,
    Level,
    Plan,
    Proposal,
    Refused,
    Service,
    Verdict,
)
from cockpit.model.inquiries import Estimate, Inquiry
from cockpit.settings import Settings
from cockpit.settings.models import ModelsSettings
from cockpit.toolkit import Client, Kind, Registry, nothing_to_do
from tests.screens import world


class Reader(Client):
    """Reads nothing."""


class Writer(Client):
    """Writes nothing."""


redis = Kind("redis", "A small kind with two tools.", Reader, Writer)


@redis.health(used_ratio="Share of the memory limit in use, 0 to 1", connections="Clients that are connected, count")
async def probe(client: Reader) -> Health:
    """Nothing."""
    return Health(Level.UNKNOWN, "")


@redis.diagnostic()
async def check_redis_clients(client: Reader, limit: int = 20, idle: bool = False) -> Finding:
    """Who is connected, and what their buffers hold.

    Args:
        limit: how many clients to list, the largest first.
        idle: only those that have been idle for a minute.
    """
    return Finding("")


async def _read(client: Reader, key: object) -> object:
    return None


async def _write(client: Writer, key: object, before: object, after: object) -> None:
    return None


setting = redis.resource(
    "redis-setting", read=_read, write=_write, steps=lambda key, before, after: ("x",), verification="read"
)


@redis.remediation(approval=Approval.HARD, uses=(setting,))
async def set_redis_maxmemory(client: Reader, megabytes: int) -> Plan:
    """Give Redis another memory limit.

    Args:
        megabytes: the new limit, MB.
    """
    return nothing_to_do("")


async def _nothing(lab: Any) -> None:
    return None


@dataclass
class Lab:
    """Faults that only note that they were asked for."""

    asked: list[tuple[str, str]]
    every: float | None = None
    faults: Sequence[Fault] = (
        Fault("redis-memory-full", "An import fills Redis", "redis/main", _nothing, _nothing, _nothing, "x", "y"),  # type: ignore[arg-type]  # nothing is ever injected
        Fault("redis-stopped", "Redis has stopped", "redis/main", _nothing, _nothing, _nothing, "x", "y"),  # type: ignore[arg-type]  # nothing is ever injected
    )

    async def inject(self, name: str) -> None:
        """Note it."""
        self.asked.append(("inject", name))

    async def clear(self, name: str) -> None:
        """Note it."""
        self.asked.append(("clear", name))


@dataclass
class Recorder:
    """An engine that carries nothing out."""

    world: world.World
    mode: str = "live"
    operator: str = "kim"
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    refuses: str = ""
    """What it answers instead of doing as asked."""
    last_look: float | None = None
    lab: Lab | None = None
    models: ModelsSettings | None = None
    """The models that are configured."""
    registry: Registry = field(default_factory=lambda: Registry.of([redis]))
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def settings(self) -> Settings:
        """What was configured."""
        return Settings(data_folder=self.world.store.path.parent, operator=self.operator, models=self.models)

    @property
    def services(self) -> dict[str, Service]:
        """As configured, with options."""
        return {service.name: service for service in world.SERVICES}

    async def run(self) -> None:
        """Nothing, until stopped."""
        while not self.stopped.is_set():
            await asyncio.sleep(0.01)

    def stop(self) -> None:
        """End `run`."""
        self.stopped.set()

    def _note(self, *what: Any) -> None:
        self.asked.append(what)
        if self.refuses:
            raise CockpitError(self.refuses, "Look again.")

    async def decide(
        self, proposal: int, digest: str, verdict: Verdict, *, channel: str, reason: str = "", name: str = ""
    ) -> Decision:
        """Note it, and decide in the store so that the screen sees it."""
        self._note("decide", proposal, digest, verdict, channel, reason, name)
        at = self.world.clock()
        return self.world.store.decide(
            proposal, digest, verdict, by=self.operator, channel=channel, at=at, reason=reason
        )

    async def inspect(self, call: Call) -> Finding:
        """Note it."""
        self._note("inspect", call)
        return Finding(
            "4 clients, buffers hold 82 kB.", {"buffer_bytes": 82000, "clients": [{"id": 7, "name": "shop"}]}
        )

    async def dry_run(self, call: Call) -> Plan:
        """Note it."""
        self._note("dry_run", call)
        return world.REDIS_PLAN

    async def propose(self, call: Call, reason: str) -> Proposal:
        """Note it, and propose in the store."""
        self._note("propose", call, reason)
        return self.world.propose(None, call, world.REDIS_PLAN, Approval.HARD, "Asked for by kim.")

    async def undo(self, proposal: int) -> Proposal:
        """Note it; a vacuum has no way back."""
        self._note("undo", proposal)
        if self.world.store.reader.proposal(proposal).plan.changes[0].no_undo:
            raise Refused("There is no way back: a vacuum removes only what nobody sees.")
        return self.world.propose(None, world.REDIS_CALL, world.REDIS_PLAN, Approval.HARD, "Undo.")

    async def freeze(self, on: bool) -> None:
        """Note it, and freeze in the store."""
        self._note("freeze", on)
        self.world.store.freeze(self.operator if on else None)

    async def looked(self) -> float | None:
        """When the operator last looked."""
        return self.last_look

    async def ask(self, question: str, *, incident: int | None = None, service: str = "") -> Inquiry:
        """Note it, and put the question into the store."""
        self._note("ask", question, incident, service)
        assert self.models is not None
        estimate = Estimate("mini", 2140, 0.0005)
        return self.world.store.inquiries.ask(
            incident, service, question, self.operator, estimate=estimate, wait=self.models.ask
        )

    async def allow(self, inquiry: int) -> None:
        """Note it, and allow it in the store."""
        self._note("allow", inquiry)
        self.world.store.inquiries.allow(inquiry, self.operator)

    async def decline(self, inquiry: int) -> None:
        """Note it, and decline it in the store."""
        self._note("decline", inquiry)
        self.world.store.inquiries.decline(inquiry, self.operator)
