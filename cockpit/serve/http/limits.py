"""How much anybody may ask for: rates, open connections, and the time each thing may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

MOST_ADDRESSES = 4096


@dataclass(frozen=True)
class Limits:
    """The bounds of the HTTP interface; times are seconds."""

    connections: int = 256
    requests_per_second: int = 10_000
    """Of one address."""
    body_bytes: int = 8 << 20
    header_seconds: float = 10.0
    """From the first sign of a request to the end of its headers."""
    body_seconds: float = 20.0
    idle_seconds: float = 60.0
    """That a connection may stay open between two requests."""
    write_seconds: float = 20.0
    """That a peer may take nothing of what is sent to it."""
    answer_seconds: float = 30.0
    """That an answer may take to be found."""
    streams: int = 32
    """Readers of the event stream at a time."""
    alerts_waiting: int = 20_000
    """Alerts that may wait for the disk; more are refused until there is room."""


class Buckets:
    """A token bucket for each address, of the addresses that were seen last.

    Args:
        per_second: how fast one fills.
        burst: how much it holds.
        clock: a monotonic clock.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, address: str) -> bool:
        """Take one out of an address's bucket; False when it is empty."""
        now = self._clock()
        level, at = self._levels.get(address) or self._new(now)
        level = min(self._burst, level + (now - at) * self._per_second)
        self._levels[address] = (level - 1.0 if level >= 1.0 else level, now)
        return level >= 1.0

    def _new(self, now: float) -> tuple[float, float]:
        if len(self._levels) >= MOST_ADDRESSES:
            self._levels.pop(next(iter(self._levels)))
        return self._burst, now
