"""How many posted alerts are answered a second, each after it is on the disk; and how late a real request comes."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.http_load import Measured, load, post
from tests.benchmarks.report import line, percentile

CONNECTIONS = 32
POSTS = 20_000
STEADY_RATE, STEADY_SECONDS = 1000.0, 20
TOKEN = "bench-0123456789abcdef"


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        with _process("http_bare", str(Path(folder) / "bare.db")) as port:
            bare = _measure(port, "the same 50 alerts", 50)
        line("bare aiohttp with group commit", f"{bare.rate:.0f}/s", "the yardstick")
        with _process("http_server", str(_config(Path(folder)))) as port:
            same = _measure(port, "the same 50 alerts", 50)
            _print("posts of 50 alerts that fire", same, bare)
            _print("posts of a new alert each", _measure(port, "new", POSTS // 4, start=10**6, posts=POSTS // 4), bare)
            steady = asyncio.run(
                load(port, _requests(port, 50, int(STEADY_RATE * STEADY_SECONDS)), CONNECTIONS, STEADY_RATE)
            )
            line(
                f"p95 at a steady {STEADY_RATE:.0f}/s for {STEADY_SECONDS} s",
                f"{percentile(steady.latencies, 0.95) * 1e3:.1f} ms",
                "10 ms",
            )


def _print(what: str, found: Measured, bare: Measured) -> None:
    p95 = percentile(found.latencies, 0.95) * 1e3
    measured = f"{found.rate:.0f}/s, p95 {p95:.1f} ms"
    line(f"{what} (N={len(found.latencies)}, refused {found.refused})", measured, "5,000/s, 20 ms")
    line("  against the bare server", f"{found.rate / bare.rate:.2f}x", "0.55x")


def _measure(port: int, what: str, alerts: int, start: int = 0, posts: int = POSTS) -> Measured:
    asyncio.run(load(port, _requests(port, alerts, alerts, start), CONNECTIONS)) if alerts < posts else None
    return asyncio.run(load(port, _requests(port, alerts, posts, start), CONNECTIONS))


def _requests(port: int, alerts: int, posts: int, start: int = 0) -> Iterator[bytes]:
    ready = [post(port, start + number, token=TOKEN) for number in range(alerts)]
    return (ready[number % alerts] for number in range(posts))


def _config(folder: Path) -> Path:
    config = folder / "config.toml"
    config.write_text(
        f'data_folder = "{folder}/data"\n[http]\nbind = "127.0.0.1:0"\nrequests_per_second = 100000\n'
        f'tokens = [{{name = "bench", token = "{TOKEN}", scopes = ["read", "alert"]}}]\n'
    )
    config.chmod(0o600)
    return config


@contextlib.contextmanager
def _process(module: str, argument: str) -> Iterator[int]:
    """Run a server of this folder; gives its port."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", argument]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(10)


if __name__ == "__main__":
    main()
