"""How many posted alerts a daemon answers a second, each after it is on the disk, against a bare server."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.http_daemon import TOKEN, listening
from tests.benchmarks.http_load import Measured, load, post
from tests.benchmarks.report import line, percentile

CONNECTIONS = 32
POSTS = 20_000


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        with _bare(Path(folder)) as port:
            bare = _measure(port, "repeated")
        line("bare aiohttp with group commit", f"{bare.rate:.0f}/s", "the yardstick")
        with listening(Path(folder) / "cockpit") as (_, _, port):
            _print("posts of 50 alerts that fire", _measure(port, "repeated"), bare)
            _print("posts of a new alert each", _measure(port, "new"), bare)


def _print(what: str, found: Measured, bare: Measured) -> None:
    p95 = percentile(found.latencies, 0.95) * 1e3
    measured = f"{found.rate:.0f}/s, p95 {p95:.1f} ms"
    line(f"{what} (N={len(found.latencies)}, refused {found.refused})", measured, "5,000/s, 20 ms")
    line("  against the bare server", f"{found.rate / bare.rate:.2f}x", "0.55x")


def _measure(port: int, what: str) -> Measured:
    """Post the same 50 alerts again and again, or a new one each time; what comes first only warms up."""
    if what == "repeated":
        ready = [post(port, number, token=TOKEN) for number in range(50)]
        requests = (ready[number % 50] for number in range(POSTS))
    else:
        requests = iter([post(port, 10**6 + number, token=TOKEN) for number in range(POSTS)])
    asyncio.run(load(port, (next(requests) for _ in range(500)), CONNECTIONS))
    return asyncio.run(load(port, requests, CONNECTIONS))


@contextlib.contextmanager
def _bare(folder: Path) -> Iterator[int]:
    """Run the yardstick; gives its port."""
    command = [sys.executable, "-m", "tests.benchmarks.http_bare", str(folder / "bare.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(10)


if __name__ == "__main__":
    main()
