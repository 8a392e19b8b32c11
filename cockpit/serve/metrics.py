"""Cockpit's own metrics for Prometheus: read from the log when they are asked for, so that restarts lose none."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from cockpit.engine import Engine
from cockpit.llm.accounts import budgets
from cockpit.model import CockpitError
from cockpit.model.accounts import Budget
from cockpit.serve import families
from cockpit.serve.tally import Tally
from cockpit.settings.models import ModelsSettings
from cockpit.store.figures import Standing
from cockpit.store.reader import Reader
from cockpit.store.store import Store
from cockpit.toolkit.kind import Tool

PAGE = 1000
"""Events that are read at once: others wait for the reader no longer than one page takes."""
AUDIT_EVERY = 3600.0
ALERTS = "/alerts"
"""How the paths end that take alerts in."""


@dataclass(eq=False)
class LogCollector(Collector):
    """Reads a log whenever it is scraped; between two scrapes it only counts on from where it was.

    Args:
        reader: the log.
        tools: those that may be used; their series begin at zero.
        models: those that may be asked; without any, and where none ever was, nothing is told of models.
        clock: seconds since the epoch.
    """

    reader: Reader
    tools: Iterable[Tool] = ()
    models: ModelsSettings | None = None
    clock: Callable[[], float] = time.time
    _tally: Tally = field(default_factory=Tally)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._tally.expect(self.tools, (model.name for model in self.models.models) if self.models else ())

    def collect(self) -> Iterator[Metric]:
        """Every family. Raises CockpitError when the log cannot be read."""
        with self._lock:
            yield from self._collected(self._counted_on())

    def catch_up(self) -> None:
        """Count what is in the log already, so that the first scrape need not. Raises CockpitError."""
        with self._lock:
            self._counted_on()

    def _counted_on(self) -> Standing:
        standing = self.reader.standing()
        while steps := self.reader.steps(self._tally.last_event, standing.last_event, PAGE):
            for step in steps:
                self._tally.add(step)
        self._tally.last_event = standing.last_event
        return standing

    def _collected(self, standing: Standing) -> Iterator[Metric]:
        yield from families.of_tools(self._tally)
        yield from families.of_incidents(self._tally, standing)
        yield from families.of_decisions(self._tally, standing, self.reader.frozen() is not None)
        yield from families.of_services(self.reader.services(), self.clock())
        yield from families.of_queues(self.reader.queues(self.clock()), self.clock())
        if self._tally.model_dollars:
            yield from families.of_models(self._tally, self.reader.asked.shares(), self._budgets())
        yield from families.of_cockpit(_size(self.reader), standing.last_event)

    def _budgets(self) -> Sequence[Budget]:
        return budgets(self.models, self.reader.asked, self.clock()) if self.models else ()


@dataclass(eq=False)
class AuditCollector(Collector):
    """Tells what the last check of the log's chain found; nothing before the first one ended.

    Args:
        store: the log.
        every: seconds between two checks.
    """

    store: Store
    every: float = AUDIT_EVERY
    _found: tuple[bool, float] | None = None

    def collect(self) -> Iterator[Metric]:
        """The families of the last check."""
        if self._found is not None:
            yield from families.of_audit(*self._found)

    async def watch(self) -> None:
        """Check again and again until cancelled; a log that cannot be read is not sound."""
        while True:
            try:
                sound = not await asyncio.to_thread(self.store.check)
            except CockpitError:
                sound = False
            self._found = (sound, time.time())
            await asyncio.sleep(self.every)


@dataclass(eq=False)
class WebhookCollector(Collector):
    """Counts how posted alerts were answered since the process started."""

    answers: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """By HTTP status."""

    def collect(self) -> Iterator[Metric]:
        """The one family."""
        yield families.counters("cockpit_webhook_requests", "Answers to posted alerts.", ["code"], self.answers.copy())

    async def count(self, request: web.Request, response: web.StreamResponse) -> None:
        """Look at an answer just before it is sent."""
        if request.method == "POST" and request.path.endswith(ALERTS):
            self.answers[str(response.status),] += 1


def add_metrics(app: web.Application, engine: Engine) -> None:
    """Add `GET /metrics` to an application, and what it needs to its life.

    Answers in the format the scraper asks for; 503 with the reason when the log cannot be read.
    """
    registry = CollectorRegistry()
    kinds = {service.kind for service in engine.services.values()}
    tools = [tool for tool in engine.registry.tools.values() if tool.kind in kinds]
    log = LogCollector(engine.reader, tools, engine.settings.models)
    audit, webhooks = AuditCollector(engine.store), WebhookCollector()
    for collector in (log, audit, webhooks):
        registry.register(collector)
    ProcessCollector(registry=registry)

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        try:
            text = await asyncio.to_thread(encode, registry)
        except CockpitError as error:
            return web.Response(status=503, text=f"{error}\n")
        return web.Response(body=text, headers={"Content-Type": content_type})

    async def background() -> None:
        with suppress(CockpitError):  # the scrapes say so
            await asyncio.to_thread(log.catch_up)
        await audit.watch()

    async def kept(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(background(), name="metrics")
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app.router.add_get("/metrics", metrics)
    app.on_response_prepare.append(webhooks.count)
    app.cleanup_ctx.append(kept)


def _size(reader: Reader) -> int:
    """Bytes of the log and of what is not yet folded into it."""
    files = (reader.path, reader.path.with_name(f"{reader.path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
