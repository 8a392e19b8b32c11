"""What all views have in common: the bars, reading in a thread, the filter line, help and copy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from cockpit.model import CockpitError
from cockpit.screens.desk import Desk
from cockpit.text import counted
from widgets.bars import Hints, Status, Tabs
from widgets.lines import INKS, Lines
from widgets.paint import ExactCompositor
from widgets.rows import Rows

if TYPE_CHECKING:
    from textual.widgets import Input

Show: TypeAlias = "Callable[[], None]"
"""Puts values that have been read on the panes."""

VIEWS = ("Overview", "Incidents", "Changes", "Services", "Tools", "Log")
MODELS = "Models"
"""The view that is there only where models are configured, after the others."""


RESTED = 0.1
"""Seconds without a move after which a cursor is said to rest."""


class View(Screen[None]):
    """One of the views. `panes` says what it is made of, `read` what is read for them, off the event loop."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {*INKS}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (160, "-wide")]  # noqa: RUF012 - Textual declares it so
    NAME: ClassVar[str] = ""
    HELP: ClassVar[str] = ""
    """What the help screen says of this view."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/", id="view.filter"),
        Binding("y", "copy", "copy", id="view.copy"),
        Binding("escape", "back", "back", show=False, id="view.back"),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._compositor = ExactCompositor()
        self.desk = desk
        self._resting: Timer | None = None
        self._views: tuple[str, ...] = VIEWS

    def panes(self) -> Iterable[Widget]:
        """The panes between the bars."""
        return ()

    def read(self) -> Show:
        """Read what the panes show; runs in a thread. Returns what shows it."""
        return lambda: None

    def subject(self) -> int | str | None:
        """What is chosen here that a question could be about: an incident's id, or a service's name."""
        return None

    def compose(self) -> ComposeResult:
        """The bars, and the panes between them."""
        yield Tabs(VIEWS, self.NAME, id="tabs")
        yield Status(id="status")
        yield from self.panes()
        yield Hints(id="hints")

    def on_mount(self) -> None:
        """Paint the last known data at once."""
        self._read_all()()
        self.watch(self, "focused", self._focus_moved, init=False)
        self.call_after_refresh(self._focus_moved)

    def on_screen_resume(self) -> None:
        """Catch up with what happened while another view was on."""
        self.look()

    def look(self) -> None:
        """Read again and show what changed; a later look takes the place of one that still reads."""
        self.run_worker(self._look(), group="look", exclusive=True, exit_on_error=False)

    def look_soon(self) -> None:
        """Read again once the cursor rests: moving through a list sends no detail that nobody reads."""
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(RESTED, self._rested)

    def _rested(self) -> None:
        self._resting = None
        self.look()

    @property
    def settled(self) -> bool:
        """Whether what is on show is what is chosen."""
        return self._resting is None

    async def _look(self) -> None:
        try:
            show = await asyncio.to_thread(self._read_all)
        except CockpitError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if self.is_mounted:
            show()

    def _read_all(self) -> Show:
        seen = self.desk.seen()
        standing = self.desk.standing(seen, self.desk.reader.incidents(unresolved_only=True))
        views = (*VIEWS, MODELS) if self.desk.models else VIEWS
        show = self.read()

        def everything() -> None:
            self.query_one(Tabs).show(standing, views)
            if views != self._views:  # the keys change with them
                self._views = views
                self._hint()
            self.query_one(Status).show(standing)
            show()

        return everything

    def _focus_moved(self) -> None:
        """Name the keys that work here; on a small terminal, give a document that is read all the room."""
        if not self.is_current:
            return
        self.set_class(self.focused is not None and self.focused.id in ("proposal", "detail"), "-reading")
        self._hint()

    def _hint(self) -> None:
        """Fill the key line."""
        keys: dict[str, str] = {}
        for active in self.active_bindings.values():
            if active.binding.show and active.enabled:
                keys.setdefault(active.binding.description, self.app.get_key_display(active.binding))
        self.query_one(Hints).show([(key, what) for what, key in keys.items()])

    def action_copy(self) -> None:
        """Copy the text of the focused pane through the terminal."""
        if isinstance(self.focused, Lines):
            text = self.focused.copy_text()
            self.app.copy_to_clipboard(text)
            self.notify(f"Copied {counted(len(text), 'character')}.", markup=False, timeout=2)

    def action_filter(self) -> None:
        """Ask for a text that rows must contain."""
        if self.query(Rows):
            self.ask_filter(self.query(Rows).first().needle)

    def ask_filter(self, needle: str) -> None:
        """Open the line in which a filter is typed."""
        from textual.widgets import Input

        if not self.query("#filter"):
            self.mount(Input(needle, placeholder="show only what holds this text", id="filter", select_on_focus=False))
        self.call_after_refresh(lambda: self.query_one("#filter").focus())

    def action_back(self) -> None:
        """Close the filter, or go to the first pane."""
        self.query("#filter").remove()
        self.apply_filter("")
        self._to_first_pane()

    def _to_first_pane(self) -> None:
        """Focus what this view starts on."""
        if isinstance(self.AUTO_FOCUS, str):
            self.query_one(self.AUTO_FOCUS).focus()

    def apply_filter(self, needle: str) -> None:
        """Show only rows with that text in the list that this view starts on."""
        if isinstance(self.AUTO_FOCUS, str):
            self.query_one(self.AUTO_FOCUS, Rows).filter(needle)

    @on(Tabs.Picked)
    def _picked(self, message: Tabs.Picked) -> None:
        self.app.switch_mode(message.view.lower())

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        if event.input.id == "filter":
            self.apply_filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, and go back to the list."""
        if event.input.id == "filter":
            event.input.remove()
            self._to_first_pane()
