"""Alerts that end, or begin, because nobody says anything any more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from cockpit.model import Alert, Severity
from cockpit.serve.http.alertmanager import DIRECT, SOURCE, WATCHDOG
from cockpit.serve.http.answers import Problem
from cockpit.store.intake import Cleared, Report
from cockpit.store.reader import Reader

EVERY = 1.0
UNREPEATED = 300.0
"""Seconds after a start within which a listed alert has to be repeated: what it said of its end is not kept."""
LONGEST = 86400.0
AFTER_START = 30.0
"""Seconds after a start within which nobody is called silent: it may have been cockpit that did not listen."""
SILENT = Alert(
    f"{SOURCE}:silent",
    f"{SOURCE}/{WATCHDOG}",
    "AlertmanagerSilent",
    Severity.CRITICAL,
    "The alert Watchdog stays out: alerts no longer reach cockpit.",
    0.0,
    "cockpit",
)
Add = Callable[[Sequence[Report]], Awaitable[None]]


class Ends:
    """Clears alerts of lists that nobody repeated until the time they named.

    Args:
        reader: tells what fires when this starts.
        add: takes reports in.
        clock: a monotonic clock.
    """

    def __init__(self, reader: Reader, add: Add, clock: Callable[[], float] = time.monotonic) -> None:
        self._add = add
        self._clock = clock
        firing = [raised.alert for raised in reader.alerts(firing_only=True) if raised.alert.source == DIRECT]
        self._due = {alert.fingerprint: clock() + UNREPEATED for alert in firing}

    def expect(self, ends: Mapping[str, float], now: float) -> None:
        """Expect each alert to be repeated before its time, in seconds since the epoch like `now`."""
        for fingerprint, end in ends.items():
            self._due[fingerprint] = self._clock() + min(end - now, LONGEST)

    async def look(self) -> None:
        """Clear what is overdue."""
        over = [fingerprint for fingerprint, due in self._due.items() if due <= self._clock()]
        await self._add([Cleared(fingerprint, time.time()) for fingerprint in over])
        for fingerprint in over:
            if self._due[fingerprint] <= self._clock():
                del self._due[fingerprint]


class Watchdog:
    """Raises an alert when the one that always fires stays out.

    Args:
        reader: tells what fires when this starts.
        add: takes reports in.
        seconds: how long it may stay out; 0 when nobody expects it.
        clock: a monotonic clock.
    """

    def __init__(self, reader: Reader, add: Add, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._add = add
        self._seconds = seconds
        self._clock = clock
        self._due = clock() + max(seconds, AFTER_START)
        self._raised = any(raised.alert.fingerprint == SILENT.fingerprint for raised in reader.alerts(firing_only=True))

    async def seen(self) -> None:
        """It came: all is well again."""
        self._due = self._clock() + self._seconds
        if self._raised:
            await self._add([Cleared(SILENT.fingerprint, time.time())])
            self._raised = False

    async def look(self) -> None:
        """Raise the alert when it is overdue; clear it when nobody expects it any more."""
        if not self._seconds:
            await self.seen()
        elif not self._raised and self._due <= self._clock():
            await self._add([replace(SILENT, starts_at=time.time())])
            self._raised = True


async def watch(*signs: Ends | Watchdog) -> None:
    """Look at all of them again and again, until cancelled."""
    while True:
        with contextlib.suppress(Problem):  # the log takes nothing now: what is overdue stays so
            for sign in signs:
                await sign.look()
        await asyncio.sleep(EVERY)
