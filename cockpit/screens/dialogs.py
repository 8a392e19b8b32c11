"""Dialogs: ask for a text, show a text, choose from a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from cockpit.files import data_file
from cockpit.text import clean
from widgets.document import Sheet, Write
from widgets.line import Ink, Line, block, line
from widgets.lines import INKS
from widgets.rows import Row, Rows

BACK: list[BindingType] = [Binding("escape", "dismiss", "back", id="dialog.back")]


def entitle(dialog: ModalScreen[Any], title: str, keys: str) -> None:
    """Write a dialog's title and keys, literally, into its frame."""
    box = dialog.query_one(".box")
    box.border_title, box.border_subtitle = Content(clean(title)), Content(clean(keys))


class Ask(ModalScreen[str]):
    """Asks for one line of text; escape asks nothing and changes nothing."""

    CSS_PATH = data_file("styles/dialogs.tcss")
    COMPONENT_CLASSES: ClassVar[set[str]] = {*INKS}
    BINDINGS: ClassVar[list[BindingType]] = BACK

    def __init__(self, title: str, question: str, placeholder: str = "") -> None:
        super().__init__()
        self._title = title
        self._question = question
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        """The question above a line to answer it in."""
        with Vertical(classes="box -small"):
            yield Sheet(id="question")
            yield Input(placeholder=self._placeholder, id="answer")

    def on_mount(self) -> None:
        """Put the question."""
        sheet = self.query_one("#question", Sheet)
        entitle(self, self._title, "enter: answer   escape: back")
        sheet.can_focus = False
        sheet.show(lambda room: block("", self._question, room, indent=1))
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _answered(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())


class Reading(ModalScreen[None]):
    """Shows a text until escape is pressed."""

    CSS_PATH = data_file("styles/dialogs.tcss")
    COMPONENT_CLASSES: ClassVar[set[str]] = {*INKS}
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark", "dismiss", "back", id="reading.back")]

    def __init__(self, title: str, write: Write) -> None:
        super().__init__()
        self._title = title
        self._write = write

    def compose(self) -> ComposeResult:
        """The text in a box."""
        with Vertical(classes="box"):
            yield Sheet(id="text")

    def on_mount(self) -> None:
        """Show the text."""
        sheet = self.query_one(Sheet)
        entitle(self, self._title, "escape: back")
        sheet.show(self._write)
        sheet.focus()


class Choices(Rows):
    """The entries of a menu."""

    def __init__(self, entries: Sequence[tuple[str, str, str]], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._entries = entries

    def rows(self, room: int) -> Sequence[Row]:
        """A row an entry: its title, and what it concerns."""
        return [Row(key, self._entry(title, about, room)) for key, title, about in self._entries]

    def _entry(self, title: str, about: str, room: int) -> Line:
        from widgets.line import column

        return line((" ", Ink.PLAIN), column(title, max(room - 20, 20)), (" ", Ink.PLAIN), column(about, 17, Ink.DIM))


class Menu(ModalScreen[str]):
    """Chooses one of a few entries by its key.

    Args:
        title: what is chosen.
        entries: key, title, and what it concerns.
        also: a second thing that can be done with an entry: its key press, its name, and what does it.
    """

    CSS_PATH = data_file("styles/dialogs.tcss")
    COMPONENT_CLASSES: ClassVar[set[str]] = {*INKS}
    BINDINGS: ClassVar[list[BindingType]] = BACK

    def __init__(
        self,
        title: str,
        entries: Sequence[tuple[str, str, str]],
        also: tuple[str, str, Callable[[str], None]] | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        self._entries = entries
        self._also = also

    def compose(self) -> ComposeResult:
        """The entries in a box."""
        with Vertical(classes="box"):
            yield Choices(self._entries, id="choices")

    def on_mount(self) -> None:
        """Show the entries."""
        choices = self.query_one(Choices)
        also = f"   {self._also[0]}: {self._also[1]}" if self._also else ""
        entitle(self, self._title, f"enter: choose{also}   escape: back")
        choices.focus()

    def key_c(self) -> None:
        """Do the second thing with the entry under the cursor."""
        chosen = self.query_one(Choices).chosen
        if self._also and isinstance(chosen, str):
            self._also[2](chosen)
            self.dismiss("")

    @on(Rows.Opened)
    def _opened(self, message: Rows.Opened) -> None:
        self.dismiss(str(message.key))
