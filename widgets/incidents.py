"""The incidents, those that wait for a person first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from cockpit.model import Incident, IncidentStatus, Proposal
from widgets.figures import age
from widgets.line import Ink, Line, column, line
from widgets.rows import Row, Rows
from widgets.signs import ASKS, INCIDENTS, PROPOSALS, SEVERITIES


class Incidents(Rows):
    """Incidents, and proposals that belong to none, such as the undoing of an old change."""

    TITLE = "Incidents"
    HELP = "What is wrong, those that wait for you first. Enter opens the proposal of the chosen one."
    EMPTY_TEXT: ClassVar[str] = "No incident. When a service is in trouble, it stands here and the agent looks into it."

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._incidents: Sequence[Incident] = ()
        self._orphans: Sequence[Proposal] = ()
        self._asking: Collection[int | None] = ()
        self._now = 0.0

    def show(
        self,
        incidents: Sequence[Incident],
        orphans: Sequence[Proposal],
        now: float,
        asking: Collection[int | None] = (),
    ) -> None:
        """Show these incidents, in this order, after the proposals that belong to no incident.

        Args:
            incidents: what is wrong, and what was.
            orphans: the proposals that belong to none of it.
            now: as of when.
            asking: the incidents about which a model may be asked once a person says so.
        """
        self._incidents, self._orphans, self._now, self._asking = incidents, orphans, now, asking
        unresolved = sum(incident.status is not IncidentStatus.RESOLVED for incident in incidents)
        self.entitle(f"{self.TITLE}  {unresolved} unresolved" if unresolved else self.TITLE)
        self.update()

    def rows(self, room: int) -> Sequence[Row]:
        """One row an incident; its key is its id, or `("proposal", id)`."""
        orphans = [Row(("proposal", each.id), self._orphan(each, room)) for each in self._orphans]
        return [*orphans, *(Row(each.id, self._row(each, room)) for each in self._incidents)]

    def _row(self, incident: Incident, room: int) -> Line:
        sign = INCIDENTS[incident.status]
        if incident.id in self._asking:
            sign = ASKS
        over = incident.status is IncidentStatus.RESOLVED
        name = 14 if room < 70 else 18
        title = incident.title + (" (flapping)" if incident.flapping else "")
        return line(
            (f" {sign.glyph} ", sign.ink),
            column(sign.word, 10, sign.ink),
            column(f"#{incident.id}", 5, Ink.DIM),
            column(incident.service, name, Ink.DIM if over else Ink.STRONG),
            column(f" {title}", max(room - name - 26, 8), Ink.DIM if over else SEVERITIES[incident.severity]),
            column(age(self._now - incident.opened_at), 7, Ink.DIM, right=True),
        )

    def _orphan(self, proposal: Proposal, room: int) -> Line:
        sign = PROPOSALS[proposal.state]
        what = f" undo of #{proposal.undoes}" if proposal.undoes else f" {proposal.plan.summary}"
        return line(
            (f" {sign.glyph} ", sign.ink),
            column("waits", 10, sign.ink),
            column(f"P{proposal.id}", 5, Ink.DIM),
            column(proposal.call.service, 14 if room < 70 else 18, Ink.STRONG),
            (what, Ink.PLAIN),
        )
