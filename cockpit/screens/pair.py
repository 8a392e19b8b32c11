"""Views that are a list and what is chosen in it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.containers import Container
from textual.widget import Widget

from cockpit.files import data_file
from cockpit.screens.desk import Desk
from cockpit.screens.view import View
from widgets.document import Sheet, Write
from widgets.line import Ink, Line, line
from widgets.rows import Rows


class Pair(View):
    """A list, and beside it the chosen entry whole."""

    CSS_PATH = data_file("styles/pair.tcss")
    AUTO_FOCUS: ClassVar[str | None] = "#list"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.shown: Hashable = None
        """The key of the entry that is shown whole."""

    def list(self) -> Rows:
        """The list, with the id `list`."""
        raise NotImplementedError

    def panes(self) -> Iterable[Widget]:
        """The list and the chosen entry."""
        with Container(classes="pair"):
            yield self.list()
            yield Sheet(id="detail")

    def wanted(self, keys: Sequence[Hashable]) -> Hashable:
        """The key of the entry to show whole: the operator's choice, else the first."""
        rows = self.query_one("#list", Rows)
        if (rows.moved or rows.needle) and rows.chosen is not None:
            return rows.chosen
        return keys[0] if keys else None

    def detail(self, key: Hashable, title: str, write: Write) -> None:
        """Show an entry whole; the scroll position stays while it is the same one."""
        sheet = self.query_one("#detail", Sheet)
        sheet.entitle(title)
        if key == self.shown:
            sheet.renew(write)
        else:
            sheet.show(write)
        self.shown = key

    @on(Rows.Chosen, "#list")
    def _chosen(self) -> None:
        self.look_soon()

    @on(Rows.Opened, "#list")
    def _opened(self, message: Rows.Opened) -> None:
        self.open(message.key)

    def open(self, key: Hashable) -> None:
        """The operator pressed enter on an entry: read it whole."""
        self.query_one("#detail").focus()


def no_choice(room: int) -> Iterable[Line]:
    """What stands beside an empty list."""
    return (line((" Nothing chosen.", Ink.DIM)),)
