"""Twenty incidents of the lab that no runbook may answer: how soon a model is asked, what is ours of it, what it costs.

The model is a script (tests/models/thorough.py): ten diagnostics in three rounds, then a
conclusion. So times and tokens are those of an investigation, and nothing is said of how well
a model would explain it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cockpit.agent.runbooks import Library
from cockpit.engine import Engine
from cockpit.lab.demo import demo
from cockpit.lab.menu import Faults
from cockpit.lab.parts import Fault
from cockpit.llm.models import Models
from cockpit.llm.process import Worker
from cockpit.model import Incident, Tier
from cockpit.model.inquiries import Inquiry
from cockpit.settings import Settings
from cockpit.settings.models import Model, ModelsSettings
from cockpit.text import Redactor
from cockpit.toolkit import Registry
from tests.benchmarks.bench_incidents import _calm, _until
from tests.benchmarks.report import line, percentile
from tests.models.scripted import Scripted
from tests.models.thorough import thorough

INCIDENTS = 20
CALLS = 10


class WithoutRunbooks(Engine):
    """An engine whose conditions raise alerts that nothing explains, and whose worker is there before and after it."""

    worker: Worker

    def _arrange(self, settings: Settings, registry: Registry, library: Library) -> None:
        super()._arrange(settings, registry, Library(library.conditions))

    def _models(self) -> Models:
        assert self.settings.models
        return Kept(self.settings.models, self.store, self._redactor, worker=self.worker)


class Kept(Models):
    """Models whose worker outlives them."""

    async def close(self) -> None:
        """Leave the worker as it is."""


@dataclass(frozen=True)
class Measured:
    """One investigation."""

    first: float
    """Seconds from the incident to the first event of its inquiry."""
    ours: float
    """Seconds that were neither a model's nor a diagnostic's."""
    tools: int
    tokens: int
    dollars: float


def main() -> None:
    """Investigate each, and print the figures."""
    with TemporaryDirectory() as folder, Scripted(thorough, key="") as server:
        asyncio.run(_all(Path(folder), server))


async def _all(folder: Path, server: Scripted) -> None:
    mini = Model("mini", "openai/gpt-4o-mini", Tier.FAST, base_url=server.url)
    budgets = ModelsSettings((mini,), month=100.0, day=100.0, incident=100.0)
    found: dict[str, Measured] = {}
    WithoutRunbooks.worker = Worker(600.0)
    await WithoutRunbooks.worker.warm()
    async with demo(Settings(data_folder=folder), lambda text: print(text, file=sys.stderr)) as (settings, faults):
        for fault in faults.faults:
            if len(found) == INCIDENTS:
                break
            data = folder / fault.name
            data.mkdir(mode=0o700)
            wanted = replace(settings, models=budgets, data_folder=data)
            with WithoutRunbooks(wanted, Registry.discover(), Redactor(), lab=faults) as engine:
                running = asyncio.create_task(engine.run())
                if measured := await _one(engine, faults, fault):
                    found[fault.name] = measured
                engine.stop()
                await running
    await WithoutRunbooks.worker.close()
    _report(list(found.values()))


async def _one(engine: Engine, faults: Faults, fault: Fault) -> Measured | None:
    """Break the lab, once all is well in it, and let a model look into it."""
    if not await _until(lambda: _quiet(engine), within=60):
        left = [incident.title for incident in engine.reader.incidents(unresolved_only=True)]
        print(f"  {fault.name}: left out, for the lab is not well: {left}")
        return None
    await faults.inject(fault.name)
    try:
        incident = await _until(lambda: _broken(engine, fault), within=60)
        inquiry = await _until(lambda: _ended(engine, incident), within=60) if incident else None
        if incident is None or inquiry is None:
            print(f"  {fault.name}: {'no inquiry came to an end' if incident else 'no incident'}")
            return None
        measured = _measured(engine, incident, inquiry)
        shown = f"{measured.first * 1000:.0f} ms, {measured.ours * 1000:.0f} ms, {measured.tokens} tokens"
        line(fault.name, f"{shown}, ${measured.dollars:.4f}", f"of {measured.tools} diagnostics")
        return measured
    finally:
        await faults.clear(fault.name)
        await _until(lambda: _calm(engine.reader.incidents(unresolved_only=True)), within=60)


def _quiet(engine: Engine) -> bool | None:
    """Whether every service was probed, and nothing is wrong."""
    probed = all(watched.checked_at for watched in engine.reader.services())
    return True if probed and not engine.reader.incidents(unresolved_only=True) else None


def _broken(engine: Engine, fault: Fault) -> Incident | None:
    open_now = engine.reader.incidents(unresolved_only=True)
    return next((incident for incident in open_now if incident.service == fault.service), None)


def _ended(engine: Engine, incident: Incident) -> Inquiry | None:
    asked = engine.reader.asked.of(incident.id)
    return asked[0] if asked and asked[0].state.ended else None


def _measured(engine: Engine, incident: Incident, inquiry: Inquiry) -> Measured:
    events = engine.reader.events(incident=incident.id, limit=5000)
    of_it = [event for event in events if event.data.get("inquiry") == inquiry.id]
    opened = next(event.at for event in events if event.kind == "alert")
    begun = next(event.at for event in of_it if event.data.get("state") == "running")
    calls = engine.reader.asked.calls(inquiry.id)
    runs = [run for run in engine.reader.runs(incident.id) if run.started_at >= begun]
    spans = [*((call.at, call.seconds) for call in calls), *((run.started_at, run.seconds) for run in runs)]
    assert inquiry.finished_at is not None
    ours = inquiry.finished_at - begun - _covered(spans)
    return Measured(of_it[0].at - opened, ours, len(runs), calls[0].input_tokens, sum(call.dollars for call in calls))


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that at least one of these spans of start and length covers."""
    covered, until = 0.0, 0.0
    for start, length in sorted(spans):
        covered += max(0.0, start + length - max(start, until))
        until = max(until, start + length)
    return covered


def _report(found: list[Measured]) -> None:
    if not found:
        return
    firsts = [each.first * 1000 for each in found]
    whole = [each.ours * 1000 for each in found if each.tools >= CALLS]
    line("incidents that a model looked into", f"{len(found)}", str(INCIDENTS))
    line("incident to first event of its inquiry", _spread(firsts), "300 ms")
    line(f"our share with {CALLS} diagnostics", _spread(whole), "250 ms")
    line("input tokens of the first prompt", f"max {max(each.tokens for each in found)}", "6000")
    line("cost at gpt-4o-mini's prices", f"max ${max(each.dollars for each in found):.4f}", "$0.02")


def _spread(milliseconds: list[float]) -> str:
    return f"p50 {percentile(milliseconds, 0.5):.0f} ms, max {max(milliseconds):.0f} ms"
