"""The dead-man's ping: somebody elsewhere hears that the agent lives, and misses it when it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

STALLS_AFTER = 15.0
"""Seconds without a step after which the agent is not what one would call alive."""
ANSWERS_WITHIN = 10.0


class Pulse:
    """Tells for how long no agent took a step, also while one is started again and again.

    Args:
        stepped_at: when the agent that runs last took a step; None when none has.
        monotonic: the clock of those steps.
    """

    def __init__(self, stepped_at: Callable[[], float | None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stepped_at = stepped_at
        self._monotonic = monotonic
        self._last = monotonic()

    def __call__(self) -> float:
        """Seconds since the last step of any agent, or since this was made."""
        self._last = max(self._last, self._stepped_at() or self._last)
        return self._monotonic() - self._last


@dataclass
class Deadman:
    """Pings an address every so often, and its `/fail` when the agent is in trouble.

    Args:
        url: where to, as healthchecks.io gives it.
        every: seconds between two pings.
        stalled: seconds since an agent last took a step.
        tell: told when nobody hears the pings, and when somebody does again.
    """

    url: str
    every: float
    stalled: Callable[[], float]
    tell: Callable[[str], Awaitable[None]]
    pings: int = 0
    """How many were heard."""
    _deaf: bool = field(default=False)

    async def run(self) -> None:
        """Ping until cancelled."""
        while True:
            await self.ping()
            await asyncio.sleep(self.every)

    async def ping(self) -> None:
        """Ping once; a ping that is not heard is simply missed there, which is its purpose."""
        import httpx

        url = self.url if self.stalled() < STALLS_AFTER else failing(self.url)
        try:
            async with httpx.AsyncClient(timeout=min(ANSWERS_WITHIN, self.every)) as client:
                answer = await client.get(url)
            heard = answer.is_success
        except (httpx.HTTPError, httpx.InvalidURL):
            heard = False
        self.pings += heard
        if heard == self._deaf:
            self._deaf = not heard
            await self.tell("The dead-man's ping is " + ("heard again." if heard else "not heard: nobody answers it."))


def failing(url: str) -> str:
    """The address that reports trouble, beside the one that reports life."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/fail"))
