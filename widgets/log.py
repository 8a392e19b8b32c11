"""The stream of all events, however many: only the pages in sight are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message

from cockpit.model import Event
from widgets.document import Document
from widgets.line import EMPTY, Ink, Line, fit, line, plain
from widgets.timeline import event_line

PAGE = 200
"""Events that are asked for at once."""
KEPT = 12
"""Pages that are held; the ones farthest from the window go first."""


class Log(Document):
    """Every event, the newest at the bottom, which stays in sight unless the operator has scrolled up.

    Events bear consecutive ids, so that a row is an id and any place in the log is reached at
    once. Rows that are not held are asked for with `Missed`, and given with `page`.
    """

    TITLE = "Log"
    HELP = "Everything that happens, the newest at the bottom. G follows it; / shows only events with a text."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("G,end", "bottom", "follow", key_display="G", id="log.follow")]

    @dataclass
    class Missed(Message):
        """Events are in sight that are not held: those of this page."""

        page: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._last = 0
        self._pages: dict[int, Sequence[Event]] = {}
        self._asked: set[int] = set()
        self._matches: Sequence[Event] | None = None
        self._following = True

    def show(self, last: int) -> None:
        """There are so many events now."""
        grown = last - self._last
        if grown == 0:
            return
        self._pages.pop(self._last // PAGE, None)
        self._last = last
        self.lay_out()

    def page(self, number: int, events: Sequence[Event]) -> None:
        """Here are the events of a page."""
        self._asked.discard(number)
        if self._pages.get(number) == events:
            return
        self._pages[number] = events
        while len(self._pages) > KEPT:
            here = self._page_at(self.scroll_offset.y)
            del self._pages[max(self._pages, key=lambda each: abs(each - here))]
        self.lay_out()

    def matches(self, events: Sequence[Event] | None) -> None:
        """Show only these events; None shows all again."""
        self._matches = events
        self._following = True
        self.lay_out()

    def lay_out(self) -> None:
        """Keep the newest event in sight."""
        super().lay_out()
        if self._following:
            self.action_bottom()

    def _measure(self, room: int) -> None:
        """Nothing is written ahead: rows are, when they come into sight."""
        self._measured = room

    def _resize_body(self) -> None:
        wanted = Size(self._area.width, max(self._rows, 1))
        if wanted != self.virtual_size:
            self.set_reactive(Log.virtual_size, wanted)
            self._scroll_update(wanted)

    @property
    def _rows(self) -> int:
        return self._last if self._matches is None else len(self._matches)

    @staticmethod
    def _page_at(row: int) -> int:
        return row // PAGE

    def _line_at(self, y: int) -> Line:
        row = y + self.scroll_offset.y
        if not self._rows:
            empty = (
                " Nothing has happened yet."
                if self._matches is None
                else " No event holds this text. Press escape to see all."
            )
            return line((empty, Ink.DIM)) if y == 0 else EMPTY
        if row >= self._rows:
            return EMPTY
        event = self._event(row)
        room = self._area.width
        return fit(event_line(event, room, service=room >= 100), room) if event else line(("  …", Ink.DIM))

    def _event(self, row: int) -> Event | None:
        if self._matches is not None:
            return self._matches[row]
        number, offset = divmod(row, PAGE)
        held = self._pages.get(number)
        if held is None or offset >= len(held):
            if number not in self._asked:
                self._asked.add(number)
                self.post_message(self.Missed(number))
            return None
        return held[offset]

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow the newest event while it is in sight."""
        super().watch_scroll_y(old_value, new_value)
        self._following = new_value >= self.max_scroll_y or (self._following and new_value > old_value)

    def copy_text(self) -> str:
        """The events in sight."""
        return "\n".join(plain(each) for each in self._visible() if each)
