"""The change feed as server-sent events: each reader goes through the log at its own pace."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict

from aiohttp import web

from cockpit.model import CockpitError, Event
from cockpit.serve.http.answers import PLAIN, Problem, encoded
from cockpit.store.reader import Reader

PAGE = 100
"""Events that are read for one reader at a time: nothing more of the log is held for it."""
POLL = 0.1
"""Seconds between two looks whether anybody wrote to the log."""
LOOKS = 1.0
"""Seconds after which a reader that went is noticed, though nothing happens."""
ALIVE = 15.0
"""Seconds after which a reader hears that the connection still stands."""


class Stream:
    """Tells readers of every event.

    Args:
        reader: the log.
        limit: readers at a time.
    """

    def __init__(self, reader: Reader, limit: int) -> None:
        self._reader = reader
        self._limit = limit
        self._news = asyncio.Event()
        self._ended = False
        self.open = 0

    async def run(self) -> None:
        """Wake the readers whenever something was written, until cancelled; then they are sent home."""
        version = -1
        try:
            while True:
                with contextlib.suppress(CockpitError):
                    if (found := self._reader.version()) != version:
                        version = found
                        self._wake()
                await asyncio.sleep(POLL)
        finally:
            self._ended = True
            self._wake()

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Events after `Last-Event-ID`, or from now on without it; each with its id."""
        after = await self._from(request)
        if self.open >= self._limit:
            raise Problem(503, "Too many read the event stream.", "Close one of them.", {"Retry-After": "10"})
        headers = {**PLAIN, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        self.open += 1
        try:
            await response.prepare(request)
            await response.write(b"retry: 2000\n\n")
            await self._follow(request, response, after)
        except ConnectionError:
            pass  # the reader went, or did not read and was dropped
        finally:
            self.open -= 1
        return response

    async def _from(self, request: web.Request) -> int:
        given = request.headers.get("Last-Event-ID")
        if given is None:
            return await asyncio.to_thread(self._reader.last_event)
        if not given.isascii() or not given.isdecimal() or len(given) > 18:
            raise Problem(400, "'Last-Event-ID' must be the id of an event.", "Send the last one you saw.")
        return int(given)

    async def _follow(self, request: web.Request, response: web.StreamResponse, after: int) -> None:
        quiet = 0.0
        while not self._ended and request.transport is not None:
            news = self._news
            if page := await asyncio.to_thread(self._reader.events, after=after, limit=PAGE):
                await response.write(b"".join(map(_told, page)))
                after, quiet = page[-1].id, 0.0
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOKS):
                    await news.wait()
            quiet += LOOKS
            if quiet >= ALIVE:
                await response.write(b": alive\n\n")
                quiet = 0.0

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _told(event: Event) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        event.id,
        event.kind.encode("ascii", "replace"),
        encoded(asdict(event)),
    )
