"""Connections with an end: headers that never come, peers that never read, and too many at once."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiohttp import web

from cockpit.serve.http.answers import Problem, failure
from cockpit.serve.http.limits import Limits
from cockpit.settings.http import is_loopback

END = b"\r\n\r\n"
SHARE = 4
"""One address other than this machine has at most this part of all connections."""


class Door:
    """Counts who is inside. When it is full, whoever has stood there longest without asking for anything goes."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.silent: dict[Connection, None] = {}
        """Connections whose first request is not whole yet, oldest first."""
        self.inside: dict[Connection, str] = {}
        """All connections with their addresses."""

    def enter(self, connection: Connection, address: str) -> bool:
        """Let a connection in, if there is room for it."""
        if not is_loopback(address) and self._of(address) >= max(1, self.limits.connections // SHARE):
            return False
        if len(self.inside) >= self.limits.connections:
            if not self.silent:
                return False
            next(iter(self.silent)).drop()
        self.inside[connection] = address
        self.silent[connection] = None
        return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self.inside.pop(connection, None)
        self.silent.pop(connection, None)

    def _of(self, address: str) -> int:
        return sum(other == address for other in self.inside.values())


class Connection(web.RequestHandler):
    """aiohttp's connection with deadlines, for it waits without end for headers and for peers that do not read."""

    def __init__(self, door: Door, server: web.Server, **options: Any) -> None:  # Any: what aiohttp hands on
        super().__init__(server, **options)
        self._door = door
        self._peer: asyncio.Transport | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is room."""
        self._peer = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        if not self._door.enter(self, str(address[0]) if address else ""):
            self._peer.abort()
            return
        self._silence = asyncio.get_running_loop().call_later(self._door.limits.header_seconds, self.drop)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Hand data on, and see whether the first request has come to the end of its headers."""
        if self not in self._door.inside:
            return
        if self._silence is not None and self._ended(data):
            self._silence.cancel()
            self._silence = None
            self._door.silent.pop(self, None)
        super().data_received(data)

    def _ended(self, data: bytes) -> bool:
        seen = self._tail + data
        if not self._tail:
            seen = seen.lstrip(b"\r\n")  # empty lines before a request are none
        self._tail = seen[-3:]
        return END in seen

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it and its deadlines."""
        for timer in (self._silence, self._stuck):
            if timer is not None:
                timer.cancel()
        if self in self._door.inside:
            self._door.leave(self)
            super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The peer takes nothing more: give it a while."""
        super().pause_writing()
        self._stuck = asyncio.get_running_loop().call_later(self._door.limits.write_seconds, self.drop)

    def resume_writing(self) -> None:
        """The peer reads again."""
        if self._stuck is not None:
            self._stuck.cancel()
        super().resume_writing()

    def drop(self) -> None:
        """End it at once, whatever it was about."""
        if self._peer is not None:
            self._peer.abort()
        self._door.silent.pop(self, None)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP without repeating any of it."""
        problem = Problem(status, "This is no HTTP request that can be read.", "Speak HTTP/1.1.")
        if status >= 500:
            problem = Problem(status, "Something went wrong here.", "Look into cockpit's log.")
        response = failure(problem)
        response.force_close()
        return response
