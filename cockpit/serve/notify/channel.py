"""Sends what waits for one channel: gathered, tried again with pauses that grow, nothing twice that was taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cockpit.model import CockpitError, Role
from cockpit.store.notices import Notice
from cockpit.store.store import Store

POLL = 0.25
"""Seconds between two looks at what waits."""
LONGEST_PAUSE = 300.0
ONE_BY_ONE = 3
"""Failures in a row after which one thing is sent at a time: one that is never taken holds up no other."""
LETS_END = 2.0
"""Seconds that an answer may still take when the process is told to end: without it the message is sent again."""
GIVES_UP = 3 * 86400.0
"""Seconds after which what could not be told is given up."""


class Door(Protocol):
    """The way out over one channel."""

    singly: bool
    """Whether each thing is sent by itself."""

    async def send(self, notices: Sequence[Notice]) -> None:
        """Send these, oldest first, in one message. Raises CockpitError when they were not taken."""


@dataclass
class Channel:
    """One channel with what waits for it in the log.

    Args:
        name: the channel.
        store: the log.
        door: sends.
        gather: seconds between two messages at the least.
        pause: seconds before the second attempt; each further one waits twice as long.
    """

    name: str
    store: Store
    door: Door
    gather: float
    pause: float = 5.0
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    failures: int = 0
    """Attempts in a row that failed."""
    _next: float = float("-inf")

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(POLL)

    async def turn(self) -> None:
        """Send what waits, if its time has come."""
        if self.monotonic() < self._next:
            return
        batch = await asyncio.to_thread(self._batch)
        if not batch:
            return
        sending = asyncio.create_task(self._send(batch))
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.wait([sending], timeout=LETS_END)
            sending.cancel()
            raise

    async def _send(self, batch: Sequence[Notice]) -> None:
        await asyncio.to_thread(self.store.notices.sending, batch)
        try:
            await self.door.send(batch)
        except CockpitError as error:
            await asyncio.to_thread(self._failed, error)
        else:
            await asyncio.to_thread(self._sent, batch)

    def _batch(self) -> list[Notice]:
        now = self.clock()
        waiting = self.store.notices.waiting(self.name, now)
        late = [notice for notice in waiting if now - max(notice.created_at, notice.not_before) > GIVES_UP]
        if late:
            self.store.notices.finish(late, "failed", now)
            text = f"Messages given up, for the channel '{self.name}' did not take them for days: {len(late)}."
            self.store.note(Role.COMMUNICATOR, "note", text)
        left = [notice for notice in waiting if notice not in late]
        if self.door.singly or self.failures >= ONE_BY_ONE:
            return left[:1]
        return sorted(left, key=lambda notice: notice.id)

    def _sent(self, batch: Sequence[Notice]) -> None:
        self.store.notices.finish(batch, "sent", self.clock())
        self._next = self.monotonic() + self.gather
        if self.failures:
            self.failures = 0
            self.store.note(Role.COMMUNICATOR, "note", f"The channel '{self.name}' takes messages again.")

    def _failed(self, error: CockpitError) -> None:
        self.failures += 1
        self._next = self.monotonic() + min(self.pause * 2 ** min(self.failures - 1, 10), LONGEST_PAUSE)
        if self.failures == 1:
            text = f"The channel '{self.name}' takes no messages, they are kept: {error}"
            self.store.note(Role.COMMUNICATOR, "note", text)
