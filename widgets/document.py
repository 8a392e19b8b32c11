"""A pane of text that is read from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, TypeAlias

from textual.binding import Binding, BindingType

from widgets.line import Line
from widgets.lines import Lines

Write: TypeAlias = "Callable[[int], Iterable[Line]]"
"""Writes a text for so many cells of width."""


class Document(Lines):
    """Text that scrolls by keys, line by line or window by window."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "lines(1)", "down", show=False, id="document.down"),
        Binding("k,up", "lines(-1)", "up", show=False, id="document.up"),
        Binding("space,ctrl+d,pagedown", "page(1)", "page down", show=False, id="document.page_down"),
        Binding("ctrl+u,pageup", "page(-1)", "page up", show=False, id="document.page_up"),
        Binding("g,home", "top", "top", show=False, id="document.top"),
        Binding("G,end", "bottom", "bottom", show=False, id="document.bottom"),
    ]

    def action_lines(self, by: int) -> None:
        """Scroll by so many lines."""
        self.scroll_lines(by)

    def action_page(self, by: int) -> None:
        """Scroll by so many windows."""
        self.scroll_lines(by * max(self.window - 1, 1))

    def action_top(self) -> None:
        """Scroll to the first line."""
        self.scroll_to(y=0, animate=False)

    def action_bottom(self) -> None:
        """Scroll to the last line."""
        self.scroll_to(y=self.max_scroll_y, animate=False)


class Sheet(Document):
    """A document written by a function that is told how wide it may be."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._write: Write = _nothing

    def show(self, write: Write) -> None:
        """Show what the function writes, from the top."""
        self._write = write
        self.update()
        self.action_top()

    def renew(self, write: Write) -> None:
        """Show what the function writes now; the scroll position stays."""
        self._write = write
        self.update()

    def body(self, room: int) -> Sequence[Line]:
        """What the function writes for this width."""
        return list(self._write(room))


def _nothing(room: int) -> Iterable[Line]:
    return ()
