"""The Textual app: its views and keys, and the wires from the store to the panes and from the panes to the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar

from rich.console import RenderableType
from textual import events
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from cockpit import terminal
from cockpit.files import data_file
from cockpit.model import CockpitError
from cockpit.screens import intents
from cockpit.screens.answers import Answers
from cockpit.screens.desk import Desk
from cockpit.screens.overview import Overview
from cockpit.screens.view import MODELS, VIEWS, View
from widgets.figures import moment
from widgets.frame import Frame, FrameUpdate
from widgets.literal import Literal

if TYPE_CHECKING:
    from cockpit.engine import Engine

POLL, REST = 0.25, 1.0
"""Seconds between two looks at the store's version: while something goes on, and once all has been quiet."""
QUIET = 10.0
"""Seconds without an event after which all is quiet."""
PACE = 2.0
"""Seconds between two looks at what was written without an event: readings come all the time, and can wait."""
AGED = 10.0
"""Seconds after which a view is brought up to date although nothing was written: ages grow, probes get old."""


class CockpitApp(Answers):
    """The cockpit on a terminal.

    Args:
        desk: the store, already open for reading, so that the first paint shows the last known data.
        open_engine: makes the engine; called in a thread after the first paint. None shows the store alone.
    """

    TITLE = "cockpit"
    CSS_PATH: ClassVar[list[str | PurePath]] = [data_file("styles/app.tcss"), data_file("styles/overview.tcss")]
    DEFAULT_MODE = "overview"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(i), f"view('{name.lower()}')", name, show=False, id=f"app.{name.lower()}")
            for i, name in enumerate(VIEWS, 1)
        ),
        Binding("7", "models", "Models", show=False, id="app.models"),
        Binding("i", "ask", "ask", tooltip="ask a model about what is chosen", id="app.ask"),
        Binding("f", "freeze", "freeze", tooltip="freeze all changes, or allow them again", id="app.freeze"),
        Binding("F", "faults", "faults", tooltip="inject a fault (demo only)", id="app.faults"),
        Binding(
            "colon,ctrl+p",
            "command_palette",
            "palette",
            key_display=":",
            tooltip="everything by name",
            id="app.palette",
        ),
        Binding("question_mark", "help", "help", key_display="?", show=False, tooltip="this help", id="app.help"),
        Binding("ctrl+t", "theme", "theme", show=False, tooltip="light or dark", id="app.theme"),
        Binding("ctrl+l", "redraw", "redraw", show=False, tooltip="write the whole screen again", id="app.redraw"),
        Binding("q", "quit", "quit", id="app.quit"),
    ]

    def __init__(self, desk: Desk, open_engine: Callable[[], Engine] | None = None) -> None:
        super().__init__(desk)
        self.driver_class = terminal.Terminal
        self._open_engine = open_engine
        self._version = -1
        self._event = 0
        self._aged = self._calm = 0.0
        self._complaint = ""
        self._frame = Frame()
        self.animation_level = "none"
        self._filters.append(Literal())
        for name in VIEWS[1:]:
            self.add_mode(name.lower(), partial(_view, name, desk))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action is there: what has to do with models is only where some are configured."""
        return self.desk.models is not None if action in ("models", "ask") else True

    def get_default_screen(self) -> Screen[None]:
        """The overview; a mode of its own would have all styles parsed twice."""
        return Overview(self.desk)

    def on_ready(self) -> None:
        """Start what lies behind the screen, now that it has been painted."""
        self.add_mode(self.DEFAULT_MODE, self.get_default_screen)
        self.set_timer(POLL, self._poll)
        if self._open_engine:
            self.run_worker(self._serve, thread=True, exit_on_error=False, group="engine")

    def _serve(self) -> None:
        """Open the engine and run the agent in a loop of its own, so that nothing it does can hold up a key."""
        assert self._open_engine is not None
        try:
            engine = self._open_engine()
        except CockpitError as error:
            self.call_from_thread(self.exit, str(error), 1)
            return
        self.call_from_thread(self._opened, engine)
        try:
            asyncio.run(engine.run())
        except CockpitError as error:
            self.call_from_thread(self.tell, f"The agent has stopped: {error}", "error")

    def _opened(self, engine: Engine) -> None:
        self.desk.engine = engine
        if self.desk.models:
            self.add_mode(MODELS.lower(), partial(_view, MODELS, self.desk))
        self.run_worker(self._look_back(engine), group="intents", exit_on_error=False)
        self.catch_up()

    async def _look_back(self, engine: Engine) -> None:
        """Say what happened since the operator last looked."""
        from cockpit.agent.communicator import happened_since

        looked = await engine.looked()
        since = await asyncio.to_thread(happened_since, self.desk.reader, looked)
        if since and looked is not None:
            self.desk.since = f"Since you last looked ({moment(looked, self.desk.clock())}): {since}"
        self.catch_up()

    def on_unmount(self) -> None:
        """End the agent's loop."""
        if self.desk.engine:
            self.desk.engine.stop()

    def _poll(self) -> None:
        if terminal.gone():
            self.exit(return_code=1)
            return
        self._look(self._pause)
        self.set_timer(self._pause, self._poll)

    @property
    def _pause(self) -> float:
        """Seconds from the last look to the next."""
        return POLL if self._calm < QUIET else REST

    def _look(self, after: float) -> None:
        """Bring the view up to date where something was written, so many seconds after the last look."""
        self._aged += after
        self._calm += after
        try:
            version = self.desk.reader.version()
            event = self._event if version == self._version else self.desk.reader.last_event()
        except CockpitError as error:
            self._complain(str(error))
            return
        if event != self._event:
            wait = self._calm = 0.0
        else:
            wait = PACE if version != self._version else AGED
        if self._aged >= wait:
            self._version, self._event, self._aged, self._complaint = version, event, 0.0, ""
            self.catch_up()

    def _complain(self, what: str) -> None:
        """Say once that the store cannot be read; what is shown stays."""
        if what != self._complaint:
            self._complaint = what
            self.tell(what, "error")

    def action_view(self, name: str) -> None:
        """Show the view of that name."""
        if len(self.screen_stack) == 1:
            self.switch_mode(name)

    def action_models(self) -> None:
        """Show the models: what each did, and what it cost."""
        self.action_view(MODELS.lower())

    def action_freeze(self) -> None:
        """Freeze all changes at once; allowing them again asks first."""
        if not self.desk.reader.frozen():
            self.do(intents.freeze(self.desk, True))
            return
        from cockpit.screens.dialogs import Menu

        entries = (("", "Leave them frozen", ""), ("thaw", "Allow changes again", ""))
        self.push_screen(Menu("Changes are frozen", entries), self._thaw)

    def _thaw(self, answer: str | None) -> None:
        if answer == "thaw":
            self.do(intents.freeze(self.desk, False))

    def action_faults(self) -> None:
        """Choose a fault of the demo's lab, to inject or to clear."""
        from cockpit.screens.dialogs import Menu

        lab = self.desk.engine.lab if self.desk.engine else None
        if lab is None:
            self.tell("Faults can be injected in the demo only: cockpit --demo", "information")
            return
        entries = [(fault.name, fault.title, fault.service) for fault in lab.faults]
        also = ("c", "clear", lambda name: self.do(intents.clear(self.desk, name)))
        self.push_screen(Menu("Faults", entries, also), self._fault)

    def _fault(self, name: str | None) -> None:
        if name:
            self.do(intents.inject(self.desk, name))

    def action_help(self) -> None:
        """Show what this view is for, and its keys."""
        if self.view and len(self.screen_stack) == 1:
            from cockpit.screens.dialogs import Reading
            from cockpit.screens.help import help_of

            self.push_screen(Reading("Help", partial(help_of, self.view)))

    def on_resize(self, _event: events.Resize) -> None:
        """The terminal has another size, or has just come back: what stands on it is not known."""
        if self._frame.forget():
            self.refresh()

    def action_redraw(self) -> None:
        """Write the whole screen again, for somebody else wrote on the terminal."""
        self._frame.forget()
        self.refresh()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Write what differs from what stands on the terminal; all that is written for a frame comes through here."""
        if isinstance(renderable, LayoutUpdate | ChopsUpdate):
            update = FrameUpdate(self._frame, renderable)
            super()._display(screen, update)  # type: ignore[arg-type]  # a CompositorUpdate is no console renderable
        else:
            super()._display(screen, renderable)

    def action_theme(self) -> None:
        """Go from dark to light, or back."""
        self.theme = "textual-dark" if self.theme == "textual-light" else "textual-light"

    def simulate_key(self, key: str) -> None:
        """Do nothing: a key is pressed on a keyboard, or it is none."""

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers; nothing in it decides about a proposal."""
        for number, name in enumerate(VIEWS, 1):
            yield SystemCommand(name, f"Show this view ({number})", partial(self.action_view, name.lower()))
        if self.desk.models:
            yield SystemCommand(MODELS, f"Show this view ({len(VIEWS) + 1})", self.action_models)
            yield SystemCommand("Ask", "Ask a model about anything; it looks, and changes nothing", self.ask)
        yield SystemCommand("Freeze", "Freeze all changes, or allow them again (f)", self.action_freeze)
        yield SystemCommand("Faults", "Inject a fault into the demo's lab (F)", self.action_faults)
        yield SystemCommand("Help", "What this view is for, and its keys (?)", self.action_help)
        yield SystemCommand("Theme", "Dark or light (ctrl+t)", self.action_theme)
        yield SystemCommand("Redraw", "Write the whole screen again (ctrl+l)", self.action_redraw)
        yield SystemCommand("Quit", "Leave cockpit (q)", self.action_quit)


def _view(name: str, desk: Desk) -> View:
    """The view of that name; its module is loaded when it is first shown."""
    from importlib import import_module

    view = getattr(import_module(f"cockpit.screens.{name.lower()}"), name)(desk)
    assert isinstance(view, View)
    return view
