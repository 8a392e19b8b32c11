"""The overview: services, incidents, the timeline of the chosen one, and the proposal that waits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from cockpit.model import Incident, IncidentStatus, Level
from cockpit.screens.view import Show, View
from cockpit.text import counted
from widgets.bars import Headline, Standing
from widgets.incidents import Incidents
from widgets.line import Ink
from widgets.proposal import ProposalPane
from widgets.rows import Rows
from widgets.services import Services
from widgets.timeline import Timeline

SHOWN = 50


class Overview(View):
    """What needs a person, and what would be done about it."""

    NAME = "Overview"
    HELP = "Starts on what needs you. Choose an incident, read what was found, and answer its proposal with a or d."
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
                yield Timeline(id="timeline")
            yield ProposalPane(self.desk.clock, id="proposal")

    def read(self) -> Show:
        """Services, incidents, and all that stands around the chosen one."""
        desk = self.desk
        seen, incidents, orphans = desk.seen(), desk.reader.incidents(limit=SHOWN), desk.orphans()
        standing = desk.standing(seen, incidents)
        asking, now = desk.asking(), desk.clock()
        alone = [("proposal", each.id) for each in orphans]
        waiting = [each.id for each in incidents if each.status is IncidentStatus.WAITING or each.id in asking]
        key = self._wanted([*alone, *(each.id for each in incidents)], [*alone, *waiting])
        case, events = desk.case(key), desk.timeline(key)

        def show() -> None:
            desk.chosen = key
            self.query_one(Services).show(seen, now)
            self.query_one(Incidents).show(incidents, orphans, now, asking)
            self.query_one(Headline).show(*headline(desk.since, standing, incidents, asking))
            self.query_one(Timeline).show(key, events)
            self.query_one(ProposalPane).show(case)

        return show

    def subject(self) -> int | str | None:
        """The incident whose case is on show."""
        return self.desk.chosen if isinstance(self.desk.chosen, int) else None

    def _wanted(self, keys: Sequence[object], waiting: Sequence[object]) -> object:
        """Whose case to show: what the operator reads or has chosen; else what waits for them; else the first."""
        incidents, pane = self.query_one(Incidents), self.query_one(ProposalPane)
        if pane.has_focus and self.desk.chosen is not None and (pane.waits or not waiting):
            return self.desk.chosen
        if incidents.moved and incidents.chosen in keys:
            return incidents.chosen
        return keys[0] if keys else None

    @on(Rows.Chosen, "#incidents")
    def _chosen(self) -> None:
        self.look_soon()

    @on(Rows.Opened, "#incidents")
    def _opened(self) -> None:
        self.query_one(ProposalPane).focus()

    @on(Rows.Opened, "#services")
    def _service(self, message: Rows.Opened) -> None:
        self.desk.service = str(message.key)
        self.app.switch_mode("services")

    def action_answer(self) -> None:
        """Go to the proposal; only a key pressed there answers it."""
        pane = self.query_one(ProposalPane)
        if not pane.waits:
            self.notify("Nothing waits for a decision here.", markup=False, timeout=3)
        pane.focus()


def headline(
    since: str, standing: Standing, incidents: Sequence[Incident], asking: Collection[int | None] = ()
) -> tuple[str, Ink]:
    """What needs the operator, in one sentence; all is calm only where everything was probed lately."""
    if since:
        return since, Ink.STRONG
    for each, text, ink in _who_waits(incidents, asking):
        return f"{each.service} {text}: {each.cause or each.title}", ink
    if None in asking:
        return "A question waits for your yes before a model is asked: press 7.", Ink.WARN
    if standing.waiting:
        waiting = counted(
            standing.waiting, "proposal outside any incident waits", "proposals outside any incident wait"
        )
        return f"{waiting} for your answer.", Ink.WARN
    working = [each for each in incidents if each.status is not IncidentStatus.RESOLVED]
    return (
        (f"The agent works on {counted(len(working), 'incident')}.", Ink.PLAIN)
        if working
        else _without_trouble(standing)
    )


def _who_waits(incidents: Sequence[Incident], asking: Collection[int | None]) -> Iterator[tuple[Incident, str, Ink]]:
    """The incidents that need a person, the nearest to its end first, with what they need."""
    for each in incidents:
        if each.status is IncidentStatus.WAITING:
            yield each, "waits for your answer", Ink.WARN
    for each in incidents:
        if each.id in asking:
            yield each, "asks whether a model may be asked", Ink.WARN
    for each in incidents:
        if each.status is IncidentStatus.ESCALATED:
            yield each, "needs you", Ink.BAD


def _without_trouble(standing: Standing) -> tuple[str, Ink]:
    services = sum(standing.levels.values())
    if not services:
        return "No service is watched yet. Leave with q, then run: cockpit init", Ink.DIM
    if not standing.fresh:
        return "Some services have not been probed lately: what is shown may be old.", Ink.WARN
    if standing.levels.get(Level.UP, 0) == services:
        return f"All calm: {counted(services, 'service')} up.", Ink.GOOD
    return "No incident is open, and not every service is up.", Ink.WARN
