"""How a figure is printed: what, how much, against what, and the target beside it."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence


def line(what: str, measured: str, target: str) -> None:
    """Print one figure with its target."""
    print(f"  {what:<58} {measured:>24}   target {target}")


def ratio(ours: Callable[[], float], yardstick: Callable[[], float], rounds: int = 9) -> tuple[float, float, float]:
    """The median of ours against the yardstick, pair by pair, in turn; and the medians of both in seconds."""
    ours(), yardstick()
    pairs = [(ours(), yardstick()) for _ in range(rounds)]
    return (
        statistics.median(mine / theirs for mine, theirs in pairs),
        statistics.median(mine for mine, _ in pairs),
        statistics.median(theirs for _, theirs in pairs),
    )


def wall(argv: Sequence[str], env: dict[str, str] | None = None) -> Callable[[], float]:
    """A function that runs the command once and returns its wall seconds."""

    def run() -> float:
        started = time.perf_counter()
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True, env=env)
        return time.perf_counter() - started

    return run


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
