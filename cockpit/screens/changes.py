"""The changes: the log of what was proposed, decided and done, and the way back."""

from __future__ import annotations

from functools import partial

from cockpit.screens.pair import Pair, no_choice
from cockpit.screens.view import Show
from widgets.case import entry_lines
from widgets.changes import Changes as ChangeList
from widgets.changes import Entry
from widgets.rows import Rows

SHOWN = 200


class Changes(Pair):
    """Every proposal with its decision and outcome, and each one's diff."""

    NAME = "Changes"
    HELP = "The log of every proposal. Choose one to read its diff, its decision and how it was verified."

    def list(self) -> Rows:
        """The log."""
        return ChangeList(id="list")

    def read(self) -> Show:
        """The newest entries, and the chosen one whole."""
        reader = self.desk.reader
        entries = [Entry(proposal, reader.decision(proposal.id)) for proposal in reader.proposals(limit=SHOWN)]
        now = self.desk.clock()
        key = self.wanted([entry.proposal.id for entry in entries])
        case = self.desk.case(("proposal", key)) if key is not None else None
        write = partial(entry_lines, case, case.proposal) if case and case.proposal else no_choice

        def show() -> None:
            self.query_one(ChangeList).show(entries, now)
            self.detail(key, f"Change #{key}" if key else "Change", write)

        return show
