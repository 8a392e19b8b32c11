"""What models are asked, and what it cost: the part of the log that an investigation leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeAlias

from cockpit.model import JSON, Call, CockpitError, Event, Role, canonical
from cockpit.model.inquiries import Estimate, Inquiry, InquiryState, ModelCall
from cockpit.store.asked import ONE, inquiry_from, model_call_from
from cockpit.store.rows import event_from

if TYPE_CHECKING:
    from cockpit.store.transaction import Transaction

Begin: TypeAlias = "Callable[[], AbstractContextManager[Transaction]]"


class Inquiries:
    """The part of the log about models. Made by `Store.inquiries`.

    Args:
        begin: opens a transaction on the log.
    """

    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    def ask(
        self,
        incident: int | None,
        service: str,
        question: str,
        by: str,
        *,
        estimate: Estimate | None,
        wait: bool,
    ) -> Inquiry:
        """Keep a question; with `wait` it does not begin before a person allows it."""
        state = InquiryState.ASKING if wait else InquiryState.OPEN
        with self._begin() as log:
            found = log.insert(
                "inquiry",
                incident=incident,
                service=log.text(service),
                question=log.text(question),
                actor=log.text(by),
                state=state,
                created_at=log.now,
                model=estimate.model if estimate else "",
                tokens=estimate.tokens if estimate else 0,
                dollars=estimate.dollars if estimate else 0.0,
            )
            _tell(log, found, _asked(question, estimate, wait=wait), by)
            return _inquiry(log, found)

    def estimated(self, inquiry: int, estimate: Estimate) -> None:
        """Write what an inquiry that waits for a yes would cost; nothing where it waits no longer."""
        with self._begin() as log:
            changed = log.execute(
                "update inquiry set model = ?, tokens = ?, dollars = ? where id = ? and state = 'asking'",
                estimate.model,
                estimate.tokens,
                estimate.dollars,
                inquiry,
            )
            if changed:
                _tell(log, inquiry, f"{_costs(estimate)}; it waits for a yes.", Role.ANALYST)

    def allow(self, inquiry: int, by: str) -> None:
        """Let an inquiry begin that waits for a yes. Raises CockpitError when it does not wait."""
        self._move(inquiry, (InquiryState.ASKING,), InquiryState.OPEN, by, f"{by} lets a model be asked.")

    def decline(self, inquiry: int, by: str) -> None:
        """End an inquiry that waits for a yes, or has not begun. Raises CockpitError when it is further on."""
        waiting = (InquiryState.ASKING, InquiryState.OPEN)
        self._move(inquiry, waiting, InquiryState.DECLINED, by, f"{by} lets no model be asked.")

    def begin(self, inquiry: int) -> bool:
        """Take an open inquiry to work on it; whether nobody else had."""
        with self._begin() as log:
            moved = log.execute("update inquiry set state = 'running' where id = ? and state = 'open'", inquiry)
            if moved:
                _tell(log, inquiry, "A model is being asked.", Role.ANALYST)
            return bool(moved)

    def abandoned(self) -> None:
        """End what a process left running when it died. What its calls cost is kept."""
        with self._begin() as log:
            for row in log.all("select id from inquiry where state = 'running'"):
                _end(log, row["id"], InquiryState.FAILED, "The process ended while a model was being asked.", {})

    def progress(self, inquiry: int, text: str) -> None:
        """Show what the model has said so far; it is overwritten, and gone when the inquiry ends."""
        with self._begin() as log:
            log.execute(
                "insert or replace into inquiry_progress (inquiry, text) values (?, ?)", inquiry, log.text(text)
            )

    def called(self, call: ModelCall) -> ModelCall:
        """Keep one call of a model, as sent and as answered; its id is given here.

        What was sent is kept as it is: it was redacted before it left, and must not differ from what did.
        """
        with self._begin() as log:
            found = log.insert(
                "model_call",
                inquiry=call.inquiry,
                model=call.model,
                tier=call.tier,
                at=float(call.at),
                seconds=float(call.seconds),
                input_tokens=call.input_tokens,
                output_tokens=call.output_tokens,
                dollars=float(call.dollars),
                outcome=call.outcome,
                error=log.text(call.error),
                sent=canonical(dict(call.sent)),
                reply=log.json(call.reply),
            )
            log.execute("delete from inquiry_progress where inquiry = ?", call.inquiry)
            _tell(log, call.inquiry, _told(call), Role.ANALYST, kind="model", call=found)
            row = log.row("model_call", found)
            assert row is not None
            return model_call_from(row)

    def chose(self, inquiry: int, call: Call, why: str) -> Event:
        """Log that the model chose a tool, and its reason: the decision log."""
        asked = self._incident_of(inquiry)
        with self._begin() as log:
            chosen = log.event(
                "choice",
                f"{call.tool} on {call.service}: {why or 'no reason given'}",
                actor=Role.ANALYST,
                incident=asked,
                service=call.service,
                data={"inquiry": inquiry, "tool": call.tool, "arguments": dict(call.arguments), "why": why},
            )
            return event_from(chosen)

    def finish(self, inquiry: int, state: InquiryState, outcome: str, answer: dict[str, JSON] | None = None) -> Inquiry:
        """Write what came of an inquiry. Raises CockpitError when it has ended already."""
        with self._begin() as log:
            if _inquiry(log, inquiry).state.ended:
                raise CockpitError(f"Inquiry {inquiry} has ended already.")
            _end(log, inquiry, state, outcome, answer or {})
            return _inquiry(log, inquiry)

    def keep(self, digest: str, inquiry: int) -> None:
        """Keep an answered inquiry as the answer to all that have this digest."""
        with self._begin() as log:
            log.execute(
                "insert or replace into kept_answer (digest, inquiry, at) values (?, ?, ?)", digest, inquiry, log.now
            )

    def _move(self, inquiry: int, of: Iterable[InquiryState], to: InquiryState, by: str, text: str) -> None:
        with self._begin() as log:
            found = _inquiry(log, inquiry)
            if found.state not in of:
                raise CockpitError(f"Inquiry {inquiry} is {found.state} already.")
            if to.ended:
                _end(log, inquiry, to, text, {}, actor=by)
                return
            log.execute("update inquiry set state = ? where id = ?", to, inquiry)
            _tell(log, inquiry, text, by)

    def _incident_of(self, inquiry: int) -> int | None:
        with self._begin() as log:
            return _inquiry(log, inquiry).incident


def _inquiry(log: Transaction, id: int) -> Inquiry:
    row = log.one(ONE, id)
    if row is None:
        raise CockpitError(f"There is no inquiry {id}.", "See: cockpit models, and cockpit incidents")
    return inquiry_from(row)


def _end(
    log: Transaction,
    inquiry: int,
    state: InquiryState,
    outcome: str,
    answer: dict[str, JSON],
    actor: str = Role.ANALYST,
) -> None:
    log.execute(
        "update inquiry set state = ?, outcome = ?, answer = ?, finished_at = ? where id = ?",
        state,
        log.text(outcome),
        log.json(answer),
        log.now,
        inquiry,
    )
    log.execute("delete from inquiry_progress where inquiry = ?", inquiry)
    _tell(log, inquiry, outcome, actor)


def _tell(
    log: Transaction,
    inquiry: int,
    text: str,
    actor: str,
    *,
    kind: str = "inquiry",
    call: int | None = None,
) -> None:
    about = _inquiry(log, inquiry)
    data: dict[str, JSON] = {"inquiry": inquiry, "state": about.state}
    if call is not None:
        data["call"] = call
    log.event(
        kind,
        text,
        actor=actor,
        incident=about.incident,
        service=about.service,
        data=data,
        vouches=[("inquiry", inquiry)] if call is None else [("model_call", call)],
    )


def _asked(question: str, estimate: Estimate | None, *, wait: bool) -> str:
    what = f"Asks: {question}" if question else "No runbook explains it: a model may."
    if estimate is None:
        return what
    return f"{what} {_costs(estimate)}" + ("; it waits for a yes." if wait else ".")


def _costs(estimate: Estimate) -> str:
    return f"{estimate.model} would be asked first, for about ${estimate.dollars:.4f}"


def _told(call: ModelCall) -> str:
    cost = f"{call.input_tokens} + {call.output_tokens} tokens, ${call.dollars:.4f}, {call.seconds:.1f} s"
    return f"{call.model} {call.outcome}: {call.error or cost}"
