"""Times what a process does, not what others do meanwhile on a machine that is busy."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path


class Stopwatch:
    """Counts from its making the seconds but for those in which a process wanted a processor that others had.

    Args:
        pid: the process; by default the one that asks.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._threads = Path(f"/proc/{pid or os.getpid()}/task")
        self._before = self._queued()
        self._after = dict(self._before)
        self._began = time.monotonic()

    def seconds(self) -> float:
        """The seconds so far; of a process that has ended, with what was seen when it was last asked."""
        passed = time.monotonic() - self._began
        self._after |= self._queued()
        return passed - sum(waited - self._before.get(thread, 0.0) for thread, waited in self._after.items())

    def _queued(self) -> dict[str, float]:
        """Seconds that each thread has waited for a processor in its life."""
        found = {}
        for thread in self._threads.glob("*/schedstat"):
            with contextlib.suppress(OSError):
                found[thread.parent.name] = int(thread.read_text().split()[1]) / 1e9
        return found
