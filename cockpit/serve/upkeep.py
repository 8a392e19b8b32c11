"""Keeps something running: what fails is started again after a pause that grows, and its failure is told once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from cockpit.serve.journal import explained

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
STEADY = 30.0
"""Seconds something has to run until its last failure is forgotten."""


@dataclass
class Upkeep:
    """Runs one thing for ever.

    Args:
        name: what it is called.
        start: makes the coroutine that runs it; it ends only by being cancelled, or by failing.
        tell: told when it fails, and when it runs again.
    """

    name: str
    start: Callable[[], Coroutine[None, None, None]]
    tell: Callable[[str], Awaitable[None]]
    _told: bool = False

    async def run(self) -> None:
        """Keep it running until cancelled."""
        pause = FIRST_PAUSE
        while True:
            error, steady = await self._once()
            if steady:
                pause = FIRST_PAUSE
            if not self._told:
                why = explained(error) if error else "it ended by itself."
                await self.tell(f"{self.name} failed and is started again: {why}")
                self._told = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _once(self) -> tuple[BaseException | None, bool]:
        """Run it to its end; returns its error, and whether it had run for a while."""
        task = asyncio.create_task(self.start(), name=self.name)
        try:
            ended, _ = await asyncio.wait([task], timeout=STEADY)
            if not ended:
                await self._runs_again()
                await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            raise
        return None if task.cancelled() else task.exception(), not ended

    async def _runs_again(self) -> None:
        if self._told:
            await self.tell(f"{self.name} runs again.")
            self._told = False
