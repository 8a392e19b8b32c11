"""The services: each one's samples as plots, its config and what depends on it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget

from cockpit.files import data_file
from cockpit.screens.desk import Desk
from cockpit.screens.pair import no_choice
from cockpit.screens.view import Show, View
from widgets.document import Sheet
from widgets.facts import fact_lines
from widgets.plot import Plot
from widgets.rows import Rows
from widgets.samples import Samples
from widgets.services import Seen
from widgets.services import Services as ServiceList

SPANS = (("1 h", 3600.0), ("24 h", 86400.0), ("7 d", 604800.0))


class Services(View):
    """Every service, with the course of what its probe measures."""

    NAME = "Services"
    HELP = "Choose a service, then one of its samples to see its course; [ and ] go between an hour, a day and a week."
    CSS_PATH = data_file("styles/services.tcss")
    AUTO_FOCUS: ClassVar[str | None] = "#list"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "left_square_bracket",
            "span(-1)",
            "shorter",
            key_display="[",
            tooltip="a shorter span",
            id="services.shorter",
        ),
        Binding(
            "right_square_bracket", "span(1)", "longer", key_display="]", tooltip="a longer span", id="services.longer"
        ),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._span = 0

    def panes(self) -> Iterable[Widget]:
        """The services; the chosen one's plot, samples and facts."""
        with Container(classes="services"):
            yield ServiceList(id="list")
            with Vertical(id="right"):
                yield Plot(id="plot")
                yield Samples(id="samples")
                yield Sheet(id="facts")

    def read(self) -> Show:
        """The services, and the chosen sample over the chosen span."""
        desk, now = self.desk, self.desk.clock()
        seen = desk.seen()
        chosen = self._service(seen)
        samples = desk.samples(chosen) if chosen else ()
        name = chosen.watched.service.name if chosen else ""
        sample = self._sample([each.name for each in samples])
        word, seconds = SPANS[self._span]
        points = desk.reader.samples(name, sample, now - seconds, now) if sample else []
        facts = desk.facts(seen, name)
        about = next((each.help for each in samples if each.name == sample), "")

        def show() -> None:
            self.query_one(ServiceList).show(seen, now)
            self.query_one(Samples).show(samples)
            self.query_one(Plot).show(
                f"{name}  {sample}  {word}" if sample else "Plot", about, points, now - seconds, now
            )
            self.query_one("#facts", Sheet).renew(partial(fact_lines, facts, now) if facts else no_choice)

        return show

    def subject(self) -> int | str | None:
        """The service under the cursor."""
        chosen = self.query_one(ServiceList).chosen
        return chosen if isinstance(chosen, str) else None

    def _service(self, seen: Iterable[Seen]) -> Seen | None:
        """The service under the cursor, else the one that was opened elsewhere, else the first on the list."""
        rows = self.query_one(ServiceList)
        by_name = {each.watched.service.name: each for each in seen}
        for name in (rows.chosen if rows.moved else "", self.desk.service, rows.chosen):
            if isinstance(name, str) and name in by_name:
                return by_name[name]
        return next(iter(by_name.values()), None)

    def _sample(self, names: list[str]) -> str:
        chosen = self.query_one(Samples).chosen
        if isinstance(chosen, str) and chosen in names:
            return chosen
        return names[0] if names else ""

    def on_mount(self) -> None:
        """Name the facts; Textual calls what the view itself does on top of this."""
        self.query_one("#facts", Sheet).entitle("Facts")

    def on_screen_resume(self, _event: events.ScreenResume) -> None:
        """Put the cursor on the service that was opened elsewhere."""
        if self.desk.service:
            name, self.desk.service = self.desk.service, ""
            self.call_after_refresh(self.query_one(ServiceList).choose, name)

    @on(Rows.Chosen)
    def _chosen(self) -> None:
        self.look_soon()

    @on(Rows.Opened, "#list")
    def _opened(self) -> None:
        self.query_one(Samples).focus()

    def action_span(self, by: int) -> None:
        """Plot a longer or a shorter span."""
        self._span = min(max(self._span + by, 0), len(SPANS) - 1)
        self.look()
