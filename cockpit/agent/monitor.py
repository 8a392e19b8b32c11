"""The monitor: probes every service on its own interval, and turns readings into alerts and incidents."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from cockpit.agent.conditions import Conditions
from cockpit.agent.gathering import Gathering
from cockpit.agent.runbooks import Library
from cockpit.agent.silences import Silences
from cockpit.model import Health, Level, Role, Service
from cockpit.store.store import Store
from cockpit.toolkit import Registry, probe

BEAT = 1.0
"""Seconds: services are probed some at a time on the same beat, not each by itself. An idle processor wakes less often
then, and waking is most of what watching costs."""


@dataclass
class Monitor:
    """Watches services; a hung one delays no other.

    Args:
        registry: the kinds with their probes.
        store: where readings, alerts and incidents go.
        services: what is watched.
        library: the conditions.
        changed: called after alerts were raised or cleared.
        silences: the maintenance windows in which a service is expected to be down, and the mutes.
    """

    registry: Registry
    store: Store
    services: Mapping[str, Service]
    library: Library
    changed: Callable[[], None]
    clock: Callable[[], float] = time.time
    silences: Silences | None = None
    levels: dict[str, Level] = field(default_factory=dict)
    _conditions: dict[str, Conditions] = field(default_factory=dict)
    _looks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._readings = Gathering(self.store, self._take_in)

    async def run(self) -> None:
        """Probe for ever; cancel to end."""
        self._follow_known()
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for service in self.services.values():
                group.create_task(self._watch(service, began), name=f"probe {service.name}")

    async def _watch(self, service: Service, began: float) -> None:
        """Probe one service at once, and then whenever its turn comes."""
        await self.look(service.name)
        beats = max(1, int(service.interval / BEAT))
        first = began + BEAT * random.randrange(beats)  # noqa: S311 - spreads probes, guards nothing
        while True:
            await asyncio.sleep(turn(first, service.interval, time.monotonic()) - time.monotonic())
            await self.look(service.name)

    async def look(self, name: str) -> Health:
        """Probe a service now and act on what is seen; two looks at one service never overlap."""
        service = self.services[name]
        async with self._looks.setdefault(name, asyncio.Lock()):
            with self._readings.expecting():
                health = await probe(self.registry.kind(service.kind), service)
            if health.level is Level.DOWN:
                await self._look_at_parents(service)
            await self._readings.add(service, health)
        return health

    async def _look_at_parents(self, service: Service) -> None:
        """What a service depends on is asked before it is blamed; no cycle can stand in the config."""
        known = [parent for parent in service.depends_on if parent in self.services]
        await asyncio.gather(*(self.look(parent) for parent in known if self.levels.get(parent) is not Level.DOWN))

    def _take_in(self, service: Service, health: Health) -> None:
        parent = self._dead_parent(service)
        shown = health
        if parent and health.level is Level.DOWN:
            shown = replace(health, level=Level.UNKNOWN, summary=f"Behind {parent}, which is down. {health.summary}")
        self.levels[service.name] = health.level
        self.store.record_health(service.name, shown, self.clock())
        if self.silences:
            self.silences.saw(service.name, health.level)
        if service.expected_down or (self.silences and self.silences.maintenance(service.name)):
            return
        outcome = self._conditions_of(service).read(health, self.clock(), time.monotonic())
        for text in outcome.untold:
            self.store.note(Role.MONITOR, "note", text, service=service.name)
        if outcome.raised:
            self.store.ingest_alerts(outcome.raised, under={service.name: parent} if parent else {})
        if outcome.cleared:
            self.store.clear_alerts(outcome.cleared, self.clock())
        if outcome.raised or outcome.cleared:
            self.changed()

    def _dead_parent(self, service: Service) -> str | None:
        """The service at the root of the trouble: the farthest one down the line that is itself down."""
        for parent in service.depends_on:
            if self.levels.get(parent) is Level.DOWN:
                return self._dead_parent(self.services[parent]) or parent
        return None

    def _conditions_of(self, service: Service) -> Conditions:
        if service.name not in self._conditions:
            self._conditions[service.name] = Conditions(service, self.library.conditions_for(service.kind))
        return self._conditions[service.name]

    def _follow_known(self) -> None:
        """Alerts that were firing when the process ended go on from there."""
        firing = [raised.alert.fingerprint for raised in self.store.reader.alerts(firing_only=True)]
        for service in self.services.values():
            conditions = self.library.conditions_for(service.kind)
            self._conditions[service.name] = Conditions(service, conditions, firing)


def turn(first: float, interval: float, now: float) -> float:
    """When a service is probed next: its turns are the first one, and one every interval after that."""
    return first + interval * max(0, math.ceil((now - first) / interval))
