"""The overview: services, incidents, the timeline of the chosen one, and the proposal that waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from cockpit.files import data_file
from cockpit.model import CockpitError, Incident, IncidentStatus
from cockpit.screens.view import Show, View
from widgets.bars import Headline, Standing
from widgets.figures import plural
from widgets.incidents import Incidents
from widgets.line import Ink
from widgets.proposal import Case, ProposalPane
from widgets.rows import Rows
from widgets.services import Services
from widgets.timeline import Timeline

SHOWN = 50


class Overview(View):
    """What needs a person, and what would be done about it."""

    NAME = "Overview"
    HELP = "Starts on what needs you. Choose an incident, read what was found, and answer its proposal with a or d."
    CSS_PATH = data_file("styles/overview.tcss")
    AUTO_FOCUS = "#incidents"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "answer", "to the proposal", id="overview.answer"),
        Binding("d", "answer", show=False, id="overview.deny"),
    ]

    def panes(self) -> Iterable[Widget]:
        """Two columns, or one below the other where the terminal is narrow."""
        yield Headline(id="headline")
        with Horizontal(id="columns"):
            with Vertical(id="left"):
                yield Services(id="services")
                yield Incidents(id="incidents")
            with Vertical(id="right"):
                yield Timeline(id="timeline")
                yield ProposalPane(self.desk.clock, id="proposal")

    def read(self) -> Show:
        """Services, incidents, and all that stands around the chosen one."""
        seen = self.desk.seen()
        incidents = self.desk.reader.incidents(limit=SHOWN)
        orphans = self.desk.orphans()
        standing = self.desk.standing(seen, incidents)
        now = self.desk.clock()

        def show() -> None:
            self.query_one(Services).show(seen, now)
            self.query_one(Incidents).show(incidents, orphans, now)
            self.query_one(Headline).show(*headline(self.desk.since, standing, incidents))
            self._show_chosen()

        return show

    def _show_chosen(self) -> None:
        """The case of the chosen incident; while the proposal has the focus nothing takes its place unasked."""
        key = self.query_one(Incidents).chosen
        if self.query_one(ProposalPane).has_focus and self.desk.chosen is not None:
            key = self.desk.chosen
        self.desk.chosen = key
        case, events = self._case(key)
        self.query_one(Timeline).show(key, events)
        self.query_one(ProposalPane).show(case)
