"""Deadlines that hold by the wall clock and by the monotonic clock, whichever ends first."""

from __future__ import annotations

import time
from collections.abc import Callable

from cockpit.model import Proposal


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

    def passed(self, proposal: Proposal) -> bool:
        """Whether a proposal's deadline has passed by either clock, counted from when it was first seen here.

        A clock that was set back before that gives it no more time than it was made with.
        """
        left = proposal.expires_at - self._clock()
        most = proposal.expires_at - proposal.created_at
        ends = self._ends.setdefault(proposal.id, self._monotonic() + min(left, most))
        return left <= 0 or self._monotonic() >= ends

    def forget(self, proposal: int) -> None:
        """Drop what is known of a proposal that was decided."""
        self._ends.pop(proposal, None)
