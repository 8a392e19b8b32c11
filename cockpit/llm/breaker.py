"""Leaves a model alone that fails: a call that will fail costs time that an incident does not have."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cockpit.model.inquiries import CallOutcome

FAILURES = 3
"""Time-outs and outages in a row after which a model is left alone."""
PAUSE, LONGEST_PAUSE = 60.0, 900.0
"""Seconds for which it then is; twice as long each time it fails again."""
DENIED_PAUSE = 600.0
"""A key does not mend itself, but a person may."""
LIMITED_PAUSE, LONGEST_LIMIT = 30.0, 3600.0
"""Seconds after a rate limit where the provider names none, and at the most where it does."""


@dataclass
class Breaker:
    """How one model did lately."""

    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    until: float = float("-inf")
    why: CallOutcome | None = None

    @property
    def left(self) -> float:
        """Seconds for which it is left alone still; 0 when it may be asked."""
        return max(0.0, self.until - self.clock())

    def worked(self) -> None:
        """It answered."""
        self.failures, self.why = 0, None

    def failed(self, outcome: CallOutcome, *, retry_after: float | None = None, lasting: bool = False) -> None:
        """It did not; what lies in the question alone is no reason to leave it alone."""
        pause = self._pause(outcome, retry_after, lasting)
        if pause:
            self.until, self.why = self.clock() + pause, outcome

    def _pause(self, outcome: CallOutcome, retry_after: float | None, lasting: bool) -> float:
        if outcome is CallOutcome.RATE_LIMITED:
            return min(LIMITED_PAUSE if retry_after is None else retry_after, LONGEST_LIMIT)
        if outcome is CallOutcome.DENIED:
            return DENIED_PAUSE if lasting else 0.0
        if outcome not in (CallOutcome.TIMEOUT, CallOutcome.OUTAGE):
            return 0.0
        self.failures += 1
        again = min(self.failures - FAILURES, 10)
        return min(PAUSE * 2.0**again, LONGEST_PAUSE) if again >= 0 else 0.0
