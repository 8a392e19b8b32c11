"""The engine without a screen: one process that acts, takes in, asks and tells until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import select
import signal
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from importlib import import_module
from queue import SimpleQueue
from typing import Literal, TypeAlias

from cockpit.engine import Engine
from cockpit.lock import Held
from cockpit.model import CockpitError, ProposalState, Role
from cockpit.serve.journal import Journal, Level, LibraryLines, leaves
from cockpit.serve.service_manager import ServiceManager
from cockpit.serve.upkeep import Upkeep
from cockpit.settings import Settings
from cockpit.text import Redactor, counted
from cockpit.toolkit import Registry

Order: TypeAlias = Literal["end", "reload"]
Configured: TypeAlias = tuple[Settings, Registry]

ENDINGS = (signal.SIGTERM, signal.SIGINT)
ENDS_WITHIN = 4.5
"""Seconds after which a process that was told to end does, whatever still hangs: the log needs no farewell."""
BEATS = 3
"""Signs of life in the time after which the watchdog barks."""
STATUS_EVERY = 5.0
YOUNG_OBJECTS = 20_000
"""Objects after which new ones are looked through for cycles: Python's 700 is a fraction of what one commit holds."""

CHANNELS = {
    "http": ("http",),
    "telegram": ("telegram",),
    "notify": ("notify", "escalation", "gitea", "deadman", "heartbeats", "maintenance"),
}
"""Modules of cockpit.serve that run beside the agent, each with the tables of the config that ask for it."""


def run(
    configured: Callable[[], Configured],
    redactor: Redactor,
    journal: Journal,
    manager: ServiceManager,
) -> None:
    """Run the daemon until SIGTERM or SIGINT.

    Args:
        configured: reads the settings, with services' options in place, and the tools; called again on SIGHUP.
        redactor: knows every secret of the settings.
        journal: where it says what happens.
        manager: who is told that it is ready and alive.

    Raises Held when another process acts on the log, CockpitError when the settings or the log cannot be used.
    """
    logging.getLogger().addHandler(LibraryLines(journal))
    gc.set_threshold(YOUNG_OBJECTS)
    settings, registry = configured()
    with Engine(settings, registry, redactor) as engine:
        if not engine.acts:
            raise Held(settings)
        try:
            asyncio.run(Daemon(engine, configured, journal, manager).run())
        except BaseExceptionGroup as group:
            raise next(leaves(group)) from None


@dataclass
class Daemon:
    """One engine with its agent and its channels, under the orders that come as signals."""

    engine: Engine
    configured: Callable[[], Configured]
    journal: Journal
    manager: ServiceManager
    _orders: asyncio.Queue[Order] = field(default_factory=asyncio.Queue)
    _ending: bool = False
    _trouble: str = ""

    async def run(self) -> None:
        """Work until told to end. Raises what no new start mends, such as a damaged log."""
        self._listen()
        following = asyncio.create_task(self.journal.follow(self.engine.reader, self.engine.reader.last_event()))
        beating = asyncio.create_task(self._beat())
        self.journal.say(Level.NOTICE, f"Process {os.getpid()} acts on {self.engine.store.path}.")
        if not self.engine.services:
            self.journal.say(Level.WARNING, "No service is configured, so none is watched. Type: cockpit init")
        try:
            while not self._ending:
                await self._work_until_ordered()
        finally:
            for task in (following, beating):
                task.cancel()
            await asyncio.gather(following, beating, return_exceptions=True)
        self.journal.say(Level.NOTICE, "Ended.")
        # Python gives a handler up before it is gone itself, and would then be killed by one more signal.
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)

    def _listen(self) -> None:
        """Obey signals until the process is gone; the time to end in runs also while something holds up the loop."""
        loop, told = asyncio.get_running_loop(), SimpleQueue[None]()
        threading.Thread(target=_force_the_end, args=[told], daemon=True).start()

        def end(*_: object) -> None:
            told.put(None)
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._end)

        for number in ENDINGS:
            signal.signal(number, end)
        loop.add_signal_handler(signal.SIGHUP, self._orders.put_nowait, "reload")

    def _end(self) -> None:
        self._ending = True
        self.manager.stopping()
        self._orders.put_nowait("end")

    async def _work_until_ordered(self) -> None:
        """Work; return to begin anew with a config that was read, or to end."""
        work = asyncio.create_task(self._work())
        try:
            self.manager.ready()
            configured = await self._next_config(work)
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
        if configured:
            await self._take(configured)

    async def _work(self) -> None:
        """Run the agent, and each channel that the config asks for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.engine.run())
            for name, tables in CHANNELS.items():
                if any(getattr(self.engine.settings, table, None) for table in tables):
                    group.create_task(Upkeep(f"The channel {name}", self._channel(name), self._tell).run())

    def _channel(self, name: str) -> Callable[[], Coroutine[None, None, None]]:
        async def serve() -> None:
            module = await asyncio.to_thread(import_module, f"cockpit.serve.{name}")
            await module.serve(self.engine, self.engine.settings)

        return serve

    async def _next_config(self, work: asyncio.Task[None]) -> Configured | None:
        """The next config that can be used; None when the end was ordered. Raises what ended the work."""
        while True:
            ordered = asyncio.create_task(self._orders.get())
            await asyncio.wait([work, ordered], return_when=asyncio.FIRST_COMPLETED)
            if not ordered.done():
                ordered.cancel()
                work.result()
                return None
            if ordered.result() == "end":
                return None
            if configured := await self._read_again():
                await self._let_changes_end()
                return configured

    async def _read_again(self) -> Configured | None:
        self.manager.reloading()
        try:
            return await asyncio.to_thread(self.configured)
        except CockpitError as error:
            await self._tell(_kept(error))
            self.manager.ready()
            return None

    async def _let_changes_end(self) -> None:
        """No change is interrupted for a new config."""
        while self.engine.store.reader.unsettled() and not self._ending:  # noqa: ASYNC110  what ends it may be another process
            await asyncio.sleep(0.1)

    async def _take(self, configured: Configured) -> None:
        try:
            self.engine.reload(*configured)
        except CockpitError as error:
            await self._tell(_kept(error))
        else:
            await self._tell(f"The config was read again. Services: {len(self.engine.services)}.")

    async def _tell(self, text: str) -> None:
        """Put a trouble of the daemon's own into the log; where that is the trouble, say it here."""
        try:
            await asyncio.to_thread(self.engine.store.note, Role.COMMUNICATOR, "note", text)
        except CockpitError:
            self.journal.say(Level.ERROR, text)

    async def _beat(self) -> None:
        """Show that the loop turns and the agent steps, as often as the watchdog wants to see it."""
        every = min(self.manager.watchdog / BEATS or STATUS_EVERY, STATUS_EVERY)
        while True:
            if not self.manager.watchdog or self.engine.stalled < self.manager.watchdog:
                self.manager.alive()
            with contextlib.suppress(CockpitError):
                self.manager.status(self._status())
            self._tell_of_the_agent()
            await asyncio.sleep(every)

    def _tell_of_the_agent(self) -> None:
        """Say what ended the agent, once; the log itself may be what it cannot write."""
        trouble = self.engine.trouble
        if trouble and not self._trouble:
            self.journal.say(Level.ERROR, f"The agent failed and begins again: {trouble}")
        elif self._trouble and not trouble:
            self.journal.say(Level.NOTICE, "The agent works again.")
        self._trouble = trouble

    def _status(self) -> str:
        reader = self.engine.reader
        waiting = counted(len(reader.proposals(state=ProposalState.PENDING)), "proposal waits", "proposals wait")
        incidents = counted(len(reader.incidents(unresolved_only=True)), "incident")
        return f"{counted(len(self.engine.services), 'service')}, {incidents} open, {waiting}"


def _kept(error: CockpitError) -> str:
    return f"The new config is not taken, the old one holds: {error}"


def _force_the_end(told: SimpleQueue[None]) -> None:
    """End the process soon after it was told to, whatever hangs: what was being done is in the log."""
    told.get()
    select.select([], [], [], ENDS_WITHIN)  # `time.sleep` fails on a clock that jumps
    os._exit(os.EX_OK)
