"""The door: which update comes from somebody on the allowlist, in the one chat; all others meet silence."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cockpit.serve.buckets import Buckets
from cockpit.settings.daemon import TelegramSettings
from cockpit.store.telegram import Person
from cockpit.text import clean, shorten

if TYPE_CHECKING:
    from telegram import CallbackQuery, Message, Update, User

MISSES, MISSES_PER_SECOND = 10, 1 / 60
"""Presses that were no presses of ours, after which a person's are not looked at; and how fast that is forgotten."""
CODE = re.compile(r"(?:/start )?((?:[2-9A-HJ-NP-Za-hj-np-z]{4}-){3}[2-9A-HJ-NP-Za-hj-np-z]{4})")
"""How an enrolment code looks, by itself or behind what Telegram puts before it when a link to the bot bears one."""
CODES, ALL_CODES, FORGOTTEN = 5, 50, 600.0
"""Codes that one person may try, and all together; and the seconds after which that is forgotten."""
LONGEST_NAME = 80


@dataclass(frozen=True)
class Said:
    """A text that somebody sent."""

    person: Person
    text: str


@dataclass(frozen=True)
class Pressed:
    """A button that somebody pressed."""

    person: Person
    query: str
    """The press's number, to tell the client that it arrived."""
    token: str


@dataclass(frozen=True)
class Enrols:
    """Somebody, known or not, who sent what looks like an enrolment code, to the bot alone."""

    person: int
    named: str
    """What they call themselves, which says nothing of who they are."""
    code: str


class Stranger(Exception):
    """An update that is not acted on; says why, in a few words without anything of the stranger's."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass
class Door:
    """Lets in what the settings allow."""

    settings: TelegramSettings
    monotonic: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._misses = Buckets(MISSES_PER_SECOND, MISSES, self.monotonic)
        self._codes = Buckets(CODES / FORGOTTEN, CODES, self.monotonic)
        self._all_codes = Buckets(ALL_CODES / FORGOTTEN, ALL_CODES, self.monotonic)

    def let_in(self, update: Update) -> Said | Pressed | Enrols:
        """What an update is, when it may be acted on. Raises Stranger for anything else."""
        if update.callback_query is not None:
            return self._press(update.callback_query)
        if update.message is not None:
            return self._message(update.message)
        raise Stranger("not a new message or a press")

    def missed(self, person: Person) -> None:
        """Count a press with a token that was never given to this person."""
        self._misses.take(person.id)

    def _message(self, message: Message) -> Said | Enrols:
        if message.sender_chat is not None:
            raise Stranger("in the name of a chat")
        if enrols := self._enrols(message):
            return enrols
        person = self._person(message.from_user, message.chat.id)
        if message.forward_origin is not None or message.is_automatic_forward or message.via_bot is not None:
            raise Stranger("a forwarded message", f"From {person.name}.")
        if not message.text:
            raise Stranger("a message without text", f"From {person.name}.")
        return Said(person, message.text)

    def _enrols(self, message: Message) -> Enrols | None:
        user, found = message.from_user, CODE.fullmatch(message.text or "")
        if found is None or user is None or user.is_bot or message.chat.type != "private" or message.chat.id != user.id:
            return None
        if message.forward_origin is not None or message.via_bot is not None:
            return None
        if not (self._codes.take(user.id) and self._all_codes.take(None)):
            raise Stranger("too many enrolment codes", f"The last was from user {user.id}.")
        named = f"{user.full_name} (@{user.username})" if user.username else user.full_name
        return Enrols(user.id, shorten(clean(named), LONGEST_NAME), found[1].upper())

    def _press(self, query: CallbackQuery) -> Pressed:
        if query.inline_message_id is not None or query.message is None:
            raise Stranger("a press outside the chat")
        person = self._person(query.from_user, query.message.chat.id)
        if not query.data:
            raise Stranger("a press without data", f"From {person.name}.")
        if self._misses.empty(person.id):
            raise Stranger("locked after many false presses", f"From {person.name}.")
        return Pressed(person, query.id, query.data)

    def _person(self, user: User | None, chat: int) -> Person:
        if user is None or user.is_bot:
            raise Stranger("not from a person")
        known: Mapping[int, Person] = {
            each.id: Person(each.id, each.name, frozenset(each.rights)) for each in self.settings.users
        }
        if user.id not in known:
            raise Stranger("not on the allowlist", f"The last was user {user.id}.")
        if chat != self.settings.chat:
            raise Stranger("in another chat", f"From {known[user.id].name}.")
        return known[user.id]
