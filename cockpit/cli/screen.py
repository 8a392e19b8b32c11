"""Opens the screen over the operator's log, or over a lab's."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from cockpit.app import CockpitApp
from cockpit.cli import crash, output
from cockpit.cli.exits import FAILED, OK, UsageError, status_of
from cockpit.cli.opening import log_of, ready, settings_of
from cockpit.model import CockpitError
from cockpit.screens.desk import Desk
from cockpit.settings import Settings
from cockpit.store.connection import StoreError
from cockpit.store.reader import Reader

if TYPE_CHECKING:
    from cockpit.engine import Engine
    from cockpit.lab.menu import Faults


AGENT_ENDS_WITHIN = 15.0
"""Seconds the agent has to finish what it is writing, before its log is closed."""


class Screen(CockpitApp):
    """The app as the command line runs it: what kills it is written to a file, never drawn with its secrets."""

    def __init__(self, desk: Desk, open_engine: Callable[[], Engine] | None) -> None:
        super().__init__(desk, open_engine)
        self.agents: list[threading.Event] = []
        """One for each agent that was started; set when it has ended."""

    def on_ready(self) -> None:
        """Look for garbage from now on; what the screen is made of is none, and is not looked through again."""
        gc.freeze()
        gc.enable()

    def _serve(self) -> None:
        ended = threading.Event()
        self.agents.append(ended)
        try:
            super()._serve()
        finally:
            ended.set()

    def _fatal_error(self) -> None:
        self.bell()
        self._close_messages_no_wait()

    @property
    def killed_by(self) -> Exception | None:
        """What ended it against the operator's will."""
        return self._exception


def show(arguments: Namespace) -> int:
    """Show the screen until the operator leaves; with --demo over a homelab of its own."""
    if arguments.chaos and not arguments.demo:
        raise UsageError("Faults are injected into the demo's lab only.", "Type: cockpit --demo --chaos 60s")
    if arguments.demo and arguments.readonly:
        raise UsageError("The demo has nothing to show until it looks.", "Leave --readonly out.")
    crash.install()
    settings = settings_of(arguments)
    if arguments.demo:
        return asyncio.run(_demo(settings, arguments.chaos))
    if not settings.services:
        output.talk("No service is configured. Write a config with: cockpit init   Try it without: cockpit --demo")
        return FAILED
    return asyncio.run(_watch(settings, None if arguments.readonly else lambda: _engine(settings)))


async def _demo(settings: Settings, chaos: float | None) -> int:
    from cockpit.lab.demo import demo

    async with demo(settings, output.talk, chaos=chaos) as (lab_settings, faults):
        return await _watch(lab_settings, lambda: _engine(lab_settings, faults))


async def _watch(settings: Settings, open_engine: Callable[[], Engine] | None) -> int:
    opened: list[Engine] = []
    refused: list[CockpitError] = []

    def engine() -> Engine:
        assert open_engine is not None
        try:
            opened.append(open_engine())
        except CockpitError as error:
            refused.append(error)
            raise
        return opened[0]

    reader = _reader(settings)
    app = Screen(Desk(reader), engine if open_engine else None)
    if settings.theme:
        app.theme = settings.theme
    for ending in (signal.SIGTERM, signal.SIGHUP):  # without this the demo's servers would outlive the screen
        asyncio.get_running_loop().add_signal_handler(ending, app.exit)
    gc.disable()
    try:
        said = await app.run_async()
    finally:
        gc.enable()
        for running in opened:
            running.stop()
        for ended in app.agents:
            await asyncio.to_thread(ended.wait, AGENT_ENDS_WITHIN)
        for running in opened:
            running.close()
        reader.close()
    if app.killed_by is not None:
        return crash.report(app.killed_by)
    if said:
        output.talk(f"cockpit: {said}")
    return status_of(refused[0]) if refused else app.return_code or OK


def _reader(settings: Settings) -> Reader:
    """The log for reading; made, or brought to this version's schema, where that is needed."""
    from cockpit.cli.crash import redactor

    if log_of(settings).exists():
        try:
            return Reader(log_of(settings))
        except StoreError:
            pass
    from cockpit.store.store import Store

    Store.open(log_of(settings), scrub=redactor.scrub, anchors=settings.anchors).close()
    return Reader(log_of(settings))


def _engine(settings: Settings, faults: Faults | None = None) -> Engine:
    from cockpit.cli.crash import redactor
    from cockpit.engine import Engine

    complete, registry = ready(settings)
    return Engine(complete, registry, redactor, lab=faults)
