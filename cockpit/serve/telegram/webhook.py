"""The webhook: where Telegram brings updates to. It listens at an address of its own, where nothing else answers."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from cockpit.model import CockpitError, Role
from cockpit.serve.buckets import Buckets
from cockpit.serve.http.answers import PLAIN, Problem, failure
from cockpit.serve.http.bodies import Bodies
from cockpit.serve.http.connections import Door
from cockpit.serve.http.limits import Limits
from cockpit.serve.http.listening import LINGERS, listen, tls
from cockpit.serve.telegram.api import Delivery, Hook, TelegramError
from cockpit.serve.telegram.listener import Listener
from cockpit.settings.daemon import WebhookSettings

HEADER = "X-Telegram-Bot-Api-Secret-Token"
FORGED_PER_MINUTE = 10
"""Posts without the secret that are counted in the log, of one address; more are turned away unread and uncounted."""
LIMITS = Limits(connections=64, header_seconds=5.0, body_seconds=10.0)
log = logging.getLogger(__name__)


@dataclass
class Webhook:
    """Takes in what Telegram brings; each update is answered after its effects are on the disk."""

    listener: Listener
    settings: WebhookSettings
    hook: Hook = field(init=False)
    """A new secret at each start: whoever learned an old one can do nothing with it."""
    port: int = 0
    """Where it listens, once it does."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _told: str = ""

    def __post_init__(self) -> None:
        self.hook = Hook(self.settings.url, secrets.token_urlsafe(32))
        self._secret = sha256(self.hook.secret.encode()).digest()
        self._path = urlsplit(self.settings.url).path or "/"
        self._bodies = Bodies(LIMITS.body_seconds)
        self._forged = Buckets(FORGED_PER_MINUTE / 60.0, FORGED_PER_MINUTE)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen meanwhile. Raises CockpitError when the address cannot be used."""
        context = tls(self.settings.certificate, self.settings.key)
        server, door = web.Server(self._answer), Door(LIMITS)
        opened = await listen(
            server, door, self.settings.host, self.settings.port, context=context, setting="telegram.webhook_bind"
        )
        self.port = opened.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            opened.close()
            await server.shutdown(LINGERS)

    async def watch(self) -> None:
        """Look now and then whether Telegram brings updates here, and say so when it cannot; cancel to end."""
        while True:
            await asyncio.sleep(self.listener.pace.check)
            with contextlib.suppress(TelegramError):  # the sender tells that Telegram cannot be reached
                found = await self.listener.api.delivery()
                if found.url != self.hook.url:
                    await self.listener.api.deliver(self.hook)
                await self._tell(found)

    async def _tell(self, found: Delivery) -> None:
        trouble = found.why if found.waiting else ""
        if trouble and trouble != self._told:
            text = f"Telegram cannot call {self.hook.url}: {trouble}. Decisions over Telegram wait until it can."
            await asyncio.to_thread(self.listener.teller.engine.store.note, Role.COMMUNICATOR, "note", text)
        self._told = trouble

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        try:
            await self._take(request)
        except Problem as problem:
            return failure(problem)
        except CockpitError as error:
            return failure(Problem(503, error.what, error.fix, {"Retry-After": "1"}))
        except Exception:  # the outermost edge: Telegram brings it again, the log says what went wrong
            log.exception("An update could not be taken in.")
            return failure(Problem(500, "Something went wrong here.", "Look into cockpit's log."))
        return web.Response(headers=PLAIN)

    async def _take(self, request: web.BaseRequest) -> None:
        if request.raw_path.partition("?")[0] != self._path:
            raise Problem(404, "There is nothing here.")
        if request.method != "POST":
            raise Problem(405, "This takes POST.", headers={"Allow": "POST"})
        await self._check(request)
        update = await self._bodies.load(request, _as_it_is)
        async with self._turn:
            await self.listener.take(update)

    async def _check(self, request: web.BaseRequest) -> None:
        """Raises Problem unless the request bears the secret, once, and nothing of its body was looked at."""
        given = request.headers.getall(HEADER, [])
        digest = sha256("".join(given).encode("utf-8", "surrogateescape")).digest()
        if len(given) == 1 and hmac.compare_digest(digest, self._secret):
            return
        if not self._forged.take(request.remote or ""):
            raise Problem(429, "Too many requests without the secret came from here.", headers={"Retry-After": "60"})
        teller = self.listener.teller
        await asyncio.to_thread(teller.log.refuse, "a webhook post without the secret", "", self.listener.clock())
        raise Problem(403, "This is for Telegram alone.")


def _as_it_is(content: Any) -> Any:  # Any: whatever JSON holds
    return content
