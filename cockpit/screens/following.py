"""A dialog that shows an inquiry as it goes."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from textual import events
from textual.worker import Worker

from cockpit.model import CockpitError
from cockpit.model.inquiries import Inquiry
from cockpit.screens.courses import course
from cockpit.screens.desk import Desk
from cockpit.screens.dialogs import Reading, entitle
from widgets.document import Sheet
from widgets.guard import Guard
from widgets.inquiry import Course, followed_lines
from widgets.proposal import ProposalPane

LOOK = 0.25
"""Seconds between two looks at the store."""


class Following(Reading):
    """Shows what is asked, looked at and answered until escape is pressed, which stops nothing.

    While the inquiry waits for a yes, a key pressed here gives it, under the same guard as an approval.
    """

    def __init__(self, desk: Desk, inquiry: int) -> None:
        super().__init__(f"Inquiry {inquiry}", lambda room: ())
        self._desk = desk
        self._inquiry = inquiry
        self._version = -1
        self._asking: Inquiry | None = None
        self._reading: Worker[None] | None = None
        self._guard = Guard()

    def on_mount(self) -> None:
        """Show it, and look again while it is open."""
        self._look()
        self.set_interval(LOOK, self._look)

    def _look(self) -> None:
        self._guard.beat(time.monotonic())
        if self._reading is None or self._reading.is_finished:
            self._reading = self.run_worker(self._read(), group="follow", exit_on_error=False)

    async def _read(self) -> None:
        try:
            version = await asyncio.to_thread(self._desk.reader.version)
            if version == self._version:
                return
            found = await asyncio.to_thread(course, self._desk.reader, self._inquiry)
        except CockpitError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._version = version
        self._show(found)

    def _show(self, found: Course) -> None:
        self._asking = found.inquiry if found.asking else None
        keys = "m: ask the model   n: ask none   " if found.asking else ""
        entitle(self, f"Inquiry {self._inquiry}", f"{keys}escape: back")
        self.query_one(Sheet).renew(partial(followed_lines, found))
        if found.asking:
            self.call_after_refresh(self._painted)

    def _painted(self) -> None:
        self._guard.painted(str(self._inquiry), time.monotonic())
        self._guard.seen_whole()

    def on_key(self, event: events.Key) -> None:
        """Let a model be asked, or none."""
        self._guard.pressed(event.time)
        if self._asking is None or event.key not in ("m", "n"):
            return
        event.stop()
        if objection := self._guard.objection(str(self._inquiry), event.time, "question", event.key):
            self.notify(objection, severity="warning", markup=False, timeout=4)
            return
        answer = ProposalPane.Allowed if event.key == "m" else ProposalPane.Declined
        self.post_message(answer(self._asking))
        self._asking = None
