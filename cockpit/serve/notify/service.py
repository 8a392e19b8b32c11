"""Puts the channels of the config together, and keeps each running whatever happens to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import TypeAlias

from cockpit.engine import Engine
from cockpit.model import Role
from cockpit.serve.notify.channel import Channel
from cockpit.serve.notify.deadman import Deadman, Pulse
from cockpit.serve.notify.dispatcher import Dispatcher
from cockpit.serve.notify.escalation import Escalations
from cockpit.serve.notify.routes import TICKETS, routes
from cockpit.serve.upkeep import Upkeep
from cockpit.settings import Settings
from cockpit.settings.daemon import Deadman as DeadmanSettings
from cockpit.settings.daemon import Gitea, Notify

Tell: TypeAlias = Callable[[str], Coroutine[None, None, None]]
Part: TypeAlias = tuple[str, Callable[[], Coroutine[None, None, None]]]
TICKETS_EVERY = 1.0
"""Seconds between two issues at the least."""


async def run(engine: Engine, settings: Settings) -> None:
    """Tell people what happens, until cancelled. What is to be told outlives the process in the log."""

    async def tell(text: str) -> None:
        await asyncio.to_thread(engine.store.note, Role.COMMUNICATOR, "note", text)

    async with asyncio.TaskGroup() as group:
        for name, start in _parts(engine, settings, tell):
            group.create_task(Upkeep(name, start, tell).run())
        await asyncio.Event().wait()


def _parts(engine: Engine, settings: Settings, tell: Tell) -> Iterator[Part]:
    found = routes(settings)
    if found:
        yield "Deciding who is told", Dispatcher(engine.store, found, engine.silences).run
    for notify in settings.notify:
        yield f"The channel '{notify.name}'", partial(_channel, engine, notify)
    if settings.gitea:
        yield "Opening issues", partial(_tickets, engine, settings.gitea)
    if settings.escalation:
        yield "Escalation", Escalations(engine.store, settings.escalation, engine.silences).run
    if settings.deadman:
        yield "The dead-man's ping", partial(_pings, engine, settings.deadman, tell)


async def _channel(engine: Engine, notify: Notify) -> None:
    from cockpit.serve.notify.apprise_door import AppriseDoor

    door = AppriseDoor(notify.name, await asyncio.to_thread(notify.url.fetched))
    await door.check()
    await Channel(notify.name, engine.store, door, notify.gather).run()


async def _pings(engine: Engine, settings: DeadmanSettings, tell: Tell) -> None:
    url = await asyncio.to_thread(settings.ping_url.fetched)
    await Deadman(url, settings.every, Pulse(lambda: engine.stepped_at), tell).run()


async def _tickets(engine: Engine, gitea: Gitea) -> None:
    from cockpit.serve.notify.gitea import GiteaDoor

    door = GiteaDoor(gitea, await asyncio.to_thread(gitea.token.fetched), engine.store)
    await Channel(TICKETS, engine.store, door, TICKETS_EVERY).run()
