"""The screen from outside, through a pseudo-terminal: first paint, keys, bytes, processor, memory."""

from __future__ import annotations

import asyncio
import compileall
import sys
import tempfile
import threading
from pathlib import Path

from redis import Redis

from cockpit.lab.catalogue import servers
from cockpit.lab.lab import Lab
from cockpit.store.store import Store
from tests.benchmarks.report import line, percentile, ratio
from tests.benchmarks.terminal import Terminal
from tests.benchmarks.world import filled_store

COCKPIT = str(Path(sys.executable).with_name("cockpit"))
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("hello")
Bare().run()
"""
ASKING = """
import sys
from redis.asyncio import Redis
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("hello")
    def on_mount(self):
        for number in range(50):
            self.set_timer(number / 5, self.begin)
    def begin(self):
        self.set_interval(10.0, self.ask)
    async def ask(self):
        async with Redis(port=int(sys.argv[1]), protocol=2) as redis:
            info = await redis.info()
        self.query_one(Static).update(str(info["used_memory"]))
Bare().run()
"""
"""The yardstick for probing: asks as many servers as often, and keeps nothing."""
PAINTED = "cache03"
PRESSES = 60
DETAIL = 0.3
"""Seconds without a byte after which all that a key brings about has been written, what is shown beside it as well."""
ROOT = Path(__file__).parents[2]


def main() -> None:
    """Print every figure of the screen; services are 50 clients of one real Redis."""
    lab = Lab.create([server for server in servers() if server.name == "redis"])
    try:
        asyncio.run(lab.up())
        _make_room(lab.port("redis"))
        for measure in (_first_paint, _quiet, _busy, _storm):
            with tempfile.TemporaryDirectory() as folder:
                measure(Path(folder), lab.port("redis"))
    finally:
        asyncio.run(lab.down())


def _make_room(port: int) -> None:
    """The lab's limits are low so that faults show; fifty clients are none."""
    with Redis(port=port) as redis:
        redis.config_set("maxclients", 1000)
        redis.config_set("maxmemory", 0)


def _first_paint(folder: Path, port: int) -> None:
    """Of a program that is compiled, as an installed one is, and Textual beside it."""
    for package in ("cockpit", "widgets", "tools"):
        compileall.compile_dir(ROOT / package, quiet=1)
    (folder / "few").mkdir()
    (folder / "fifty").mkdir()
    last_known = filled_store(folder / "few", services=5, incidents=5, port=port)
    fifty = filled_store(folder / "fifty", services=50, incidents=20, port=port)
    for what, config, target in (("5 services", last_known, "1.3x"), ("50 live services", fifty, "1.6x")):
        found, mine, theirs = ratio(lambda c=config: _paint([COCKPIT, "--config", str(c)], PAINTED), _bare, rounds=7)
        line(
            f"first paint, {what} / a bare Textual app",
            f"{found:.2f}x ({mine * 1e3:.0f}/{theirs * 1e3:.0f} ms)",
            target,
        )


def _paint(argv: list[str], text: str) -> float:
    with Terminal(argv) as terminal:
        return terminal.until(text)


def _bare() -> float:
    return _paint([sys.executable, "-c", BARE], "hello")


def _quiet(folder: Path, port: int) -> None:
    """Nothing is probed: what is written now is written for a key, or for nothing."""
    config = filled_store(folder, services=50, incidents=20, events=10_000, port=port, interval=3600.0)
    with Terminal([COCKPIT, "--config", str(config)]) as terminal:
        terminal.until(PAINTED)
        terminal.drain(15)
        line("to the terminal with nothing changing", f"{terminal.drain(30) * 2 / 1000:.1f} kB/min", "5 kB/min")
        presses = [terminal.press(key, quiet=DETAIL) for _ in range(PRESSES // 2) for key in (b"j", b"k")]
        line("a key to its repaint", _times([first for first, *_ in presses if first]), "12, 30 ms")
        line(
            "a key until what it chose stands beside it",
            _times([last for _, last, _ in presses if last]),
            "it rests 0.1 s",
        )
        line("bytes of a key press", f"{percentile([size for *_, size in presses], 0.95)} B at p95", "2,000 B")
        terminal.press(b"6")
        pages = [terminal.press(b"\x1b[5~")[2] for _ in range(10)]
        line("bytes of a page in the log of 10,000 events", f"{max(pages)} B at most", "12,000 B")
        line("memory with 10,000 events", f"{terminal.memory():.0f} MB", "90 MB")


def _busy(folder: Path, port: int) -> None:
    """Fifty services are probed every 10 s, beside a bare app that does no more than that."""
    config = filled_store(folder, services=50, incidents=20, port=port)
    bare = Terminal([sys.executable, "-c", ASKING, str(port)])
    with Terminal([COCKPIT, "--config", str(config)]) as terminal, bare:
        terminal.until(PAINTED)
        line("memory at start", f"{terminal.memory():.0f} MB", "70 MB")
        terminal.drain(15)
        before = [each.cpu() for each in (terminal, bare)]
        written = terminal.drain(30)
        mine, theirs = ((each.cpu() - used) / 30 for each, used in zip((terminal, bare), before, strict=True))
        what = "processor, 50 services probed every 10 s"
        line(f"{what} / a bare app", f"{mine / theirs:.2f}x ({mine:.1%}/{theirs:.1%})", "2 %")
        line("to the terminal, 50 services probed every 10 s", f"{written * 2 / 1000:.0f} kB/min", "250 kB/min")


def _storm(folder: Path, port: int) -> None:
    """Fifty probes and a hundred events a second."""
    config = filled_store(folder, services=50, incidents=20, port=port, interval=1.0)
    with Terminal([COCKPIT, "--config", str(config)]) as terminal, Store.open(folder / "data" / "cockpit.db") as store:
        terminal.until(PAINTED)
        terminal.drain(8)
        ending = threading.Event()
        writer = threading.Thread(target=_write_events, args=(store, ending))
        writer.start()
        presses = [terminal.press(key, quiet=0.02) for _ in range(PRESSES // 2) for key in (b"j", b"k")]
        ending.set()
        writer.join()
        what = "a key to its first byte, 50 probes and 100 events a second"
        line(what, _times([first for first, *_ in presses if first]), "12, 30 ms")


def _write_events(store: Store, ending: threading.Event) -> None:
    while not ending.wait(0.01):
        store.note("monitor", "note", "one of a hundred a second")


def _times(seconds: list[float]) -> str:
    return f"p50 {percentile(seconds, 0.5) * 1e3:.0f}, p95 {percentile(seconds, 0.95) * 1e3:.0f} ms"
