"""The proposal: what would be changed, how it is put back, and the keys that answer it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from cockpit.model import Proposal, ProposalState
from cockpit.text import counted
from widgets.case import Case, incident_lines, proposal_head, proposal_lines
from widgets.document import Document
from widgets.figures import countdown
from widgets.guard import Guard
from widgets.line import Ink, Line, block, line

if TYPE_CHECKING:
    from textual.timer import Timer

    from cockpit.model.inquiries import Inquiry

BEAT = 0.5
"""Seconds between two looks at the time that is left."""
NOTHING = "Nothing waits for you. When the agent wants to change something, it stands here first."


class ProposalPane(Document):
    """The change that waits for an answer, whole: the pane in which it is approved or denied.

    Keys that decide are no bindings and no actions, so nothing but a key in this pane can
    cause them; a message names the proposal and the digest that were on show.
    """

    TITLE = "Proposal"
    HELP = (
        "The change the agent would make: diff, commands, risk and the way back. 'a' approves exactly what is shown, "
        "once all of it has been on the screen for half a second; 'd' denies it and asks why; 'x' plans it again "
        "against the world as it is now."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("x", "dry_run", "dry run again", id="proposal.dry_run")]

    @dataclass
    class Approved(Message):
        """The operator pressed the key that approves what is on show."""

        proposal: Proposal

    @dataclass
    class Denied(Message):
        """The operator pressed the key that denies what is on show."""

        proposal: Proposal

    @dataclass
    class DryRunAsked(Message):
        """The operator wants the plan made again."""

        proposal: Proposal

    @dataclass
    class Allowed(Message):
        """The operator pressed the key that lets a model be asked, at the estimate on show."""

        inquiry: Inquiry

    @dataclass
    class Declined(Message):
        """The operator pressed the key that lets no model be asked."""

        inquiry: Inquiry

    def __init__(self, clock: Callable[[], float] = time.time, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._case = Case()
        self._told_last: tuple[object, ...] = ()
        self._beats: Timer | None = None
        self.guard = Guard()

    def on_mount(self) -> None:
        """Count down, and notice when the program was stopped, while something waits for an answer."""
        self._beats = self.set_interval(BEAT, self._beat, pause=True)
        self._begin_or_end_beats()

    def _begin_or_end_beats(self) -> None:
        if self._beats is not None and self.waits:
            self._beat()
            self._beats.resume()
        elif self._beats is not None:
            self._beats.pause()

    def _beat(self) -> None:
        self.guard.beat(time.monotonic())
        told, self._told_last = self._told_last, self._telling
        if told != self._told_last:
            self.tell_time()

    @property
    def _telling(self) -> tuple[object, ...]:
        """What head and foot tell that changes by itself."""
        left = countdown(self.pending.expires_at - self._clock()) if self.pending else ""
        return self._answerable, left, self.guard.whole

    @property
    def pending(self) -> Proposal | None:
        """The proposal on show, if it waits for a decision."""
        proposal = self._case.proposal
        return proposal if proposal and proposal.state is ProposalState.PENDING else None

    @property
    def waits(self) -> bool:
        """Whether what is on show waits for a person."""
        return bool(self.pending or self._case.asking)

    def show(self, case: Case) -> None:
        """Show this case; the scroll position stays while the proposal is the same."""
        if case == self._case:
            return
        same = self._identity(case) == self._identity(self._case)
        self._case = case
        if not same:
            self.scroll_to(y=0, animate=False)
        self.update()
        self._begin_or_end_beats()

    @staticmethod
    def _identity(case: Case) -> tuple[object, ...]:
        asking = case.asking and case.asking.inquiry.id
        return (case.incident and case.incident.id, case.proposal and (case.proposal.id, case.proposal.digest), asking)

    @property
    def _answerable(self) -> str:
        """What stands in the head, by a name that no other has: what a key that decides would decide about."""
        if self._case.asking:
            return f"inquiry {self._case.asking.inquiry.id}"
        return f"{self._case.proposal.id} {self._case.proposal.digest}" if self._case.proposal else ""

    def head(self, room: int) -> Sequence[Line]:
        """What it is, how long it waits still, and its digest; or what an inquiry would cost."""
        if self._case.asking:
            from widgets.inquiry import inquiry_head

            return inquiry_head(self._case.asking.inquiry)
        proposal = self._case.latest_proposal
        if proposal is None:
            return ()
        left = proposal.expires_at - self._clock()
        timer = [(f"  {countdown(left)} left", Ink.WARN if left < 60 else Ink.PLAIN)] if self.pending else []
        return [proposal_head(proposal, *timer)]

    def foot(self, room: int) -> Sequence[Line]:
        """The keys that answer, or why they do not yet."""
        if not self.waits:
            return ()
        if not self.has_focus:
            return [line((" a", Ink.KEY), (" go here to answer it", Ink.DIM))]
        if self._case.asking:
            return [_keys(("m", " ask the model"), ("n", " ask none"))]
        hidden = len(self._body) - self.scroll_offset.y - (self.scrollable_content_region.height - len(self._head) - 1)
        if hidden > 0 and not self.guard.whole:
            return [
                line(
                    (f" ▼ {counted(hidden, 'more line')}: ", Ink.WARN),
                    ("space", Ink.KEY),
                    (" scrolls; read to the end to approve", Ink.PLAIN),
                )
            ]
        return [_keys(("a", " approve"), ("d", " deny"), ("x", " dry run again"))]

    def body(self, room: int) -> Sequence[Line]:
        """The whole of the case."""
        if self._case.latest_proposal:
            return list(proposal_lines(self._case, self._case.latest_proposal, room))
        if self._case.incident:
            return list(incident_lines(self._case, self._case.incident, room))
        return list(block("", NOTHING, room, Ink.DIM, indent=1))

    def render_line(self, y: int) -> Strip:
        """The row as it goes to the terminal; painting is what starts the time that a key has to wait.

        A new proposal always paints the head anew, and so does scrolling: what is in sight
        then is what the operator has been shown.
        """
        strip = super().render_line(y)
        if self._answerable and y == 0:
            self.guard.painted(self._answerable, time.monotonic())
            if self._hidden <= 0 or self._case.asking:  # all that an inquiry's estimate says stands in the head
                self.guard.seen_whole()
        return strip

    @property
    def _hidden(self) -> int:
        """Lines of the body below the window."""
        return len(self._body) - self.scroll_offset.y - self.window

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Keep the foot true while scrolling."""
        super().watch_scroll_y(old_value, new_value)
        self.call_after_refresh(self.update)

    def on_focus(self) -> None:
        """A key counts only some time after the pane has the focus."""
        self.guard.focused(time.monotonic())

    def on_resize(self) -> None:
        """Say anew how much is out of sight."""
        self.tell_time()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Say which keys answer, or that they do not from elsewhere."""
        super().watch_has_focus(_has_focus)
        self.update()

    def on_key(self, event: events.Key) -> None:
        """Approve or deny what is on show."""
        self.guard.pressed(event.time)
        if not self.has_focus or event.key not in (("a", "d") if self.pending else ("m", "n")):
            return
        if self.pending:
            self._decide(self.pending, event)
        elif self._case.asking:
            self._answer(self._case.asking.inquiry, event)

    def _decide(self, proposal: Proposal, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        objection = self.guard.objection(self._answerable, event.time)
        if event.key == "d":
            self.post_message(self.Denied(proposal))
        elif objection:
            self.notify(objection, severity="warning", markup=False, timeout=4)
        else:
            self.post_message(self.Approved(proposal))

    def _answer(self, inquiry: Inquiry, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        if objection := self.guard.objection(self._answerable, event.time, "question", event.key):
            self.notify(objection, severity="warning", markup=False, timeout=4)
        else:
            self.post_message(self.Allowed(inquiry) if event.key == "m" else self.Declined(inquiry))

    def action_dry_run(self) -> None:
        """Ask for the plan to be made again."""
        if self._case.proposal:
            self.post_message(self.DryRunAsked(self._case.proposal))


def _keys(*keys: tuple[str, str]) -> Line:
    return line(*(part for key, what in keys for part in ((f" {key}", Ink.KEY), (what + "  ", Ink.PLAIN))))
