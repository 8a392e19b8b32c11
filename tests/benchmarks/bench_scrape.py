"""What one scrape of cockpit's own metrics costs, with fifty services and ten thousand events."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from prometheus_client import CollectorRegistry, generate_latest

from cockpit.serve.metrics import LogCollector
from cockpit.store.reader import Reader
from tests.benchmarks.report import line
from tests.benchmarks.world import filled_store


def main() -> None:
    """Print the processor time of a scrape after the first, which catches up with the log."""
    with tempfile.TemporaryDirectory() as folder:
        config = filled_store(Path(folder), services=50, incidents=40, events=10_000)
        with Reader(config.parent / "data" / "cockpit.db") as reader:
            kept = LogCollector(reader)
            kept.catch_up()
            registry = CollectorRegistry()
            registry.register(kept)
            took = [_scraped(registry) for _ in range(30)]
    line("a scrape, 50 services and 10,000 events", f"p50 {median(took) * 1e3:.0f} ms", "50 ms")


def _scraped(registry: CollectorRegistry) -> float:
    began = time.thread_time()  # what others do on this machine meanwhile does not count
    generate_latest(registry)
    return time.thread_time() - began
