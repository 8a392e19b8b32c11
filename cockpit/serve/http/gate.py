"""What every request passes: its rate, its token, a time to be answered in, and an answer whatever happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from cockpit.model import CockpitError
from cockpit.serve.buckets import Buckets
from cockpit.serve.http.access import Access
from cockpit.serve.http.answers import PLAIN, Problem, failure
from cockpit.serve.http.decisions import WHO
from cockpit.serve.http.limits import Limits
from cockpit.serve.http.routes import needed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = logging.getLogger(__name__)


class Gate:
    """The one middleware.

    Args:
        access: knows the tokens.
        limits: how much anybody may ask for.
    """

    def __init__(self, access: Access, limits: Limits) -> None:
        self._access = access
        self._limits = limits
        self._rates = Buckets(limits.requests_per_second, limits.requests_per_second)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pass a request on, and answer it whatever happens."""
        try:
            return await self._answered(request, handler)
        except Problem as problem:
            return failure(problem)
        except CockpitError as error:
            return failure(Problem(503, error.what, error.fix, {"Retry-After": "1"}))
        except web.HTTPException as error:
            return failure(_told(request, error))
        except TimeoutError:
            return failure(Problem(503, "This took too long.", "Ask again.", {"Retry-After": "5"}))
        except Exception:  # the outermost edge: the peer learns nothing of it, the log does
            log.exception("A request failed.")
            return failure(Problem(500, "Something went wrong here.", "Look into cockpit's log."))

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._rates.take(request.remote or ""):
            raise Problem(429, "Too many requests come from here.", "Ask less often.", {"Retry-After": "1"})
        needs = needed(request)
        WHO.set(self._access.check(request, needs.scope))
        if needs.patient:
            return await handler(request)
        async with asyncio.timeout(self._limits.answer_seconds):
            response = await handler(request)
        if "Server" not in response.headers:
            response.headers.update(PLAIN)
        return response


def _told(request: web.Request, error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Problem(405, f"This takes {allowed}.", "Use one of them.", {"Allow": allowed})
    if error.status == 404:
        return Problem(404, "There is nothing here.", "All there is stands in /api/v1/openapi.json.")
    return Problem(error.status, f"{error.reason}.", "All there is stands in /api/v1/openapi.json.")
