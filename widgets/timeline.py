"""What happened in one incident, oldest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cockpit.model import Event
from cockpit.text import counted
from widgets.document import Document
from widgets.figures import clock
from widgets.line import Ink, Line, column, line, wrap

KINDS = {
    "alert": Ink.WARN,
    "diagnosis": Ink.STRONG,
    "proposal": Ink.WARN,
    "decision": Ink.KEY,
    "change": Ink.KEY,
    "status": Ink.PLAIN,
    "freeze": Ink.BAD,
}


def event_line(event: Event, room: int, *, service: bool = False) -> Line:
    """One event on one line: when, who (where there is room), what kind, and what happened."""
    where = (column(event.service, 16, Ink.DIM), (" ", Ink.DIM)) if service else ()
    who = (column(event.actor, 9, Ink.DIM), (" ", Ink.DIM)) if room >= 70 else ()
    return line(
        (f" {clock(event.at)} ", Ink.DIM),
        *who,
        *where,
        column(event.kind, 10, KINDS.get(event.kind, Ink.DIM)),
        (event.text.replace("\n", " "), Ink.PLAIN if event.kind in KINDS else Ink.DIM),
    )


def older_lines(incident: object, older: int) -> Iterator[Line]:
    """A sign that events are left out, and where they can be read."""
    if older:
        yield line((f" … {counted(older, 'older event')}, all in: cockpit export {incident}", Ink.DIM))


class Timeline(Document):
    """The events of the chosen incident; the newest stays in sight unless the operator has scrolled up."""

    TITLE = "Timeline"
    HELP = "What happened in the chosen incident, oldest first."

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._events: Sequence[Event] = ()
        self._older = 0
        self._subject: object = None
        self._following = True

    def show(self, subject: object, events: Sequence[Event], older: int = 0) -> None:
        """Show these events of that incident, of which so many older ones are left out."""
        if events == self._events and subject == self._subject:
            return
        self._following = self._following or subject != self._subject
        self._events, self._subject, self._older = events, subject, older
        self.entitle(f"{self.TITLE} of #{subject}" if isinstance(subject, int) else self.TITLE)
        self.update()

    def lay_out(self) -> None:
        """Keep the newest event in sight."""
        super().lay_out()
        if self._following:
            self.action_bottom()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow the newest event while it is in sight."""
        super().watch_scroll_y(old_value, new_value)
        self._following = new_value >= self.max_scroll_y or (self._following and new_value > old_value)

    def body(self, room: int) -> Sequence[Line]:
        """One line an event; the last two may take as many as they need."""
        if not self._events:
            return [line((" Choose an incident to see what happened in it.", Ink.DIM))]
        *older, last = self._events
        return [
            *older_lines(self._subject, self._older),
            *(event_line(event, room) for event in older),
            *_whole(last, room),
        ]


def _whole(event: Event, room: int) -> Sequence[Line]:
    first = event_line(event, room)
    used = sum(len(text) for text, _ in first[:-1])
    text, ink = first[-1]
    pieces = wrap(text, max(room - used, 20))
    return [(*first[:-1], (pieces[0], ink)), *(line((" " * used + piece, ink)) for piece in pieces[1:])]
