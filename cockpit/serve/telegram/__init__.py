"""Telegram: tells the operators what happens, asks them, and takes their decisions."""

from __future__ import annotations

import asyncio

from cockpit.engine import Engine
from cockpit.model import Role
from cockpit.serve.telegram.anchor import send_daily
from cockpit.serve.telegram.api import Hook, Later, TelegramError, connected
from cockpit.serve.telegram.commands import MENU
from cockpit.serve.telegram.listener import Listener
from cockpit.serve.telegram.pace import Pace
from cockpit.serve.telegram.sender import Sender
from cockpit.serve.telegram.teller import Teller
from cockpit.settings import Settings

PRUNE_EVERY = 3600.0


async def serve(engine: Engine, settings: Settings, pace: Pace | None = None) -> None:
    """Tell, ask and listen until cancelled.

    Args:
        engine: the one that acts on the log.
        settings: those with a table `telegram`.
        pace: how fast; Telegram's limits by default.

    Raises CockpitError when the token cannot be read, or the log cannot be written.
    """
    telegram, pace = settings.telegram, pace or Pace()
    if telegram is None:
        return
    news = asyncio.Event()
    teller = Teller(engine, telegram, pace)
    token = telegram.token.fetched()
    async with connected(token, telegram.base_url, telegram.chat, pace) as api, asyncio.TaskGroup() as group:
        if telegram.chat:
            group.create_task(_tell(teller, pace, news))
            group.create_task(send_daily(teller, news))
            group.create_task(Sender(api, teller, telegram, pace, news).run())
        group.create_task(_listen(Listener(api, teller, telegram, pace, news)))
        group.create_task(_prune(teller))


async def _tell(teller: Teller, pace: Pace, news: asyncio.Event) -> None:
    seen = -1
    while True:
        version = teller.reader.version()
        if version != seen and await asyncio.to_thread(teller.look):
            news.set()
            continue
        seen = version
        await asyncio.sleep(pace.look)


async def _listen(listener: Listener) -> None:
    if listener.settings.webhook is None:
        await _begin(listener, None)
        await listener.run()
    else:
        from cockpit.serve.telegram.webhook import Webhook  # an HTTP server, which asking for updates does without

        webhook = Webhook(listener, listener.settings.webhook)
        async with webhook.listening():
            await _begin(listener, webhook.hook)
            await webhook.watch()


async def _begin(listener: Listener, hook: Hook | None) -> None:
    """Return once Telegram knows how updates are to come; meanwhile the log says why it does not."""
    pause, told = 0.5, False
    while True:
        try:
            listener.name = await listener.api.begin(MENU)
            return await listener.api.deliver(hook)
        except TelegramError as error:
            if not told:
                text = f"{error} Telegram is asked again until it works."
                await asyncio.to_thread(listener.teller.engine.store.note, Role.COMMUNICATOR, "note", text)
                told = True
            await asyncio.sleep(error.seconds if isinstance(error, Later) else pause)
            pause = min(2 * pause, listener.pace.longest_pause)


async def _prune(teller: Teller) -> None:
    while True:
        await asyncio.to_thread(teller.log.outbox.prune, teller.clock())
        await asyncio.sleep(PRUNE_EVERY)


__all__ = ["serve"]
