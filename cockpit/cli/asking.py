"""Asks a model, follows what it looks at, and prints what it answers."""

from __future__ import annotations

import asyncio
import sys
import time
from argparse import Namespace
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass

from cockpit.cli import output
from cockpit.cli.exits import DENIED, FAILED, OK, PENDING, UsageError
from cockpit.cli.models import brief
from cockpit.cli.opening import engine, log_of, settings_of, writing
from cockpit.engine import Engine
from cockpit.lock import is_free
from cockpit.model import CockpitError
from cockpit.model.answers import Answer
from cockpit.model.inquiries import Inquiry, InquiryState
from cockpit.settings import Settings
from cockpit.store.reader import Reader
from cockpit.store.store import Store
from cockpit.text import counted
from widgets.figures import dollars

LOOK = 0.2
"""Seconds between two looks at what came meanwhile."""
PRICED = 30.0
"""Seconds after which a yes is asked for without knowing what it costs."""
WAITS = 900.0
"""Seconds after which the answer is no longer waited for, where another process works on it."""
ENDS = {InquiryState.ANSWERED: OK, InquiryState.DECLINED: DENIED}
"""The exit status of an inquiry that has ended; of any other it is 1."""


def ask(arguments: Namespace) -> int:
    """Ask a model; where nobody acts on the log, this command does until there is an answer."""
    settings = settings_of(arguments)
    if settings.models is None:
        raise CockpitError("No model is configured.", "Add a table [models.NAME] to the config.")
    if settings.models.ask and not arguments.yes and not sys.stdin.isatty():
        raise UsageError("Nobody can be asked here whether a model may be asked.", "Add --yes.")
    return asyncio.run(_ask(settings, arguments))


def allow(arguments: Namespace) -> int:
    """Let an inquiry begin that waits for a yes; whoever acts on the log works on it."""
    settings = settings_of(arguments)
    with _log(settings, arguments.id) as store:
        store.inquiries.allow(arguments.id, settings.operator)
    later = "" if not is_free(settings) else " Nobody acts on the log now; it begins when somebody does."
    output.talk(f"A model may be asked for inquiry {arguments.id}.{later}")
    return OK


def decline(arguments: Namespace) -> int:
    """End an inquiry that waits for a yes."""
    settings = settings_of(arguments)
    with _log(settings, arguments.id) as store:
        store.inquiries.decline(arguments.id, settings.operator)
    output.talk(f"No model is asked for inquiry {arguments.id}.")
    return OK


def _log(settings: Settings, inquiry: int) -> AbstractContextManager[Store]:
    if not log_of(settings).exists():
        raise CockpitError(f"There is no inquiry {inquiry}: nothing was ever recorded.", "Ask with: cockpit ask")
    return writing(settings)


async def _ask(settings: Settings, arguments: Namespace) -> int:
    with engine(settings, act=True) as running:
        before = running.reader.last_event()
        asked = await running.ask(arguments.question, incident=arguments.incident, service=arguments.service)
        works = asyncio.create_task(running.answer(asked.id)) if running.acts else None
        try:
            if asked.state is InquiryState.ASKING:
                await _agree(running, await _priced(running, asked), yes=arguments.yes)
            ended = await _followed(running, Shown(running.reader, asked.id, before), works)
        finally:
            if works:
                works.cancel()
                await asyncio.wait([works])
        return _told(running.reader, ended, json=arguments.json)


async def _priced(running: Engine, inquiry: Inquiry) -> Inquiry:
    """The inquiry once somebody told what it would cost, or it ended; as it is when that takes too long."""
    until = time.monotonic() + PRICED
    while time.monotonic() < until and inquiry.estimate is None and not inquiry.state.ended:
        await asyncio.sleep(LOOK)
        inquiry = running.reader.asked.inquiry(inquiry.id)
    return inquiry


async def _agree(running: Engine, inquiry: Inquiry, *, yes: bool) -> None:
    """Let a model be asked, or none, as the person at the terminal says; who goes away says no."""
    if inquiry.state.ended:
        return
    if inquiry.estimate:
        cost = f"about {dollars(inquiry.estimate.dollars)}, the first prompt {inquiry.estimate.tokens} tokens"
        output.talk(f"{inquiry.estimate.model} would be asked first: {cost}.")
    agreed = yes
    try:
        agreed = agreed or await asyncio.to_thread(output.ask, "Type yes to ask a model:") == "yes"
    finally:
        await (running.allow if agreed else running.decline)(inquiry.id)


async def _followed(running: Engine, shown: Shown, works: asyncio.Task[None] | None) -> Inquiry:
    """The inquiry once it has ended; what comes meanwhile is told. Raises what ends the work on it before."""
    until = time.monotonic() + WAITS
    while not (now := running.reader.asked.inquiry(shown.inquiry)).state.ended and time.monotonic() < until:
        shown.more(now)
        if works is None:
            await asyncio.sleep(LOOK)
            continue
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(works), LOOK)
            break
    shown.more(running.reader.asked.inquiry(shown.inquiry))
    return running.reader.asked.inquiry(shown.inquiry)


@dataclass
class Shown:
    """What was told of an inquiry so far: the diagnostics it chose, its calls, and what the model says."""

    reader: Reader
    inquiry: int
    event: int
    """The last event that needs no telling."""
    _said: str = ""

    def more(self, now: Inquiry) -> None:
        """Tell what came since."""
        for event in self.reader.events(after=self.event):
            self.event = event.id
            if event.kind in ("choice", "model") and event.data.get("inquiry") == self.inquiry:
                self._line_end()
                output.talk(f"{'looks at ' if event.kind == 'choice' else ''}{event.text}")
        if now.progress:
            if not now.progress.startswith(self._said):
                self._line_end()
            output.stream(now.progress[len(self._said) :])
            self._said = now.progress
        else:
            self._line_end()

    def _line_end(self) -> None:
        if self._said:
            output.talk("")
        self._said = ""


def _told(reader: Reader, inquiry: Inquiry, *, json: bool) -> int:
    calls = reader.asked.costs(inquiry.id)
    if json:
        output.as_json(inquiry=asdict(inquiry), calls=[brief(call) for call in calls])
    else:
        output.line(Answer.of(inquiry.answer).reply or inquiry.outcome)
        spent = sum(call.dollars for call in calls)
        output.talk(f"Inquiry {inquiry.id} is {inquiry.state}: {counted(len(calls), 'call')}, {dollars(spent)}.")
    if not inquiry.state.ended:
        return PENDING
    return ENDS.get(inquiry.state, FAILED)
