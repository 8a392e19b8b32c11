"""From fault to incident, to proposal, to verified change, on the lab's real servers."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from cockpit.engine import Engine
from cockpit.lab.demo import demo
from cockpit.lab.menu import Faults
from cockpit.lab.parts import Fault
from cockpit.model import Approval, Incident, IncidentStatus, ProposalState, Verdict
from cockpit.settings import Settings
from cockpit.text import Redactor
from cockpit.toolkit import Registry
from tests.benchmarks.report import line, percentile

Found = TypeVar("Found")
INTERVAL = 2.0
"""The lab's probe interval in seconds."""


def main() -> None:
    """Inject every fault once, approve what is proposed, and print the times."""
    with TemporaryDirectory() as folder:
        asyncio.run(_all(Path(folder)))


async def _all(folder: Path) -> None:
    started = time.perf_counter()
    async with demo(Settings(data_folder=folder), lambda text: print(text, file=sys.stderr)) as (settings, faults):
        line("lab up", f"{time.perf_counter() - started:.1f} s", "8 s")
        engine = Engine(settings, Registry.discover(), Redactor(), lab=faults)
        thread = threading.Thread(target=lambda: asyncio.run(engine.run()))
        thread.start()
        times = [await _one(engine, faults, fault) for fault in faults.faults if fault.remedy]
        engine.stop()
        thread.join()
        engine.close()
    targets = {"fault to incident": INTERVAL + 1, "incident to proposal": 2, "approval to verified": 5}
    for number, (what, target) in enumerate(targets.items()):
        values = [found[number] for found in times if found]
        if values:
            line(what, f"p50 {percentile(values, 0.5):.2f} s, max {max(values):.2f} s", f"{target:.0f} s")


async def _one(engine: Engine, faults: Faults, fault: Fault) -> tuple[float, float, float] | None:
    injected = time.time()
    await faults.inject(fault.name)
    try:
        incident = await _until(lambda: next(iter(engine.reader.incidents(unresolved_only=True)), None))
        if incident is None:
            return _missed(fault, "no incident")
        raised = min(raised.alert.starts_at for raised in engine.reader.alerts(incident=incident.id, firing_only=True))
        proposal = await _until(lambda: next(iter(engine.healer.proposals_now(incident.id)), None))
        if proposal is None:
            return _missed(fault, "no proposal")
        approved = time.time()
        if proposal.state is ProposalState.PENDING and proposal.approval is Approval.HARD:
            await engine.decide(proposal.id, proposal.digest, Verdict.APPROVED, channel="keypress")
        done = await _until(lambda: _finished(engine, proposal.id))
        if done is None:
            return _missed(fault, "not verified")
        times = raised - injected, proposal.created_at - raised, done - approved
        line(fault.name, " ".join(f"{seconds:.1f}" for seconds in times) + " s", "3, 2, 5 s")
        return times
    finally:
        await faults.clear(fault.name)
        await _until(lambda: _calm(engine.reader.incidents(unresolved_only=True)), within=40)


def _calm(left: list[Incident]) -> bool | None:
    return True if all(incident.status is IncidentStatus.RESOLVED for incident in left) else None


def _finished(engine: Engine, proposal: int) -> float | None:
    applied = engine.reader.applied(proposal)
    if not applied or any(change.finished_at is None for change in applied):
        return None
    return max(change.finished_at or 0.0 for change in applied)


def _missed(fault: Fault, why: str) -> None:
    line(fault.name, why, "3, 2, 5 s")


async def _until(what: Callable[[], Found | None], within: float = 30.0) -> Found | None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if (found := what()) is not None:
            return found
        await asyncio.sleep(0.02)
    return None
