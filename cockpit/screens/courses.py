"""What models were asked, read for the panes; loaded where models are configured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from cockpit.model import CockpitError, Event, Run
from cockpit.model.answers import BY_MODEL, Answer
from cockpit.model.inquiries import Inquiry
from widgets.inquiry import Course

if TYPE_CHECKING:
    from cockpit.store.reader import Reader

RECENT = 200
"""The newest events, of its incident or of the whole log, among which the choices of an inquiry are looked for."""


def course(reader: Reader, inquiry: int) -> Course:
    """An inquiry with what has happened in it so far. Raises CockpitError when there is none of that number."""
    found = reader.asked.inquiry(inquiry)
    return _course(reader, found, reader.events(before=2**62, incident=found.incident, limit=RECENT))


def of_cause(reader: Reader, incident: int, events: Sequence[Event]) -> Course | None:
    """What a model was asked about the cause of an incident; None where a runbook explained it since."""
    inquiry = next((each for each in reader.asked.of(incident) if not each.question), None)
    if inquiry is None:
        return None
    explained = max((each.at for each in events if _by_runbook(each)), default=0.0)
    last = inquiry.finished_at is None or inquiry.finished_at >= explained
    return _course(reader, inquiry, events) if last else None


def _by_runbook(event: Event) -> bool:
    book = event.data.get("runbook")
    return event.kind == "diagnosis" and isinstance(book, str) and bool(book) and not book.startswith(BY_MODEL)


def questions(reader: Reader, incident: int, events: Sequence[Event]) -> tuple[Course, ...]:
    """What people asked about an incident, oldest first."""
    asked = reversed(reader.asked.of(incident))
    return tuple(_course(reader, each, events) for each in asked if each.question)


def _course(reader: Reader, inquiry: Inquiry, events: Sequence[Event]) -> Course:
    return Course(
        inquiry=inquiry,
        calls=tuple(reader.asked.costs(inquiry.id)),
        choices=tuple(each for each in events if each.kind == "choice" and each.data.get("inquiry") == inquiry.id),
        cited=tuple(_runs(reader, Answer.of(inquiry.answer).evidence)),
    )


def _runs(reader: Reader, ids: Iterable[int]) -> Iterator[Run]:
    for id in ids:
        with suppress(CockpitError):  # an old log was pruned of what it names
            yield reader.run(id)
