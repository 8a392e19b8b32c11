"""Decides from the log's events what is to be told over which channel, and keeps that before anything is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cockpit.agent.silences import Silences
from cockpit.model import Event, IncidentStatus
from cockpit.serve.notify.messages import Message, message
from cockpit.serve.notify.routes import Route
from cockpit.store.notices import CURSOR, Notice
from cockpit.store.store import Store

POLL = 0.5
"""Seconds between two looks at the log."""
EVENTS = 500
"""Events that are looked at in one go."""
UNTOLD = 1000
"""Events that nobody is told of, after which the place in the log is kept all the same."""
KEPT = 7 * 86400.0
"""Seconds for which what was told is kept."""
FORGET_EVERY = 3600.0


@dataclass
class Dispatcher:
    """Follows the log from where it was left, also by an earlier process.

    Args:
        store: the log, with what is to be told.
        routes: the channels.
        silences: what nobody is told of now; it is held, and told later if it is still so.
    """

    store: Store
    routes: Sequence[Route]
    silences: Silences
    clock: Callable[[], float] = time.time
    _cursor: int | None = None
    _kept: int = 0
    _version: int | None = None
    _forgot: float = field(default=float("-inf"))

    async def run(self) -> None:
        """Decide until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(POLL)

    def look(self) -> None:
        """Decide about everything that happened since the last look."""
        version = self.store.reader.version()
        if version != self._version:
            while events := self.store.reader.events(after=self._place(), limit=EVENTS):
                self._decide(events)
            self._version = version
        self._release()
        if time.monotonic() - self._forgot > FORGET_EVERY:
            self._forgot = time.monotonic()
            self.store.notices.forget(self.clock() - KEPT)

    def _place(self) -> int:
        """The last event that was decided about; at the very first start, the last one there is."""
        if self._cursor is None:
            kept = self.store.reader.state(CURSOR)
            if not isinstance(kept, int):
                kept = self.store.reader.last_event()
                self.store.notices.queue([], kept)
            self._cursor = self._kept = kept
        return self._cursor

    def _decide(self, events: Sequence[Event]) -> None:
        found: list[Notice] = []
        for told in (message(self.store.reader, event) for event in events):
            if told is not None:
                found += self._notices(told, found)
        last = events[-1].id
        if found or last - self._kept > UNTOLD:
            self.store.notices.queue(found, last)
            self._kept = last
        self._cursor = last

    def _notices(self, what: Message, before: Sequence[Notice]) -> list[Notice]:
        told: set[str] = set()
        if what.incident is not None:
            told = self.store.notices.told(what.incident)
            told |= {notice.channel for notice in before if notice.incident == what.incident}
        state, now = "held" if self.silences.why(what.service) else "queued", self.clock()
        return [
            Notice(
                id=0,
                channel=route.name,
                event=what.event,
                incident=what.incident,
                service=what.service,
                kind=what.kind,
                severity=what.severity,
                text=what.text,
                state=state,
                attempts=0,
                created_at=now,
                not_before=route.not_before(what, now),
            )
            for route in self.routes
            if route.takes(what, told)
        ]

    def _release(self) -> None:
        """What was held is told when its service is heard again and its incident is still open; else it is dropped."""
        free, over = [], []
        for notice in self.store.notices.held():
            if self._over(notice):
                over.append(notice)
            elif not self.silences.why(notice.service):
                free.append(notice)
        if free:
            self.store.notices.release(free, self.clock())
        if over:
            self.store.notices.finish(over, "dropped", self.clock())

    def _over(self, notice: Notice) -> bool:
        if notice.incident is None:
            return True
        return self.store.reader.incident(notice.incident).status is IncidentStatus.RESOLVED
