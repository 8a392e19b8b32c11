"""A shop in trouble, an agent that takes its steps when it is told to, and models that are scripted.

Every part is the real one; only the provider behind litellm is a script. The worker may be
shared by many scenes, for it takes seconds to start.
"""

from __future__ import annotations

import asyncio
import atexit
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp
from typing import Any

from cockpit.agent.analyst import Analyst
from cockpit.agent.asking import Asking
from cockpit.agent.healer import Healer
from cockpit.agent.investigator import Investigator
from cockpit.agent.loop import Agent
from cockpit.agent.monitor import Monitor
from cockpit.agent.runbooks import Library, load
from cockpit.llm.models import Models
from cockpit.llm.process import Worker
from cockpit.model import Alert, Incident, IncidentStatus, Proposal, ProposalState, Service, Severity, Tier, Verdict
from cockpit.model.inquiries import Inquiry
from cockpit.safety.deadlines import Deadlines
from cockpit.safety.executor import Executor
from cockpit.settings import PolicySettings
from cockpit.settings.models import Model, ModelsSettings
from cockpit.settings.tables import Secret
from cockpit.settings.values import Origin
from cockpit.store.store import Store
from cockpit.text import Redactor
from cockpit.toolkit import Registry
from tests.models import shop
from tests.models.script import Wants
from tests.models.scripted import KEY, Scripted

RESTING = (IncidentStatus.WAITING, IncidentStatus.ESCALATED, IncidentStatus.RESOLVED)
FRONT = "shop/front"


@cache
def _fresh_log() -> Path:
    """A log without a line in it, to be copied: making one takes longer than most of what is tried on it."""
    folder = Path(mkdtemp(prefix="cockpit-log-"))
    atexit.register(rmtree, folder)
    Store.open(folder / "cockpit.db").close()
    return folder


@dataclass
class Scene:
    """One incident on `shop/front`, from its alert to where the agent can do no more by itself."""

    folder: Path
    server: Scripted
    worker: Worker | None = None
    registry: Registry = field(default_factory=shop.registry)
    services: Sequence[Service] = ()
    policy: PolicySettings = field(default_factory=PolicySettings)
    models: dict[str, Any] = field(default_factory=dict)
    """Settings of `[models]` that differ from the defaults."""
    runbooks: str = shop.CONDITIONS
    redactor: Redactor = field(default_factory=Redactor)
    healing: type[Healer] = Healer

    def __post_init__(self) -> None:
        self.world, self.data = self.folder / "world", self.folder / "data"
        for made in (self.world, self.data, self.folder / "runbooks", self.folder / "notes"):
            made.mkdir(mode=0o700, exist_ok=True)
        (self.folder / "runbooks" / "shop.yaml").write_text(self.runbooks)
        (self.world / "trouble").touch()
        self.redactor.add(KEY, "models.mini.key")
        self.known = {each.name: each for each in self.services or shop.services(self.world)}
        copytree(_fresh_log(), self.data, dirs_exist_ok=True)
        self.store = Store.open(self.data / "cockpit.db", scrub=self.redactor.scrub)
        self.store.watch(list(self.known.values()))
        self.changed = asyncio.Event()
        self.settings = self._settings()
        self.library: Library = load(
            [self.folder / "runbooks"], {t.name: t.writes for t in self.registry.tools.values()}
        )
        assert not self.library.broken, self.library.broken
        self.agent = self._agent()

    def _settings(self) -> ModelsSettings:
        key = Secret("models.mini.key", "", KEY, Origin("--test"))
        mini = Model("mini", "openai/gpt-4o-mini", Tier.FAST, key, self.server.url, timeout=20.0)
        return ModelsSettings(**{"models": (mini,), "incident": 100.0, "day": 100.0, "month": 100.0, **self.models})

    def _agent(self) -> Agent:
        executor = Executor(self.policy, self.registry, self.store, self.known, Deadlines())
        healer = self.healing(self.registry, self.store, self.known, executor, unasked=self.settings.unasked)
        analyst = Analyst(self.registry, self.store, self.known, self.library)
        models = Models(self.settings, self.store, self.redactor, worker=self.worker)
        self.investigator = Investigator(analyst, healer, models, self.settings, self.folder / "notes")
        self.asking = Asking(self.investigator)
        monitor = Monitor(self.registry, self.store, self.known, self.library, self.changed.set)
        return Agent(self.store, self.known, monitor, analyst, healer, executor, self.changed, None, self.asking)

    def alert(self, name: str = "shop-slow", service: str = FRONT, **more: Any) -> Incident:
        """Let an alert fire; returns its incident."""
        given = {"summary": "The shop answers slowly", "severity": Severity.WARNING, **more}
        alert = Alert(f"{service}:{name}", service, name, starts_at=time.time(), **given)
        (incident,) = self.store.ingest_alerts([alert])
        return self.store.reader.incident(incident)

    def clear(self, name: str = "shop-slow", service: str = FRONT) -> None:
        """Let an alert end."""
        self.store.clear_alerts([f"{service}:{name}"], time.time())

    async def until(self, what: Callable[[], Any], within: float = 60.0) -> Any:
        """Let the agent take its steps until something is so."""
        try:
            async with asyncio.timeout(within):
                while not (found := what()):
                    self.agent.step()
                    await self._news()
                return found
        except TimeoutError:
            raise AssertionError("\n".join(self.told())) from None

    async def _news(self) -> None:
        """Return when something happened, or after a moment: time passes by itself."""
        last, until = self.store.reader.last_event(), time.monotonic() + 0.1
        while self.store.reader.last_event() == last and not self.changed.is_set() and time.monotonic() < until:
            await asyncio.sleep(0.005)
        self.changed.clear()

    async def rest(self, incident: Incident) -> Incident:
        """The incident where the agent can do no more by itself."""
        await self.until(lambda: self.store.reader.incident(incident.id).status in RESTING)
        return self.store.reader.incident(incident.id)

    async def calm(self) -> None:
        """Let the agent take steps until none brings anything new."""
        last = -1
        while self.store.reader.last_event() != last:
            last = self.store.reader.last_event()
            self.agent.step()
            await asyncio.gather(*self.agent._busy.values(), return_exceptions=True)

    def told(self) -> list[str]:
        """The log in words."""
        return [f"{event.actor} {event.kind}: {event.text}" for event in self.store.reader.events(limit=5000)]

    def inquiry(self) -> Inquiry:
        """The last inquiry."""
        return self.store.reader.asked.latest(1)[0]

    def pending(self) -> list[Proposal]:
        """What waits for a decision."""
        return self.store.reader.proposals(state=ProposalState.PENDING)

    def approve(self, proposal: Proposal) -> None:
        """Press approve."""
        self.store.decide(proposal.id, proposal.digest, Verdict.APPROVED, by="ada", channel="keypress", at=time.time())

    def close(self) -> None:
        """Close the log."""
        self.store.close()


def looks(*calls: tuple[str, dict[str, Any]], target: str = FRONT) -> Wants:
    """The model wants to look."""
    return Wants(*((name, {"target": target, "why": "to see", **arguments}) for name, arguments in calls))


def concludes(run: int, other: int | None = None, **more: Any) -> Wants:
    """The model concludes that the pool is full, by a run of check_shop_pool, and one of check_shop_disk."""
    return Wants(("conclude", conclusion(run, other, **more)))


def gives_up(**more: Any) -> Wants:
    """The model concludes that it does not know."""
    nothing = {"cause": "", "evidence": [], "rivals": [], "guesses": ["the pool"], "next_look": "Look at the pool."}
    return Wants(("conclude", conclusion(0, **nothing | more)))


def conclusion(run: int, other: int | None = None, **more: Any) -> dict[str, Any]:
    """The arguments of that."""
    evidence = [{"run": run, "field": "used_ratio", "value": "1.0", "against": "high"}]
    evidence += [{"run": other, "field": "used_ratio", "value": "0.12", "against": "as it is"}] if other else []
    rival = {"cause": "the disk is full", "ruled_out": True, "run": other or run, "field": "used_ratio"}
    return {
        "cause": "All 20 connections of the pool are in use.",
        "evidence": evidence,
        "rivals": [{**rival, "value": "0.12" if other else "1.0", "reading": "there is room"}],
        "proposals": [],
        "guesses": [],
        "next_look": "",
        **more,
    }


def proposal(
    tool: str = "set_shop_value", target: str = FRONT, why: str = "It is too small.", **arguments: Any
) -> dict[str, Any]:
    """One proposed call."""
    return {"tool": tool, "target": target, "arguments": arguments or {"key": "pool", "to": "40"}, "why": why}
