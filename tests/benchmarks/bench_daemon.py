"""What the daemon weighs with 50 services, and how soon an attached screen shows what it wrote."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from cockpit.lab.catalogue import servers
from cockpit.lab.lab import Lab
from tests.account import MAIN
from tests.benchmarks.report import line, percentile
from tests.benchmarks.terminal import Terminal
from tests.benchmarks.world import filled_store
from tests.faults.daemon_world import Place, end, until

SHOWN = 60
"""Events whose way to the screen is timed."""
SETTLES = 20.0
"""Seconds after which memory is read: every service was probed many times by then."""
SECONDS = 5


def main() -> None:
    """Print the figures."""
    with TemporaryDirectory() as folder:
        _shown(Path(folder))
    with TemporaryDirectory() as folder:
        _second(Path(folder))
    lab = Lab.create([server for server in servers() if server.name == "redis"])
    asyncio.run(lab.up())
    try:
        with TemporaryDirectory() as folder:
            _memory(Path(folder), lab.port("redis"))
    finally:
        asyncio.run(lab.down())


def _memory(folder: Path, port: int) -> None:
    config = filled_store(folder, services=50, incidents=20, port=port, interval=1.0)
    with (folder / "lines").open("w") as lines:
        daemon = subprocess.Popen(
            [sys.executable, "-c", MAIN, "--config", str(config), "--daemon"], stdout=lines, stderr=lines, text=True
        )
    try:
        until(lambda: "acts on" in (folder / "lines").read_text())
        time.sleep(SETTLES)
        first = _resident(daemon.pid)
        time.sleep(SETTLES)
        line("resident memory, 50 services probed each second", f"{_resident(daemon.pid):.1f} MB", "90 MB")
        line(f"  growth over the last {SETTLES:.0f} s", f"{_resident(daemon.pid) - first:+.1f} MB", "flat")
    finally:
        end(daemon)


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(row for row in status.splitlines() if row.startswith("VmRSS")).split()[1]) / 1024


def _shown(folder: Path) -> None:
    place = Place(folder, {"TERM": "xterm-256color"}, interval=0.2)
    trouble, times = place.world() / "trouble", []
    with place.daemon(), place.reader() as reader, _screen(place) as terminal:
        terminal.until("w0")
        terminal.drain(2.0)
        for number in range(SHOWN):
            time.sleep(random.uniform(0.0, 0.3))
            terminal.written = b""
            text = f"fault{number:03}"
            trouble.write_text(text)
            terminal.started = time.perf_counter()
            terminal.until(text)
            seen = time.time()
            written = next(event.at for event in reversed(reader.events(limit=10**6)) if text in event.text)
            times.append(seen - written)
            trouble.unlink()
            until(lambda: reader.services()[0].health.level == "up")
    what = f"p50 {percentile(times, 0.5) * 1e3:.0f}, p95 {percentile(times, 0.95) * 1e3:.0f} ms"
    line(f"a daemon's event until an attached screen shows it (N={SHOWN})", what, "p95 300 ms")


def _screen(place: Place) -> Terminal:
    return Terminal([sys.executable, "-c", MAIN], env=place.environment())


def _second(folder: Path) -> None:
    place, times = Place(folder), []
    with place.daemon():
        for _ in range(SECONDS):
            began = time.perf_counter()
            assert place.command("--daemon").returncode == 75
            times.append(time.perf_counter() - began)
    line("a second daemon until it has left", f"max {max(times):.2f} s", "1 s")


if __name__ == "__main__":
    main()
