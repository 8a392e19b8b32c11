"""The changes: the log of what was proposed, decided and done, and the way back."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual import on
from textual.containers import Container
from textual.widget import Widget

from cockpit.files import data_file
from cockpit.model import CockpitError
from cockpit.screens.view import Show, View
from widgets.case import Case, proposal_lines
from widgets.changes import Changes as ChangeList
from widgets.changes import Entry
from widgets.document import Sheet, Write
from widgets.line import Ink, line
from widgets.rows import Rows

SHOWN = 200


class Changes(View):
    """Every proposal with its decision and outcome, and each one's diff."""

    NAME = "Changes"
    HELP = "The log of every proposal. Choose one to read its diff, its decision and how it was verified."
    CSS_PATH = data_file("styles/pair.tcss")
    AUTO_FOCUS: ClassVar[str | None] = "#list"

    def panes(self) -> Iterable[Widget]:
        """The log, and the chosen entry."""
        with Container(classes="pair"):
            yield ChangeList(id="list")
            yield Sheet(id="detail")

    def read(self) -> Show:
        """The newest entries, and the chosen one whole."""
        reader = self.desk.reader
        entries = [Entry(proposal, reader.decision(proposal.id)) for proposal in reader.proposals(limit=SHOWN)]
        now = self.desk.clock()
        key = self._wanted([entry.proposal.id for entry in entries])
        detail = write_proposal(self.desk.case(("proposal", key))) if key is not None else no_choice

        def show() -> None:
            self.query_one(ChangeList).show(entries, now)
            self.detail(key, detail)

        return show

    def _wanted(self, keys: list[int]) -> int | None:
        rows = self.query_one(ChangeList)
        if rows.moved and isinstance(rows.chosen, int):
            return rows.chosen
        return keys[0] if keys else None

    @on(Rows.Chosen, "#list")
    def _chosen(self) -> None:
        self.look()

    @on(Rows.Opened, "#list")
    def _opened(self) -> None:
        self.query_one("#detail").focus()


def write_proposal(case: Case) -> Write:
    """What writes this case of a proposal."""
    if case.proposal is None:
        raise CockpitError("This case has no proposal.")
    return partial(proposal_lines, case, case.proposal)


def no_choice(room: int) -> Iterable[tuple[tuple[str, Ink], ...]]:
    """What stands beside an empty list."""
    return (line((" Nothing chosen.", Ink.DIM)),)
