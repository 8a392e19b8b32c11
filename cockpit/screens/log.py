"""The log: every event as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.widget import Widget

from cockpit.model import CockpitError, Event
from cockpit.screens.view import Show, View
from widgets.log import PAGE
from widgets.log import Log as LogPane

FOUND_AT_MOST = 2000
"""Events that a filter shows: the newest ones."""
BATCH = 5000


class Log(View):
    """The live stream of events, of any length."""

    NAME = "Log"
    HELP = "Every event as it happens. Nothing in it can be edited unseen: cockpit audit verify proves it."
    AUTO_FOCUS: ClassVar[str | None] = "#log"

    def panes(self) -> Iterable[Widget]:
        """The events."""
        yield LogPane(id="log")

    def read(self) -> Show:
        """How many events there are; the newest page comes with it, so that following needs no second look."""
        last = self.desk.reader.last_event()
        page = max(last - 1, 0) // PAGE
        events = self._events(page)

        def show() -> None:
            pane = self.query_one(LogPane)
            pane.show(last)
            pane.page(page, events)

        return show

    def _events(self, page: int) -> Sequence[Event]:
        return self.desk.reader.events(after=page * PAGE, limit=PAGE)

    @on(LogPane.Missed)
    async def _missed(self, message: LogPane.Missed) -> None:
        events = await asyncio.to_thread(self._events, message.page)
        self.query_one(LogPane).page(message.page, events)

    def action_filter(self) -> None:
        """Ask for a text that events must hold."""
        self.ask_filter("")

    def apply_filter(self, needle: str) -> None:
        """Show only events with that text."""
        self.run_worker(self._find(needle), group="filter", exclusive=True, exit_on_error=False)

    async def _find(self, needle: str) -> None:
        try:
            found = await asyncio.to_thread(self._search, needle.casefold()) if needle else None
        except CockpitError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.query_one(LogPane).matches(found)

    def _search(self, needle: str) -> Sequence[Event]:
        """The newest events that hold the text, oldest first."""
        found: list[Event] = []
        before = self.desk.reader.last_event() + 1
        while before > 1 and len(found) < FOUND_AT_MOST:
            events = self.desk.reader.events(before=before, limit=BATCH)
            if not events:
                break
            hits = [
                each for each in events if needle in f"{each.actor} {each.kind} {each.service} {each.text}".casefold()
            ]
            found = hits + found
            before = events[0].id
        return found[-FOUND_AT_MOST:]
