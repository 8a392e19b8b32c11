"""The listener: takes in updates, each with all its effects in one transaction, so that none counts twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from cockpit.model import CockpitError, Role
from cockpit.serve.telegram.api import Api, Later, TelegramError, Unsure
from cockpit.serve.telegram.body import Body
from cockpit.serve.telegram.commands import Commands
from cockpit.serve.telegram.door import Door, Enrols, Pressed, Said, Stranger
from cockpit.serve.telegram.pace import Pace
from cockpit.serve.telegram.presses import Presses
from cockpit.serve.telegram.teller import Teller
from cockpit.settings.daemon import Right, TelegramSettings
from cockpit.store.connection import StoreError
from cockpit.store.outbox import Draft, Rank
from cockpit.store.telegram import Denial

if TYPE_CHECKING:
    from telegram import Update

Entry: TypeAlias = Said | Pressed | Enrols | Stranger
FIRST_PAUSE = 0.5
SIGN_WITHIN = 0.5
"""Seconds that what comes of a press waits for its client to be told that it arrived."""
LAST_UPDATE = 2**62
TOLD = ("without the right", "asked for by the same person")
"""Why a press did not count, where the person who pressed should know."""


@dataclass
class Listener:
    """Acts on the updates that the door lets in; asks for them, unless they are brought."""

    api: Api
    teller: Teller
    settings: TelegramSettings
    pace: Pace
    news: asyncio.Event
    """Set when something was put into the outbox."""
    name: str = ""
    """The bot's own name, by which commands in a group address it."""
    clock: Callable[[], float] = time.time
    door: Door = field(init=False)
    _answers: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.door = Door(self.settings)
        self.commands = Commands(self.teller, self.clock)
        self.presses = Presses(self.teller, self.commands, self.pace, self.clock)

    async def run(self) -> None:
        """Listen for ever; cancel to end."""
        pause, told = FIRST_PAUSE, False
        while True:
            try:
                offset = await asyncio.to_thread(self.teller.log.offset, self.clock())
                for raw in await self.api.updates(offset):
                    await self.take(raw)
                pause, told = FIRST_PAUSE, False
            except Later as later:
                await asyncio.sleep(later.seconds)
            except TelegramError as error:
                if not told and not isinstance(error, Unsure):
                    text = f"{error} Decisions over Telegram wait until it does."
                    await asyncio.to_thread(self.teller.engine.store.note, Role.COMMUNICATOR, "note", text)
                    told = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, self.pace.longest_pause)

    async def take(self, raw: Any) -> None:
        """Act on one update, once. Raises StoreError when the log cannot be written: the update comes again."""
        number = raw.get("update_id") if isinstance(raw, Mapping) else None
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < LAST_UPDATE:
            return
        update = self.api.read(raw)
        entry: Entry
        try:
            if update is None:
                raise Stranger("not readable")
            entry = self.door.let_in(update)
        except Stranger as stranger:
            entry = stranger
        if isinstance(entry, Pressed):
            await self._answer(entry)
        await asyncio.to_thread(self._act, number, entry, update)
        self.news.set()

    async def _answer(self, press: Pressed) -> None:
        """Tell the client that its press arrived, before anything comes of it; a slow Telegram holds nothing up."""
        task = asyncio.create_task(self._answered(press.query))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
        await asyncio.wait([task], timeout=SIGN_WITHIN)

    async def _answered(self, query: str) -> None:
        try:
            await self.api.answer(query)
        except TelegramError:
            return  # the client's own sign ends by itself; the press counts all the same

    def _act(self, number: int, entry: Entry, update: Update | None) -> None:
        with self.teller.engine.store.together():
            if not self.teller.log.first_time(number, self.clock()):
                return
            try:
                with self.teller.engine.store.together():
                    answers = self._answers_to(entry)
            except StoreError:
                raise
            except CockpitError as error:
                answers = [Body().add(str(error))]
            except Exception as error:  # the outermost edge: an update that we cannot bear must not come for ever
                text = f"An update from Telegram failed: {type(error).__name__}: {error}"
                self.teller.engine.store.note(Role.COMMUNICATOR, "note", text)
                answers = []
            for position, body in enumerate(answers):
                draft = Draft(f"answer:{number}:{position}", body.data, Rank.ANSWER)
                self.teller.log.outbox.put(draft, now=self.clock())

    def _answers_to(self, entry: Entry) -> list[Body]:
        if isinstance(entry, Stranger):
            self.teller.log.refuse(entry.reason, entry.detail, self.clock())
            return []
        if isinstance(entry, Enrols):  # whoever asked for the code is told, the sender is not
            if not self.teller.log.redeem(entry.code, entry.person, entry.named, self.clock()):
                self.teller.log.refuse("a wrong enrolment code", f"From user {entry.person}.", self.clock())
            return []
        return self._pressed(entry) if isinstance(entry, Pressed) else self._said(entry)

    def _pressed(self, press: Pressed) -> list[Body]:
        try:
            button = self.teller.log.press(press.token, press.person, self.settings.chat, self.clock())
            return self.presses.carry_out(button, press.person)
        except Denial as denial:
            self.teller.log.refuse(f"a press that was {denial.reason}", f"From {press.person.name}.", self.clock())
            if denial.reason in ("forged", "foreign"):
                self.door.missed(press.person)
            told = denial.reason in TOLD
            return [Body().add(f"{press.person.name}'s press does not count: it was {denial.reason}.")] if told else []

    def _said(self, said: Said) -> list[Body]:
        if not said.text.startswith("/"):
            return self.presses.typed(said.text, said.person, self.settings.chat) or []
        command, *words = said.text.split()
        name, _, addressed = command[1:].partition("@")
        if addressed and addressed.lower() != self.name.lower():
            return []
        if Right.SEE not in said.person.rights:
            self.teller.log.refuse("a command without the right", f"From {said.person.name}.", self.clock())
            return []
        return self.commands.run(name.lower(), words, said.person)
