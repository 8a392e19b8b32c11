"""An inquiry as text: what a model is asked, what it looks at and says, what it answers, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cockpit.model import Event, Run
from cockpit.model.answers import Answer
from cockpit.model.inquiries import CallOutcome, Inquiry, InquiryState, ModelCall
from cockpit.text import shorten
from widgets.figures import clock, dollars, duration
from widgets.line import Ink, Line, block, line
from widgets.plan import text_of
from widgets.signs import RUNS, Sign

SAID = 600
"""Characters that are shown of what a model is saying: the last ones."""
REPLY = 8000
"""Characters that are shown of its reply to a question."""
SENTENCE = 500
"""Characters that are shown of a cause, a reason, a guess or a question."""

STATES = {
    InquiryState.ASKING: Sign("▲", "may a model be asked?", Ink.WARN),
    InquiryState.OPEN: Sign("◇", "a model will be asked", Ink.CALM),
    InquiryState.RUNNING: Sign("◌", "a model is asked", Ink.CALM),
    InquiryState.ANSWERED: Sign("✔", "answered", Ink.GOOD),
    InquiryState.INCONCLUSIVE: Sign("?", "inconclusive", Ink.WARN),
    InquiryState.FAILED: Sign("✖", "no answer", Ink.BAD),
    InquiryState.DECLINED: Sign("■", "no model was asked", Ink.DIM),
}


@dataclass(frozen=True)
class Course:
    """An inquiry with what has happened in it so far."""

    inquiry: Inquiry
    calls: tuple[ModelCall, ...] = ()
    choices: tuple[Event, ...] = ()
    """The diagnostics it chose, each with its reason."""
    cited: tuple[Run, ...] = ()
    """The runs that its answer rests on."""

    @property
    def asking(self) -> bool:
        """Whether it waits for a person's yes."""
        return self.inquiry.state is InquiryState.ASKING

    @property
    def answer(self) -> Answer:
        """What came of it."""
        return Answer.of(self.inquiry.answer)

    @property
    def cost(self) -> str:
        """What it has cost so far, in words; empty before the first call."""
        if not self.calls:
            return ""
        asked = sum(call.input_tokens for call in self.calls)
        said = sum(call.output_tokens for call in self.calls)
        return f"{dollars(sum(call.dollars for call in self.calls))} for {asked} + {said} tokens"

    @property
    def model(self) -> str:
        """The model that answered, or else the one that would be asked first."""
        if self.answer.model:
            return self.answer.model
        answered = [call.model for call in self.calls if call.outcome is CallOutcome.ANSWERED]
        return answered[-1] if answered else self.inquiry.estimate.model if self.inquiry.estimate else ""


def inquiry_head(inquiry: Inquiry) -> Sequence[Line]:
    """Where an inquiry stands, and until it has ended, which model would be asked first for how much."""
    sign = STATES[inquiry.state]
    first = line((f" {sign.glyph} {sign.word}", sign.ink), (f"  inquiry {inquiry.id}", Ink.DIM))
    expected = inquiry.estimate
    if expected is None or inquiry.state.ended:
        return (first,)
    cost = f": about {dollars(expected.dollars)}, its first prompt {expected.tokens} tokens"
    return first, line((f"   {expected.model}", Ink.STRONG), (cost, Ink.PLAIN))


def followed_lines(course: Course, room: int) -> Iterator[Line]:
    """An inquiry by itself: where it stands, then all of it."""
    yield from inquiry_head(course.inquiry)
    yield from course_lines(course, room)


def course_lines(course: Course, room: int) -> Iterator[Line]:
    """What is asked, looked at and said so far, and once it has ended, what came of it and how."""
    inquiry = course.inquiry
    if inquiry.question:
        who = f" ({_short(inquiry.asked_by)}, {clock(inquiry.created_at)})"
        yield from block("Asked", _short(inquiry.question) + who, room)
    if not inquiry.state.ended:
        yield from under_way_lines(course, room)
        return
    if not inquiry.question and course.answer.cause:
        yield from block("Cause", _short(course.answer.cause), room)
    yield from ended_lines(course, room)
    yield from _chosen(course.choices, room)


def ended_lines(course: Course, room: int) -> Iterator[Line]:
    """What came of an inquiry: the reply, how sure a cause is and what it rests on, or guesses and the next look."""
    answer, inquiry = course.answer, course.inquiry
    if inquiry.state is InquiryState.ANSWERED and inquiry.question:
        yield from block("Answer", shorten(answer.reply or inquiry.outcome, REPLY), room, Ink.STRONG)
    elif inquiry.state is InquiryState.ANSWERED or answer.guesses:
        of = " of the first guess" if inquiry.state is not InquiryState.ANSWERED else ""
        yield from block("Sure", f"{answer.confidence * 100:.0f} %{of}, by model {course.model}", room, Ink.DIM)
    else:
        yield from block("Outcome", _short(inquiry.outcome), room, STATES[inquiry.state].ink)
    for place, guess in enumerate(answer.guesses, 1):
        yield from block(f"Guess {place}", _short(guess), room)
    if answer.next_look:
        yield from block("Look next", _short(answer.next_look), room, Ink.WARN)
    for rival in answer.rivals:
        label, ink = ("Ruled out", Ink.DIM) if rival.ruled_out else ("Not ruled", Ink.WARN)
        yield from block(label, f"{_short(rival.name)}: {_short(rival.reading)}", room, ink)
    yield from _cited(course, room)
    yield from _costs(course, room)


def _cited(course: Course, room: int) -> Iterator[Line]:
    for run in course.cited:
        sign = RUNS[run.status]
        called = _short(f"{run.call.tool} {text_of(dict(run.call.arguments))}".rstrip())
        readings = "; ".join(course.answer.evidence.get(run.id, ()))
        told = f"{_short(run.summary)} {_short(readings)}".rstrip()
        yield from block("Seen", f"{sign.glyph} run {run.id}, {called}: {told}", room, sign.ink)


def under_way_lines(course: Course, room: int) -> Iterator[Line]:
    """What an inquiry has cost, what the model says, and what it chose to look at, the last first."""
    if course.asking:
        why = "" if course.inquiry.question else "No runbook explains it. "
        yield from block("", f"{why}Nothing is sent before you allow it.", room, indent=1)
        return
    yield from _costs(course, room)
    said = " ".join(course.inquiry.progress.split())
    if said:
        yield from block("Says", said if len(said) <= SAID else f"… {said[-SAID:]}", room, Ink.STRONG)
    yield from _chosen(reversed(course.choices), room)


def _chosen(choices: Iterable[Event], room: int) -> Iterator[Line]:
    for event in choices:
        yield from block("Looked at", _short(event.text), room, Ink.CALM)


def _costs(course: Course, room: int) -> Iterator[Line]:
    for call in course.calls:
        if call.outcome is not CallOutcome.ANSWERED:
            why = f"{call.model} {call.outcome} after {duration(call.seconds)}: {call.error}"
            yield from block("Passed by", _short(why.rstrip(": ")), room, Ink.WARN)
    if course.cost:
        yield from block("Cost", f"{course.cost}, {course.model}", room, Ink.DIM)


def _short(text: str) -> str:
    """A text of a model as one paragraph, cut off with a sign."""
    return shorten(" ".join(text.split()), SENTENCE)
