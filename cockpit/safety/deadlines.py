"""Deadlines that hold by the wall clock and by the monotonic clock, whichever ends first."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadlines:
    """Knows when proposals expire; a clock that is set back revives none of them.

    Args:
        clock: seconds since the epoch.
        monotonic: seconds that only ever grow.
    """

    def __init__(self, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._ends: dict[int, float] = {}

    def begin(self, proposal: int, seconds: float) -> None:
        """Count from now for a proposal that was just made, whatever the wall clock does before it is seen again."""
        self._ends.setdefault(proposal, self._monotonic() + seconds)

    def passed(self, proposal: int, expires_at: float) -> bool:
        """Whether a proposal's deadline has passed by either clock, counted from when it was first seen here."""
        left = expires_at - self._clock()
        ends = self._ends.setdefault(proposal, self._monotonic() + left)
        return left <= 0 or self._monotonic() >= ends

    def forget(self, proposal: int) -> None:
        """Drop what is known of a proposal that was decided."""
        self._ends.pop(proposal, None)
