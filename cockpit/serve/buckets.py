"""Token buckets: how often each of many may do something."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

MOST_KEYS = 4096


class Buckets:
    """One bucket for each address or person, of those that were seen last.

    Args:
        per_second: how fast one fills.
        burst: how much it holds.
        clock: a monotonic clock.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._levels: dict[Hashable, tuple[float, float]] = {}

    def take(self, key: Hashable) -> bool:
        """Take one out of a bucket; False when it is empty."""
        now = self._clock()
        level, at = self._levels.get(key) or self._new(now)
        level = min(self._burst, level + (now - at) * self._per_second)
        self._levels[key] = (level - 1.0 if level >= 1.0 else level, now)
        return level >= 1.0

    def empty(self, key: Hashable) -> bool:
        """Whether nothing can be taken out of a bucket now."""
        level, at = self._levels.get(key, (self._burst, 0.0))
        return level + (self._clock() - at) * self._per_second < 1.0

    def _new(self, now: float) -> tuple[float, float]:
        if len(self._levels) >= MOST_KEYS:
            self._levels.pop(next(iter(self._levels)))
        return self._burst, now
