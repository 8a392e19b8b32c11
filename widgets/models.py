"""The models: what each did and cost, how much of the budget is used, and what was asked lately."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cockpit.model.accounts import Budget, ModelStanding
from cockpit.model.inquiries import CallOutcome, Inquiry, ModelCall
from cockpit.text import counted
from widgets.figures import age, dollars, duration, moment
from widgets.inquiry import STATES
from widgets.line import Ink, Line, block, column, line
from widgets.rows import Row, Rows

BAR = 20
"""Cells of a bar that shows how much of a budget is used."""
NEARLY = 0.8
"""Share of a budget from which on its bar warns."""


class Models(Rows):
    """Every model under the budget, and below them what was asked lately."""

    TITLE = "Models"
    HELP = (
        "What each model did: calls, cost, mean time of an answer, and how many of its diagnoses were confirmed. Below "
        "them, what was asked lately; enter shows an inquiry as it goes."
    )

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._budgets: Sequence[Budget] = ()
        self._models: Sequence[ModelStanding] = ()
        self._inquiries: Sequence[Inquiry] = ()
        self._now = 0.0

    def show(
        self, budgets: Sequence[Budget], models: Sequence[ModelStanding], inquiries: Sequence[Inquiry], now: float
    ) -> None:
        """Show these budgets and models, and these inquiries, the newest first."""
        self._budgets, self._models, self._inquiries, self._now = budgets, models, inquiries, now
        self.update()

    def head(self, room: int) -> Sequence[Line]:
        """How much of each budget is used."""
        return [budget_line(each) for each in self._budgets]

    def rows(self, room: int) -> Sequence[Row]:
        """A row a model, and a row an inquiry; its key says which."""
        models = [Row(("model", each.name), _model(each, room)) for each in self._models]
        asked = [Row(("inquiry", each.id), self._inquiry(each, room)) for each in self._inquiries]
        return [*models, Row(None, line((" Asked lately", Ink.HEAD))), *asked] if asked else models

    def _inquiry(self, inquiry: Inquiry, room: int) -> Line:
        sign = STATES[inquiry.state]
        about = f"#{inquiry.incident}" if inquiry.incident is not None else inquiry.service or "anything"
        what = inquiry.question or f"why? {inquiry.outcome}".rstrip()
        return line(
            (f" {sign.glyph} ", sign.ink),
            column(about, 14, Ink.STRONG),
            column(what, max(room - 26, 8)),
            column(age(self._now - inquiry.created_at), 8, Ink.DIM, right=True),
        )


def budget_line(budget: Budget) -> Line:
    """A budget with what is used of it, in figures and as a bar."""
    ink = Ink.BAD if budget.used >= 1.0 else Ink.WARN if budget.used >= NEARLY else Ink.GOOD
    filled = round(min(budget.used, 1.0) * BAR)
    return line(
        column(f" {budget.name}", 8, Ink.LABEL),
        column(f"{dollars(budget.spent)} of {dollars(budget.limit)}", 19),
        ("█" * filled, ink),
        ("░" * (BAR - filled), Ink.DIM),
        (f" {budget.used * 100:.0f} %", ink),
    )


def model_lines(standing: ModelStanding, calls: Sequence[ModelCall], now: float, room: int) -> Iterator[Line]:
    """A model's record, and its last calls with what came of each."""
    record = standing.record
    yield line((f" {standing.name}", Ink.STRONG), (f"  {standing.model or 'not configured any more'}", Ink.DIM))
    if standing.unasked:
        yield from block("Not asked", standing.unasked, room, Ink.WARN)
    yield from block("Calls", f"{record.calls}, {record.answered} of them answered", room)
    yield from block("Tokens", f"{record.input_tokens} sent, {record.output_tokens} answered", room)
    yield from block("Cost", dollars(record.dollars), room)
    yield from block("Takes", duration(record.seconds) if record.answered else "–", room)
    yield from block("Confirmed", f"{record.confirmed} of {counted(record.diagnoses, 'diagnosis', 'diagnoses')}", room)
    yield line()
    yield line((" Last calls", Ink.HEAD))
    if not calls:
        yield line((" None yet.", Ink.DIM))
    for call in calls:
        yield from _call(call, now, room)


def _model(standing: ModelStanding, room: int) -> Line:
    record = standing.record
    ink = Ink.DIM if standing.unasked or standing.tier is None else Ink.STRONG
    return line(
        (" ○ " if standing.unasked or standing.tier is None else " ● ", ink),
        column(standing.name, 14, ink),
        column(standing.tier or "gone", 7, Ink.DIM),
        column(counted(record.calls, "call"), 11, right=True),
        column(dollars(record.dollars), 10, right=True),
        column(duration(record.seconds) if record.answered else "–", 9, Ink.DIM, right=True),
        (f"  {record.confirmed}/{record.diagnoses} confirmed" if room >= 70 else "", Ink.DIM),
    )


def _call(call: ModelCall, now: float, room: int) -> Iterator[Line]:
    answered = call.outcome is CallOutcome.ANSWERED
    told = f"{call.input_tokens} + {call.output_tokens} tokens, {dollars(call.dollars)}" if answered else call.error
    text = f"{call.outcome} in {duration(call.seconds)}, inquiry {call.inquiry}: {told}".rstrip(": ")
    yield from block(moment(call.at, now), text, room, Ink.PLAIN if answered else Ink.WARN, indent=15)
