"""The incidents: all of them, filtered by text or state, each with its whole story."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model import Incident, IncidentStatus
from cockpit.screens.desk import Desk
from cockpit.screens.pair import Pair, no_choice
from cockpit.screens.view import Show
from widgets.case import story_lines
from widgets.incidents import Incidents as IncidentList
from widgets.rows import Rows

SHOWN = 500
FILTERS = ("all", "unresolved", "resolved")


class Incidents(Pair):
    """Every incident, and the whole story of the chosen one."""

    NAME = "Incidents"
    HELP = "All incidents. / shows only those with a text in their row, s those in a state; enter reads one whole."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "state", "state", tooltip="all, unresolved or resolved", id="incidents.state")
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._state = FILTERS[0]

    def list(self) -> Rows:
        """The incidents."""
        return IncidentList(id="list")

    def read(self) -> Show:
        """The incidents in the chosen state, and the story of the chosen one."""
        incidents = self._kept(self.desk.reader.incidents(limit=SHOWN))
        orphans = () if self._state == "resolved" else self.desk.orphans()
        asking, now, state = self.desk.asking(), self.desk.clock(), self._state
        key = self.wanted([*(("proposal", each.id) for each in orphans), *(each.id for each in incidents)])
        story = self.desk.story(key)
        write = partial(story_lines, story) if key is not None else no_choice

        def show() -> None:
            rows = self.query_one(IncidentList)
            rows.show(incidents, orphans, now, asking)
            if state != FILTERS[0]:
                rows.entitle(f"Incidents  {len(incidents)} {state}")
            self.detail(key, f"Incident #{key}" if isinstance(key, int) else "Incident", write)

        return show

    def subject(self) -> int | str | None:
        """The incident that is shown whole."""
        return self.shown if isinstance(self.shown, int) else None

    def _kept(self, incidents: Sequence[Incident]) -> Sequence[Incident]:
        if self._state == "all":
            return incidents
        wanted = self._state == "resolved"
        return [each for each in incidents if (each.status is IncidentStatus.RESOLVED) == wanted]

    def action_state(self) -> None:
        """Show the incidents of the next state: all, unresolved, resolved."""
        self._state = FILTERS[(FILTERS.index(self._state) + 1) % len(FILTERS)]
        self.look()
