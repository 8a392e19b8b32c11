"""Whether the daemon lives, and whether it can do its work: for load balancers and watchdogs."""

from __future__ import annotations

import asyncio

from aiohttp import web

from cockpit.engine import Engine
from cockpit.model import CockpitError
from cockpit.serve.http.answers import Problem, answer


class State:
    """Answers whoever only wants to know whether we are there.

    Args:
        engine: whose state it is.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def healthy(self, request: web.Request) -> web.Response:
        """200 as long as anything answers at all."""
        return answer(healthy=True)

    async def ready(self, request: web.Request) -> web.Response:
        """200 when alerts can be stored and acted upon; else 503 with the reason."""
        try:
            await asyncio.to_thread(self._engine.reader.last_event)
        except CockpitError as error:
            raise Problem(503, error.what, error.fix) from error
        if not self._engine.acts:
            raise Problem(503, "Another process acts on this log.", "Ask that one.")
        return answer(ready=True)
