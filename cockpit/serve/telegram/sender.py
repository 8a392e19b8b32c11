"""The sender: brings the chat to where the outbox is, one request at a time, as fast as Telegram allows."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cockpit.model import Role
from cockpit.serve.telegram.api import Api, Key, Keys, Later, Rejected, TelegramError, Unsure, Vanished
from cockpit.serve.telegram.body import Body, rendered
from cockpit.serve.telegram.pace import Pace
from cockpit.serve.telegram.teller import Teller
from cockpit.settings.daemon import TelegramSettings
from cockpit.store.outbox import Message
from cockpit.store.telegram import Button

FIRST_PAUSE = 0.5
IDLE = 1.0
"""Seconds between two looks at an outbox in which nothing is due."""
KEYS_LAST = 7 * 86_400.0
"""Seconds a button that is about no deadline can be pressed."""


@dataclass
class Sender:
    """Sends what is due, edits what changed, and waits when Telegram wants it to."""

    api: Api
    teller: Teller
    settings: TelegramSettings
    pace: Pace
    news: asyncio.Event
    """Set when something was put into the outbox."""
    clock: Callable[[], float] = time.time
    _failures: int = 0
    _turn: float = 0.0
    """When the chat may get its next message, by the monotonic clock."""
    _told: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Send for ever; cancel to end."""
        while True:
            message = await asyncio.to_thread(self._next)
            if message is None:
                await self._idle()
                continue
            await asyncio.sleep(self._turn - time.monotonic())
            await self._deliver(message)

    def _next(self) -> Message | None:
        """The next message that may go out now."""
        outbox = self.teller.log.outbox
        while message := outbox.due(self.clock(), fresh=self.settings.storm_per_minute):
            until = self.teller.hold(message)
            if until is None:
                return message
            outbox.postpone(message, until)
        return None

    async def _idle(self) -> None:
        next_at = await asyncio.to_thread(self.teller.log.outbox.next_at)
        left = IDLE if next_at is None else max(0.01, next_at - self.clock())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(IDLE, left)):
                await self.news.wait()
        self.news.clear()

    async def _deliver(self, message: Message) -> None:
        outbox = self.teller.log.outbox
        if not await asyncio.to_thread(self._may_try, message):
            return
        self._turn = time.monotonic() + (self.pace.private if self.settings.chat > 0 else self.pace.group)
        try:
            number = await self._request(message)
        except Unsure as error:
            await self._pause(error)
        except TelegramError as error:
            await asyncio.to_thread(outbox.not_sent, message)
            await self._failed(message, error)
        else:
            self._failures = 0
            self._told.clear()
            await asyncio.to_thread(outbox.sent, message, number, self.clock())

    def _may_try(self, message: Message) -> bool:
        """Whether a message may be sent; one that may have come twice already is only told about."""
        may = self.teller.log.outbox.trying(message)
        if not may and not message.subject.startswith("gathered:"):
            line = f"The message about {message.subject} may not have arrived. /status sends it again."
            self.teller.gather(message.subject, line)
        return may

    async def _failed(self, message: Message, error: TelegramError) -> None:
        if isinstance(error, Later):
            self._turn = time.monotonic() + error.seconds
        elif isinstance(error, Vanished):
            await asyncio.to_thread(self.teller.log.outbox.vanished, message)
        elif isinstance(error, Rejected):
            await asyncio.to_thread(self._refused, message, error)
        else:
            await self._pause(error)

    async def _request(self, message: Message) -> int | None:
        """Send or edit; returns the number of a new message."""
        text, spans = rendered(message.body)
        answers = await asyncio.to_thread(self._answered, message)
        document = message.body.get("document")
        if document and message.message is None:
            return await self.api.attach(document["name"], document["text"], text[:1024], answers=answers)
        keys = await asyncio.to_thread(self._keys, message)
        if message.message is None:
            return await self.api.send(text, spans, keys, silent=bool(message.body.get("silent")), answers=answers)
        if not document:
            await self.api.edit(message.message, text, spans, keys)
        return None

    def _answered(self, message: Message) -> int | None:
        subject = message.body.get("reply_to")
        found = self.teller.log.outbox.find(subject) if subject else None
        if found is not None and found.state == "folded" and found.parent:
            found = self.teller.log.outbox.get(found.parent)
        return found.message if found is not None else None

    def _keys(self, message: Message) -> Keys:
        """The message's buttons with fresh tokens, which are kept hashed before they are sent."""
        rows = [[(secrets.token_urlsafe(16), each) for each in row] for row in message.body.get("buttons", ())]
        offered = [(token, self._button(message, each)) for row in rows for token, each in row]
        if offered:
            self.teller.log.offer(offered, self.clock())
        return [[Key(each["label"], token) for token, each in row] for row in rows]

    def _button(self, message: Message, kept: dict[str, Any]) -> Button:
        persons = tuple(user.id for user in self.settings.users if kept["right"] in user.rights)
        until = kept["until"] if kept["until"] is not None else self.clock() + KEYS_LAST
        return Button(
            kept["action"],
            kept["right"],
            persons,
            self.settings.chat,
            until,
            message.incident,
            message.proposal,
            kept["digest"],
            kept["people"],
        )

    def _refused(self, message: Message, error: TelegramError) -> None:
        """Say plainly what cannot be said as it stands; if that is refused too, write it into the log."""
        outbox = self.teller.log.outbox
        if message.body.get("plain"):
            outbox.set_state(message, "refused")
            self._note(f"Telegram refuses the message about {message.subject}: {error}")
            return
        body = Body().add(f"About {message.subject}: this chat cannot show it. Look at it in cockpit.")
        outbox.replace(message, {**body.data, "plain": True})

    async def _pause(self, error: Exception) -> None:
        """Wait longer after each failure, and tell the log about the first of a row."""
        seconds = min(FIRST_PAUSE * 2.0**self._failures, self.pace.longest_pause)
        self._failures += 1
        if type(error).__name__ not in self._told:
            self._told.add(type(error).__name__)
            await asyncio.to_thread(self._note, f"{error} Messages wait until it does.")
        await asyncio.sleep(seconds)

    def _note(self, text: str) -> None:
        self.teller.engine.store.note(Role.COMMUNICATOR, "note", text)
