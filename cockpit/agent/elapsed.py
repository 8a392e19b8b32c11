"""How long ago something was, counted so that a clock that is set makes it neither long ago nor to come."""

from __future__ import annotations

import time
from collections.abc import Callable


class Elapsed:
    """Counts by the wall clock until a moment is first seen here, and by the monotonic clock from then on.

    Args:
        clock: seconds since the epoch.
        monotonic: seconds that only ever grow.
    """

    def __init__(self, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._seen: dict[str, tuple[float, float, float]] = {}

    def since(self, name: str, at: float, *, most: float = float("inf")) -> float:
        """Seconds since a moment.

        Args:
            name: what happened; the same name with another moment counts anew.
            at: when it happened, in seconds since the epoch.
            most: so many seconds at the most may have passed before it was first seen here.
        """
        known = self._seen.get(name)
        if known is None or known[0] != at:
            before = min(max(0.0, self._clock() - at), most)
            self._seen[name] = known = (at, before, self._monotonic())
        return known[1] + self._monotonic() - known[2]

    def forget(self, name: str) -> None:
        """Drop what is known under a name."""
        self._seen.pop(name, None)
