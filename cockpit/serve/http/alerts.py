"""The doors through which alerts come in."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from aiohttp import web

from cockpit.serve.http.alertmanager import Owner, Post, listed, webhook
from cockpit.serve.http.answers import JSON, SCHEMA_VERSION, encoded
from cockpit.serve.http.bodies import Bodies
from cockpit.serve.http.intake import Intake
from cockpit.serve.http.signs import Ends, Watchdog


class Alerts:
    """Takes posts in, and answers them once what they say is on the disk.

    Args:
        bodies: reads requests.
        intake: writes reports.
        owner: tells by labels which service an alert is about.
        watchdog: is told of the alert that always fires.
        ends: is told how long alerts of lists hold.
    """

    def __init__(self, bodies: Bodies, intake: Intake, owner: Owner, watchdog: Watchdog, ends: Ends) -> None:
        self._bodies = bodies
        self._intake = intake
        self._owner = owner
        self._watchdog = watchdog
        self._ends = ends

    async def either(self, request: web.Request) -> web.Response:
        """Alertmanager's webhook as an object, or a list of alerts."""
        return await self._take(request, _either)

    async def list(self, request: web.Request) -> web.Response:
        """A list of alerts, as Prometheus posts it to Alertmanager."""
        return await self._take(request, listed)

    async def _take(self, request: web.Request, read: Callable[[Any, Owner, float], Post]) -> web.Response:
        post = await self._bodies.load(request, lambda content: read(content, self._owner, time.time()))
        await self._intake.add(post.reports)
        if post.ends:
            self._ends.expect(post.ends, time.time())
        if post.watchdog:
            await self._watchdog.seen()
        return web.Response(body=_accepted(len(post.reports) + post.watchdog), headers=JSON)


def _either(content: Any, owner: Owner, now: float) -> Post:
    return listed(content, owner, now) if isinstance(content, list) else webhook(content, owner, now)


@lru_cache(maxsize=256)
def _accepted(alerts: int) -> bytes:
    return encoded({"schema_version": SCHEMA_VERSION, "accepted": alerts})
