"""What asking models costs us: the worker's start, what it does to keys and the loop, our share of a call."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import psutil

from cockpit.llm.conversation import Message, Offer, Prompt, Speaker, Wanted
from cockpit.llm.models import Models
from cockpit.llm.process import Worker
from cockpit.llm.requests import body
from cockpit.model import Severity, Tier
from cockpit.settings.models import Model, ModelsSettings
from cockpit.store.store import Store
from cockpit.text import Redactor
from tests.benchmarks.bench_screen import COCKPIT, PAINTED
from tests.benchmarks.litellm_bare import QUICK
from tests.benchmarks.report import line, percentile
from tests.benchmarks.terminal import Terminal
from tests.benchmarks.world import filled_store
from tests.models.script import Asked, Says
from tests.models.scripted import Scripted

STARTS, CALLS, TURNS = 5, 50, 10
TICK = 0.002
READING = "connections 97 of 100, 61 of them idle in transaction for more than 5 min, application billing\n" * 12
TOOLS = tuple(
    Offer(f"look_{number}", "Look at one thing of a service, and say what is found. " * 3, {
        "type": "object", "properties": {"service": {"type": "string"}, "minutes": {"type": "integer"}},
    })
    for number in range(15)
)  # fmt: skip


def main() -> None:
    """Print every figure about models."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_loop(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        _keys(Path(folder))


async def _loop(folder: Path) -> None:
    await _starts()
    with Scripted([], key="") as server, Store.open(folder / "log.db") as store:
        server.play(partial(_answer, server))
        own = Model("own", "openai/small", Tier.LOCAL, base_url=server.url)
        worker = Worker(idle=600)
        models = Models(ModelsSettings((own,)), store, Redactor(), worker=worker)
        before = psutil.Process().memory_info().rss
        try:
            await models.warm()
            await _calls(models, store, server)
            await _investigation(models, store)
            grown = (psutil.Process().memory_info().rss - before) / 2**20
            line("memory of the main process after it asked", f"+{grown:.1f} MB", "+2 MB")
            assert worker.pid is not None
            size = psutil.Process(worker.pid).memory_info().rss / 2**20
            line("memory of the worker", f"{size:.0f} MB", "a process of its own")
        finally:
            await models.close()


def _answer(server: Scripted, asked: Asked) -> Says:
    server.requests.clear()  # they would count as memory of ours
    return Says("I look at the sessions.")


async def _starts() -> None:
    """How long a start takes, and how late the loop is meanwhile."""
    quiet, late, seconds = await _lateness(asyncio.sleep(3.0)), list[float](), []
    for _ in range(STARTS):
        worker = Worker(idle=600)
        began = time.perf_counter()
        late += await _lateness(worker.warm())
        seconds.append(time.perf_counter() - began)
        await worker.close()
    line(f"cold start of the worker (N={STARTS})", f"{statistics.median(seconds):.1f} s", "not waited for")
    shown = f"{_late(late)} (without {_late(quiet)})"
    line("the loop is late while it starts", shown, "as without")


async def _lateness(doing: Awaitable[object]) -> list[float]:
    """Seconds by which the loop woke later than it was told to, while something is done."""
    task = asyncio.ensure_future(doing)
    late = []
    while not task.done():
        began = time.perf_counter()
        await asyncio.sleep(TICK)
        late.append(time.perf_counter() - began - TICK)
    await task
    return late


def _late(seconds: list[float]) -> str:
    return f"p95 {percentile(seconds, 0.95) * 1e3:.1f}, most {max(seconds) * 1e3:.0f} ms"


async def _calls(models: Models, store: Store, server: Scripted) -> None:
    prompt = Prompt((Message(Speaker.SYSTEM, READING), Message(Speaker.USER, "Why is it down?")), TOOLS)
    inquiry = store.inquiries.ask(None, "", "Why?", "bench", estimate=None, wait=False)
    seconds = []
    for _ in range(CALLS):
        began = time.perf_counter()
        await models.ask(prompt, inquiry=inquiry, severity=Severity.WARNING, hard=False)
        seconds.append((time.perf_counter() - began) * 1e3)
    ours = percentile(seconds, QUICK)
    request = json.dumps({"model": "openai/small", **body(prompt, str)})
    command = [sys.executable, "-m", "tests.benchmarks.litellm_bare", server.url, str(CALLS)]
    bare = await asyncio.to_thread(lambda: float(subprocess.check_output(command, input=request, text=True)))
    line(f"a call, kept in the log / litellm alone (N={CALLS})", f"{ours:.1f} / {bare:.1f} ms", "20 ms more")


async def _investigation(models: Models, store: Store) -> None:
    """Ten calls, each saying again what was said before and what a tool found."""
    inquiry = store.inquiries.ask(None, "", "Why?", "bench", estimate=None, wait=False)
    said: list[Message] = [Message(Speaker.SYSTEM, READING), Message(Speaker.USER, "Why is it down?")]
    began, clock = time.perf_counter(), time.process_time()
    for turn in range(TURNS):
        await models.ask(Prompt(tuple(said), TOOLS), inquiry=inquiry, severity=Severity.WARNING, hard=False)
        said.append(Message(Speaker.MODEL, "I look.", (Wanted(f"c{turn}", "look_1", {"service": "postgres/main"}),)))
        said.append(Message(Speaker.TOOL, f"{turn}: {READING}", answers=f"c{turn}"))
    elapsed, spent = time.perf_counter() - began, time.process_time() - clock
    shown = f"{elapsed * 1e3:.0f} ms, {spent * 1e3:.0f} ms of ours"
    line(f"an investigation's {TURNS} calls, server included", shown, "250 ms of ours")


def _keys(folder: Path) -> None:
    """Keys on the screen while workers start beside it, against keys without."""
    config = filled_store(folder, services=50, incidents=20, interval=3600.0)
    with Terminal([COCKPIT, "--config", str(config)]) as terminal:
        terminal.until(PAINTED)
        terminal.drain(15)
        quiet = _pressed(terminal)
        ending = threading.Event()
        starter = threading.Thread(target=lambda: asyncio.run(_start_until(ending.is_set)))
        starter.start()
        while_starting = _pressed(terminal)
        ending.set()
        starter.join()
        shown = f"{while_starting * 1e3:.0f} ms (without {quiet * 1e3:.0f} ms)"
        line("a key to its first byte while a worker starts, p95", shown, "as without")


def _pressed(terminal: Terminal) -> float:
    presses = [terminal.press(key, quiet=0.05) for _ in range(30) for key in (b"j", b"k")]
    return percentile([first for first, *_ in presses if first], 0.95)


async def _start_until(over: Callable[[], bool]) -> None:
    while not over():
        worker = Worker(idle=600)
        await worker.warm()
        await worker.close()


if __name__ == "__main__":
    main()
