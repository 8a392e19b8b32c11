"""Signs of life that others send: one that stays out raises an alert, one that comes back ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cockpit.agent.elapsed import Elapsed
from cockpit.model import Alert
from cockpit.settings.daemon import Heartbeat
from cockpit.store.store import Store

LOOK_EVERY = 0.5
"""Seconds between two looks at what came in."""
NAME = "heartbeat-missing"


@dataclass
class Heartbeats:
    """Follows every heartbeat of the config.

    After a start each may come as late as its grace once more: while cockpit was away nobody could reach it.

    Args:
        store: where signs of life arrive, from whichever process takes them in.
        expected: what is waited for.
        changed: called after an alert was raised or cleared.
    """

    store: Store
    expected: Sequence[Heartbeat]
    changed: Callable[[], None]
    clock: Callable[[], float] = time.time
    elapsed: Elapsed = field(default_factory=Elapsed)

    async def run(self) -> None:
        """Watch until cancelled."""
        self.store.heartbeats.expect([heartbeat.name for heartbeat in self.expected], self.clock())
        while self.expected:
            self.look()
            await asyncio.sleep(LOOK_EVERY)

    def look(self) -> None:
        """Raise an alert for each that is overdue, and clear those that came back."""
        last = {beat.name: beat.last_at for beat in self.store.reader.beats()}
        firing = {raised.alert.fingerprint for raised in self.store.reader.alerts(firing_only=True)}
        silent = {
            heartbeat.name: passed
            for heartbeat in self.expected
            if heartbeat.name in last
            and (passed := self._passed(heartbeat, last[heartbeat.name], _fingerprint(heartbeat) in firing)) is not None
        }
        raised = [_alert(h, silent[h.name], self.clock()) for h in self.expected if h.name in silent]
        news = [alert for alert in raised if alert.fingerprint not in firing]
        over = [_fingerprint(h) for h in self.expected if h.name not in silent and _fingerprint(h) in firing]
        if news:
            self.store.ingest_alerts(news)
        if over:
            self.store.clear_alerts(over, self.clock())
        if news or over:
            self.changed()

    def _passed(self, heartbeat: Heartbeat, last_at: float, firing: bool) -> float | None:
        """Seconds since the last one, when that is too long."""
        most = float("inf") if firing else heartbeat.every
        passed = self.elapsed.since(heartbeat.name, last_at, most=most)
        return passed if passed > heartbeat.every + heartbeat.grace else None


def _fingerprint(heartbeat: Heartbeat) -> str:
    return f"{heartbeat.service}:{NAME}"


def _alert(heartbeat: Heartbeat, passed: float, now: float) -> Alert:
    return Alert(
        _fingerprint(heartbeat),
        heartbeat.service,
        NAME,
        heartbeat.severity,
        f"No heartbeat of {heartbeat.name} for {passed:.0f} s; one is due every {heartbeat.every:.0f} s.",
        now - passed,
        source="heartbeat",
    )
