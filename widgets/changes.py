"""The change log: what was proposed, what was decided, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from cockpit.model import Decision, Proposal, ProposalState
from widgets.figures import age
from widgets.line import Ink, Line, cells, column, line
from widgets.rows import Row, Rows
from widgets.signs import PROPOSALS


@dataclass(frozen=True)
class Entry:
    """A proposal with the decision about it."""

    proposal: Proposal
    decision: Decision | None


class Changes(Rows):
    """Every proposal with its outcome, the newest first."""

    TITLE = "Changes"
    HELP = "Everything that was proposed: what was decided, by whom, and what came of it. 'u' proposes to put one back."
    EMPTY_TEXT: ClassVar[str] = (
        "Nothing has been changed yet. Whatever is proposed, by the agent or by you, stands here."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("u", "undo", "undo", id="changes.undo")]

    @dataclass
    class UndoAsked(Message):
        """The operator wants to put back what a proposal did."""

        proposal: Proposal

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._entries: Sequence[Entry] = ()
        self._now = 0.0

    def show(self, entries: Sequence[Entry], now: float) -> None:
        """Show these entries, in this order."""
        self._entries, self._now = entries, now
        self.update()

    def rows(self, room: int) -> Sequence[Row]:
        """One row a proposal; its key is its id."""
        return [Row(entry.proposal.id, self._row(entry, room)) for entry in self._entries]

    def _row(self, entry: Entry, room: int) -> Line:
        proposal = entry.proposal
        sign = PROPOSALS[proposal.state]
        by = entry.decision.by if entry.decision and room >= 76 else ""
        told = room - 3 - 14 - 6 - 15 - 9 - (cells(by) + 2 if by else 0)
        return line(
            (f" {sign.glyph} ", sign.ink),
            column(sign.word, 14, sign.ink),
            column(f"#{proposal.id}", 6, Ink.DIM),
            column(proposal.call.service, 15, Ink.STRONG),
            column(proposal.plan.summary, max(told, 8)),
            (f"  {by}" if by else "", Ink.DIM),
            column(age(self._now - proposal.created_at), 9, Ink.DIM, right=True),
        )

    def action_undo(self) -> None:
        """Ask for the chosen change to be put back, through a proposal of its own."""
        for entry in self._entries:
            if entry.proposal.id == self.chosen:
                if entry.proposal.state is ProposalState.DONE:
                    self.post_message(self.UndoAsked(entry.proposal))
                else:
                    self.notify(f"#{entry.proposal.id} was not carried out: there is nothing to undo.", markup=False)
