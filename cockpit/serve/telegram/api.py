"""The Bot API: one method a request, and every way it can fail as one of five."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from cockpit.model import CockpitError
from cockpit.serve.telegram.body import Span
from cockpit.serve.telegram.pace import Pace

if TYPE_CHECKING:
    from telegram import Bot, InlineKeyboardMarkup, MessageEntity, Update
    from telegram.request import HTTPXRequest

WANTED = ("message", "callback_query")
"""The kinds of update that are asked for; Telegram keeps the others to itself."""
GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")
SAME = "message is not modified"


class TelegramError(CockpitError):
    """Telegram did not do as asked."""


class Later(TelegramError):
    """It wants to be left alone for some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Telegram asks for {seconds:g} s of silence.")
        self.seconds = seconds


class NotDone(TelegramError):
    """It could not be reached, or says that it could not do it: nothing was done."""


class Unsure(TelegramError):
    """The connection ended before an answer: nobody knows whether it was done."""


class Rejected(TelegramError):
    """It will never do this as it stands."""


class Vanished(Rejected):
    """The message that should be edited is not there any more."""


class Barred(TelegramError):
    """The token is wrong, or the bot may not write to the chat."""


@dataclass(frozen=True)
class Key:
    """A button as it is sent."""

    label: str
    token: str


Keys = Sequence[Sequence[Key]]


@dataclass(frozen=True)
class Hook:
    """Where updates are to be brought to, and how whoever brings them shows that it is Telegram."""

    url: str
    secret: str


@dataclass(frozen=True)
class Delivery:
    """What Telegram says of a webhook."""

    url: str
    waiting: int
    """Updates that it has not brought yet."""
    why: str
    """Why it could not bring one the last time that it failed; empty when it never did."""


@dataclass(frozen=True)
class Api:
    """The bot's requests. Each raises a TelegramError; none takes longer than the time limit."""

    bot: Bot
    polling: HTTPXRequest
    chat: int
    pace: Pace

    async def begin(self, commands: Sequence[tuple[str, str]]) -> str:
        """Put the commands into the menu; returns the bot's name."""
        async with self._asked():
            me = await self.bot.get_me()
            await self.bot.set_my_commands(list(commands))
        return me.username or ""

    async def deliver(self, hook: Hook | None) -> None:
        """Have updates brought there, or with None kept until they are asked for; none of those that wait is lost."""
        async with self._asked():
            if hook is None:
                await self.bot.delete_webhook()
            else:
                await self.bot.set_webhook(hook.url, secret_token=hook.secret, allowed_updates=list(WANTED))

    async def delivery(self) -> Delivery:
        """How the bringing of updates goes."""
        async with self._asked():
            found = await self.bot.get_webhook_info()
        return Delivery(found.url, found.pending_update_count, found.last_error_message or "")

    async def updates(self, offset: int) -> list[Any]:
        """The updates from an offset on, raw: each is read by itself, so that a strange one holds up no other."""
        asked = {"timeout": int(self.pace.poll), "allowed_updates": json.dumps(WANTED)}
        query = urlencode(asked | ({"offset": offset} if offset else {}))
        async with self._asked(self.pace.poll + self.pace.timeout):
            found = await self.polling.post(
                f"{self.bot.base_url}/getUpdates?{query}", read_timeout=self.pace.poll + self.pace.timeout
            )
        # What the library types as a mapping is a list for this method.
        return list(found) if isinstance(found, list) else []

    def read(self, raw: Mapping[str, Any]) -> Update | None:
        """One update as the library reads it; None when it is none."""
        from telegram import Update

        try:
            return Update.de_json(dict(raw), self.bot)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
            return None

    async def send(self, text: str, spans: Sequence[Span], keys: Keys, *, silent: bool, answers: int | None) -> int:
        """Send a message; returns its number."""
        from telegram import LinkPreviewOptions

        async with self._asked():
            sent = await self.bot.send_message(
                self.chat,
                text,
                entities=_entities(spans),
                reply_markup=_keyboard(keys),
                disable_notification=silent,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
                reply_parameters=_reply(answers),
            )
        return sent.message_id

    async def edit(self, message: int, text: str, spans: Sequence[Span], keys: Keys) -> None:
        """Let a message say something else; that it says so already is no error."""
        from telegram import LinkPreviewOptions

        async with self._asked():
            await self.bot.edit_message_text(
                text,
                self.chat,
                message,
                entities=_entities(spans),
                reply_markup=_keyboard(keys),
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )

    async def attach(self, name: str, content: str, caption: str, *, answers: int | None) -> int:
        """Send a text as a file; returns its message's number."""
        async with self._asked():
            sent = await self.bot.send_document(
                self.chat,
                content.encode(),
                filename=name,
                caption=caption,
                disable_notification=True,
                reply_parameters=_reply(answers),
            )
        return sent.message_id

    async def answer(self, query: str) -> None:
        """Tell the client of somebody who pressed a button that the press arrived."""
        async with self._asked():
            await self.bot.answer_callback_query(query)

    @asynccontextmanager
    async def _asked(self, seconds: float | None = None) -> AsyncIterator[None]:
        """Turn the library's errors into ours, within a time limit."""
        import telegram.error

        try:
            async with asyncio.timeout(seconds or self.pace.timeout):
                yield
        except TimeoutError:
            raise Unsure("Telegram did not answer in time.") from None
        except telegram.error.TelegramError as error:
            meant = _meaning(error)
            if meant is not None:
                raise meant from None
        except (KeyError, TypeError, AttributeError, ValueError):
            raise Unsure("Telegram answered something that cannot be read.") from None


@asynccontextmanager
async def connected(token: str, base_url: str, chat: int, pace: Pace) -> AsyncIterator[Api]:
    """The Bot API, for as long as it is needed."""
    from telegram import Bot
    from telegram.request import HTTPXRequest

    _silence()
    long, short = pace.timeout, min(5.0, pace.timeout)
    async with AsyncExitStack() as stack:
        requests = [HTTPXRequest(size, read_timeout=long, write_timeout=long, connect_timeout=short) for size in (4, 1)]
        for request in requests:
            await request.initialize()
            stack.push_async_callback(request.shutdown)
        bot = Bot(token, base_url=f"{base_url}/bot", request=requests[0], get_updates_request=requests[1])
        yield Api(bot, requests[1], chat, pace)


def _silence() -> None:
    """Keep the token, which stands in every address, out of the logs; failures are told through the change log."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("telegram").setLevel(logging.CRITICAL)
    # The library's own switch: without it, each `retry_after` warns of a coming version.
    os.environ.setdefault("PTB_TIMEDELTA", "1")


def _meaning(error: Exception) -> TelegramError | None:
    """What an error of the library means; None when nothing is wrong."""
    from telegram import error as kinds

    text = str(error)
    if isinstance(error, kinds.RetryAfter):
        seconds = error.retry_after
        return Later(float(seconds) if isinstance(seconds, int) else seconds.total_seconds())
    if isinstance(error, kinds.BadRequest):
        return _rejected(text)
    if isinstance(error, kinds.Forbidden | kinds.InvalidToken | kinds.ChatMigrated):
        return Barred(f"Telegram lets the bot do nothing there: {_without_token(text)}.")
    if isinstance(error, kinds.Conflict):
        return NotDone("Another program asks Telegram for this bot's updates.", "Give each its own bot.")
    return _unreached(error, text)


def _rejected(text: str) -> TelegramError | None:
    lowered = text.lower()
    if SAME in lowered:
        return None
    return Vanished(text) if any(sign in lowered for sign in GONE) else Rejected(f"Telegram refuses: {text[:200]}.")


def _unreached(error: Exception, text: str) -> TelegramError:
    import httpx
    from telegram.error import NetworkError

    cause = error.__cause__
    never_sent = isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    answered = isinstance(error, NetworkError) and not isinstance(cause, httpx.HTTPError)
    if never_sent or answered:
        return NotDone(f"Telegram cannot be reached: {text[:200]}.")
    return Unsure(f"Telegram did not answer: {text[:200]}.")


def _without_token(text: str) -> str:
    return "the token was rejected" if "token" in text.lower() else text[:200]


def _entities(spans: Sequence[Span]) -> list[MessageEntity]:
    from telegram import MessageEntity

    return [MessageEntity(span.type, span.offset, span.length, language=span.language) for span in spans]


def _keyboard(keys: Keys) -> InlineKeyboardMarkup | None:
    from telegram import InlineKeyboardButton, InlineKeyboardMarkup

    rows = [[InlineKeyboardButton(key.label, callback_data=key.token) for key in row] for row in keys]
    return InlineKeyboardMarkup(rows) if rows else None


def _reply(answers: int | None) -> Any:
    from telegram import ReplyParameters

    return ReplyParameters(answers, allow_sending_without_reply=True) if answers else None
