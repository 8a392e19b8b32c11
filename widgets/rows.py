"""A list with a cursor that stays on its row when the list changes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from widgets.line import Ink, Line, line, plain, wrap
from widgets.lines import CURSORS, Lines


@dataclass(frozen=True)
class Row:
    """One entry of a list."""

    key: Hashable
    """What stays the same when the row's text changes; None for a heading, which cannot be chosen."""
    line: Line


class Rows(Lines):
    """A list of rows, one of which is chosen.

    The choice follows the row's key, not its place: nothing that arrives moves it. Until the
    operator has moved the cursor it rests on the first row.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False, id="rows.down"),
        Binding("k,up", "move(-1)", "up", show=False, id="rows.up"),
        Binding("g,home", "first", "first", show=False, id="rows.first"),
        Binding("G,end", "last", "last", show=False, id="rows.last"),
        Binding("ctrl+d,pagedown", "page(1)", "page down", show=False, id="rows.page_down"),
        Binding("ctrl+u,pageup", "page(-1)", "page up", show=False, id="rows.page_up"),
        Binding("enter", "open", "open", key_display="enter", id="rows.open"),
    ]
    EMPTY_TEXT: ClassVar[str] = "Nothing here."
    """What stands in an empty list: why it is empty, and what to do."""

    class Told(Message):
        """Something about one row of a list."""

        def __init__(self, rows: Rows, key: Hashable) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> Rows:
            """The list whose row it is."""
            return self.rows

    class Chosen(Told):
        """The operator, or the first data, put the cursor on another row."""

    class Opened(Told):
        """The operator pressed enter on a row, or clicked it twice."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: Sequence[Row] = ()
        self._cursor = 0
        self.chosen: Hashable = None
        """The key of the row under the cursor; None in an empty list."""
        self.moved = False
        """Whether the operator has chosen a row; until then the first one is."""
        self.needle = ""

    def rows(self, room: int) -> Sequence[Row]:
        """Every row, for so many cells of width."""
        return ()

    def body(self, room: int) -> Sequence[Line]:
        """The rows that pass the filter, or a sentence why there are none."""
        kept = [row for row in self.rows(room) if self._passes(row)]
        self._rows = kept
        if not kept:
            empty = f"Nothing matches '{self.needle}'. Press escape to see all." if self.needle else self.EMPTY_TEXT
            self._point(0)
            return [line((f" {piece}", Ink.DIM)) for piece in wrap(empty, room - 2)]
        self._point(self._place())
        return [row.line for row in kept]

    def filter(self, needle: str) -> None:
        """Show only rows that contain the text, in any case."""
        self.needle = needle
        self.update()
        self.refresh()

    def choose(self, key: Hashable) -> None:
        """Put the cursor on the row of that key, if it is there."""
        for index, row in enumerate(self._rows):
            if row.key == key:
                self._go(index)

    def copy_text(self) -> str:
        """The text of the chosen row."""
        return plain(self._rows[self._cursor].line).strip() if self._rows else ""

    def update(self) -> None:
        """Show the present rows; the cursor stays on its row."""
        before = self._cursor
        super().update()
        if self._cursor != before:
            self.refresh()
            if not self.moved:
                self._reveal()

    def _passes(self, row: Row) -> bool:
        return not self.needle or (row.key is not None and self.needle.casefold() in plain(row.line).casefold())

    def _place(self) -> int:
        """Where the chosen row stands now, or the nearest one that can be chosen."""
        if self.moved:
            for index, row in enumerate(self._rows):
                if row.key == self.chosen:
                    return index
        start = min(self._cursor, len(self._rows) - 1) if self.moved else 0
        return next((i for i in range(start, len(self._rows)) if self._rows[i].key is not None), start)

    def _point(self, index: int) -> None:
        self._cursor = index
        key = self._rows[index].key if index < len(self._rows) else None
        if key != self.chosen:
            self.chosen = key
            self.post_message(self.Chosen(self, key))

    def _go(self, index: int) -> None:
        """Move the cursor to that row, or the next one in its direction that can be chosen."""
        if not self._rows:
            return
        step = 1 if index >= self._cursor else -1
        index = min(max(index, 0), len(self._rows) - 1)
        while 0 <= index < len(self._rows) and self._rows[index].key is None:
            index += step
        if not 0 <= index < len(self._rows):
            return
        self.moved = True
        if index != self._cursor:
            self._refresh_row(self._cursor)
            self._point(index)
            self._refresh_row(index)
            self._reveal()

    def _refresh_row(self, index: int) -> None:
        self.refresh_lines(index + len(self._head))

    def _reveal(self) -> None:
        top = self.scroll_offset.y
        if self._cursor <= self._first():
            self.scroll_to(y=0, animate=False)
        elif self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + self.window:
            self.scroll_to(y=self._cursor - self.window + 1, animate=False)

    def _first(self) -> int:
        return next((i for i, row in enumerate(self._rows) if row.key is not None), 0)

    def render_line(self, y: int) -> Strip:
        """The row as it goes to the terminal; the one under the cursor has its own ground."""
        if not self._rows or self.index_at(y) != self._cursor or not self._in_body(y):
            return super().render_line(y)
        ground = self.screen.get_component_styles(CURSORS[0] if self.has_focus else CURSORS[1]).rich_style
        return self._strip(self._line_at(y), Style.from_color(ground.color, ground.bgcolor) + Style(bold=ground.bold))

    def _in_body(self, y: int) -> bool:
        return len(self._head) <= y < self._area.height - len(self._foot)

    def on_focus(self) -> None:
        """Show the cursor as live."""
        self._refresh_row(self._cursor)

    def on_blur(self) -> None:
        """Show the cursor as resting."""
        self._refresh_row(self._cursor)

    def on_click(self, event: events.Click) -> None:
        """Choose the row that was clicked; open it on the second click."""
        offset = event.get_content_offset(self)
        if offset is None or not self._in_body(offset.y):
            return
        index = self.index_at(offset.y)
        if 0 <= index < len(self._rows):
            self._go(index)
            if event.chain == 2:
                self.action_open()

    def action_move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        self._go(self._cursor + by)

    def action_first(self) -> None:
        """Go to the first row."""
        self._go(0)

    def action_last(self) -> None:
        """Go to the last row."""
        self._go(len(self._rows) - 1)

    def action_page(self, by: int) -> None:
        """Move the cursor by so many windows."""
        self._go(self._cursor + by * max(self.window - 1, 1))

    def action_open(self) -> None:
        """Open the chosen row."""
        if self.chosen is not None:
            self.post_message(self.Opened(self, self.chosen))
