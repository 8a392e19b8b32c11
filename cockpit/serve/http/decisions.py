"""Where a person decides about a proposal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import asdict
from typing import Any

from aiohttp import web

from cockpit.engine import Engine
from cockpit.model import CockpitError, Verdict
from cockpit.serve.http.answers import Problem, answer
from cockpit.serve.http.bodies import Bodies
from cockpit.serve.http.reads import identity
from cockpit.store.connection import StoreError

CHANNEL = "http"
VERDICTS = {"approved": Verdict.APPROVED, "denied": Verdict.DENIED}
LONGEST_REASON = 500
WHO: ContextVar[str] = ContextVar("who")
"""Who asks, as the gate found out by the token; each request has a context of its own."""


class Decisions:
    """Takes decisions in.

    Args:
        engine: decides in one conditional update.
        bodies: reads requests.
    """

    def __init__(self, engine: Engine, bodies: Bodies) -> None:
        self._engine = engine
        self._bodies = bodies

    async def decide(self, request: web.Request) -> web.Response:
        """Approve or deny a proposal as it was shown; 409 when somebody did already, or it is another by now."""
        proposal, wanted = identity(request), await self._bodies.load(request, _read)
        await self._known(proposal)
        try:
            decision = await self._engine.decide(
                proposal,
                wanted["digest"],
                VERDICTS[wanted["verdict"]],
                channel=CHANNEL,
                reason=wanted.get("reason", ""),
                name=wanted.get("name", ""),
                by=WHO.get(),
            )
        except StoreError as error:
            raise Problem(503, error.what, error.fix, {"Retry-After": "1"}) from error
        except CockpitError as error:
            raise Problem(409, error.what, error.fix) from error
        return answer(decision=asdict(decision))

    async def _known(self, proposal: int) -> None:
        try:
            await asyncio.to_thread(self._engine.reader.proposal, proposal)
        except StoreError as error:
            raise Problem(503, error.what, error.fix, {"Retry-After": "1"}) from error
        except CockpitError as error:
            raise Problem(404, error.what, "List them at /api/v1/proposals.") from error


def _read(content: Any) -> Mapping[str, str]:
    """The parts of a decision. Raises Problem 400 for anything that is not meant."""
    known = ("digest", "verdict", "reason", "name")
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise Problem(400, "A decision is an object of texts.", f"Send: {', '.join(known)}.")
    for key in content:
        if key not in known:
            raise Problem(400, f"'{key}' is no part of a decision.", f"Known: {', '.join(known)}.")
    if content.get("verdict") not in VERDICTS:
        raise Problem(400, "'verdict' must be 'approved' or 'denied'.", "Decide one way or the other.")
    if not re.fullmatch(r"[0-9a-f]{64}", content.get("digest", "")):
        raise Problem(400, "'digest' must be the digest that was shown, 64 hex digits.", "Send it as it was shown.")
    if len(content.get("reason", "")) > LONGEST_REASON:
        raise Problem(400, f"'reason' must have {LONGEST_REASON} characters at the most.", "Shorten it.")
    return content
