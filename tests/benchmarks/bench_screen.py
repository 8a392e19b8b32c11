"""The screen from outside, through a pseudo-terminal: first paint, keys, bytes, processor, memory."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from cockpit.lab.catalogue import servers
from cockpit.lab.lab import Lab
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
PAINTED = "cache03"
PRESSES = 60


def main() -> None:
    """Print every figure of the screen; services are 50 clients of one real Redis."""
    lab = Lab.create([server for server in servers() if server.name == "redis"])
    try:
        asyncio.run(lab.up())
        with tempfile.TemporaryDirectory() as folder:
            _first_paint(Path(folder), lab.port("redis"))
        with tempfile.TemporaryDirectory() as folder:
            _at_rest(Path(folder), lab.port("redis"))
        with tempfile.TemporaryDirectory() as folder:
            _scrolling(Path(folder), lab.port("redis"))
    finally:
        asyncio.run(lab.down())


def _first_paint(folder: Path, port: int) -> None:
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


def _at_rest(folder: Path, port: int) -> None:
    config = filled_store(folder, services=50, incidents=20, port=port)
    with Terminal([COCKPIT, "--config", str(config)]) as terminal:
        terminal.until(PAINTED)
        terminal.drain(15)
        line("memory at start", f"{terminal.memory():.0f} MB", "70 MB")
        before, written = terminal.cpu(), terminal.drain(30)
        line("idle processor, 50 services probed every 10 s", f"{(terminal.cpu() - before) / 30:.1%}", "2 %")
        line("to the terminal with nothing changing", f"{written * 2 / 1000:.1f} kB/min", "5 kB/min")


def _scrolling(folder: Path, port: int) -> None:
    config = filled_store(folder, services=50, incidents=20, events=10_000, port=port, interval=1.0)
    with Terminal([COCKPIT, "--config", str(config)]) as terminal:
        terminal.until(PAINTED)
        terminal.drain(8)
        presses = [terminal.press(key) for _ in range(PRESSES // 2) for key in (b"j", b"k")]
        seconds = [last for _, last, _ in presses if last]
        times = f"p50 {percentile(seconds, 0.5) * 1e3:.0f}, p95 {percentile(seconds, 0.95) * 1e3:.0f} ms"
        line("a key to its repaint, 50 probes a second running", times, "12, 30 ms")
        line("bytes of a key press", f"{percentile([size for *_, size in presses], 0.95)} B at p95", "2,000 B")
        terminal.press(b"6")
        pages = [terminal.press(b"\x1b[5~")[2] for _ in range(10)]
        line("bytes of a page in the log of 10,000 events", f"{max(pages)} B at most", "12,000 B")
        line("memory with 10,000 events", f"{terminal.memory():.0f} MB", "90 MB")
