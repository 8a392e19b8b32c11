"""A steady thousand posts a second for a while: `python -m tests.benchmarks.bench_steady 300`.

How late answers come, whether anything is lost, whether memory grows, whether services are probed
meanwhile when they should be, and whether an attached screen still answers keys.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from cockpit.store.reader import Reader
from tests.account import MAIN
from tests.benchmarks.http_daemon import TOKEN, listening
from tests.benchmarks.http_load import load, post
from tests.benchmarks.report import line, percentile
from tests.benchmarks.terminal import Terminal
from tests.faults.daemon_world import Place

CONNECTIONS = 32
RATE = 1000.0
SECONDS = 20
REPEATED, NEW_EVERY = 50, 50
"""Alerts that come again and again; and of how many posts one is of an alert that is new."""
SERVICES, INTERVAL = 10, 1.0
EVERY = 1.0
"""Seconds between two looks at the memory, and between two keys."""


@dataclass
class Watched:
    """What was seen while the posts came."""

    memory: list[float] = field(default_factory=list)
    keys: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self, daemon: subprocess.Popen[str], screen: Terminal) -> None:
        """Look at the daemon and press a key, again and again."""
        while not self.over.is_set():
            self.memory.append(resident(daemon.pid))
            self.keys.append(screen.press(b"j" if len(self.keys) % 2 else b"k")[0])
            screen.drain(EVERY)


def main(seconds: int = SECONDS) -> None:
    """Print the figures."""
    seen = Watched()
    with tempfile.TemporaryDirectory() as folder, listening(Path(folder), SERVICES, INTERVAL) as (place, daemon, port):
        with _screen(place) as screen:
            watching = threading.Thread(target=seen.watch, args=(daemon, screen))
            watching.start()
            sent = asyncio.run(load(port, requests(port, int(RATE * seconds)), CONNECTIONS, RATE))
            seen.over.set()
            watching.join()
        with place.reader() as reader:
            _print_answers(seconds, sent.latencies, sent.refused, reader)
            _print_probes(reader)
    _print_seen(seen)


def requests(port: int, count: int) -> Iterator[bytes]:
    """Posts of a few alerts again and again, and now and then of a new one."""
    repeated = [post(port, number, token=TOKEN) for number in range(REPEATED)]
    for number in range(count):
        yield repeated[number % REPEATED] if number % NEW_EVERY else post(port, 10**6 + number, token=TOKEN)


def resident(pid: int) -> float:
    """Megabytes of memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(row for row in status.splitlines() if row.startswith("VmRSS")).split()[1]) / 1024


def _screen(place: Place) -> Terminal:
    return Terminal([sys.executable, "-c", MAIN], env=place.environment())


def _print_answers(seconds: int, latencies: list[float], refused: int, reader: Reader) -> None:
    p50, p95 = (percentile(latencies, share) * 1e3 for share in (0.5, 0.95))
    what = f"{RATE:.0f} posts a second for {seconds} s, {CONNECTIONS} connections"
    line(what, f"p50 {p50:.1f}, p95 {p95:.1f} ms", "p95 10 ms")
    stored = reader.rows("select coalesce(sum(times), 0) from alert")[0][0]
    line(f"  posts (N={len(latencies)}, refused {refused}) that are not in the log", f"{len(latencies) - stored}", "0")


def _print_probes(reader: Reader) -> None:
    rows = reader.rows("select service, at from reading order by service, at")
    gaps = [later[1] - at[1] for at, later in pairwise(rows) if at[0] == later[0]]
    measured = f"p95 {percentile(gaps, 0.95):.2f}, max {max(gaps):.2f} s"
    line(f"  between two probes of a service (N={len(gaps)})", measured, f"{INTERVAL:.0f} s")


def _print_seen(seen: Watched) -> None:
    p95 = percentile(seen.keys, 0.95) * 1e3
    line(f"  a key until the attached screen answers (N={len(seen.keys)})", f"p95 {p95:.0f} ms", "it answers")
    quarter = max(1, len(seen.memory) // 4)
    then, now = (statistics.median(part) for part in (seen.memory[quarter : 2 * quarter], seen.memory[-quarter:]))
    line("  memory in the second and in the last quarter", f"{then:.1f}, {now:.1f} MB", "flat")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
