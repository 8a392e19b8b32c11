"""Takes alerts in: posts wait together, one thread commits them, and each is answered after its commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cockpit.model import CockpitError
from cockpit.serve.http.answers import Problem
from cockpit.store.intake import Report

MOST_AT_ONCE = 250
"""Reports in one transaction, so that others who write wait no longer than that takes; a larger post takes several."""
GATHERS = 0.002
"""Seconds that a commit waits for whoever was just answered: most post again at once, and one costs less than two."""
Commit = Callable[[Sequence[Report]], None]


@dataclass(slots=True)
class _Waiting:
    reports: Sequence[Report]
    done: asyncio.Future[None]


class Intake:
    """The queue in front of the log.

    Args:
        commit: writes reports in one transaction, or none of them.
        limit: reports that may wait.
    """

    def __init__(self, commit: Commit, limit: int) -> None:
        self._commit = commit
        self._limit = limit
        self._waiting: list[_Waiting] = []
        self._size = 0
        self._wanted = 1
        self._news = asyncio.Event()
        self.refused = 0
        """Posts that could not be written, or had to wait too long."""

    async def add(self, reports: Sequence[Report]) -> None:
        """Return when all of them are on the disk.

        Raises Problem 503 when not all are, and they may be sent again: what is there already is just counted.
        """
        if not reports:
            return
        if self._size and self._size + len(reports) > self._limit:
            self.refused += 1
            raise _later("Too many alerts wait for the disk.")
        if len(reports) <= MOST_AT_ONCE:
            await self._queued(reports).done
        else:
            starts = range(0, len(reports), MOST_AT_ONCE)
            await _all([self._queued(reports[start : start + MOST_AT_ONCE]) for start in starts])

    def _queued(self, reports: Sequence[Report]) -> _Waiting:
        post = _Waiting(reports, asyncio.get_running_loop().create_future())
        self._waiting.append(post)
        self._size += len(reports)
        self._look()
        return post

    async def run(self) -> None:
        """Commit what waits, until cancelled; what still waits then is refused."""
        with ThreadPoolExecutor(1, "intake") as thread:
            batch: list[_Waiting] = []
            try:
                while True:
                    await self._gathered(len(batch))
                    batch = self._next()
                    errors = await asyncio.get_running_loop().run_in_executor(thread, self._write, batch)
                    self.refused += sum(error is not None for error in errors)
                    _tell(batch, errors)
            finally:
                for post in (*batch, *self._waiting):
                    if not post.done.done():
                        post.done.set_exception(_later("Cockpit is ending."))

    async def _gathered(self, answered: int) -> None:
        """Return when as many posts wait as did before so many were answered, or, a moment later, when any does."""
        self._want(len(self._waiting) + answered)
        moment = asyncio.get_running_loop().call_later(GATHERS, self._want, 1)
        try:
            await self._news.wait()
        finally:
            moment.cancel()

    def _want(self, posts: int) -> None:
        self._wanted = max(posts, 1)
        self._look()

    def _look(self) -> None:
        if len(self._waiting) >= self._wanted or self._size >= MOST_AT_ONCE:
            self._news.set()
        else:
            self._news.clear()

    def _next(self) -> list[_Waiting]:
        count, size = 0, 0
        for post in self._waiting:
            if count and size + len(post.reports) > MOST_AT_ONCE:
                break
            count, size = count + 1, size + len(post.reports)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._size -= size
        return batch

    def _write(self, batch: Sequence[_Waiting]) -> list[Exception | None]:
        """Commit all posts together; where that fails, each by itself, so that one does not drag others down."""
        try:
            self._commit([report for post in batch for report in post.reports])
        except Exception as error:  # whatever it is, it is told to whoever posted
            if len(batch) == 1:
                return [error]
            return [self._write([post])[0] for post in batch]
        return [None] * len(batch)


async def _all(parts: Sequence[_Waiting]) -> None:
    """Wait for every part, also when one fails; raise what the first one raised."""
    for ended in await asyncio.gather(*(part.done for part in parts), return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended


def _tell(batch: Sequence[_Waiting], errors: Sequence[Exception | None]) -> None:
    for post, error in zip(batch, errors, strict=True):
        if post.done.done():
            continue
        if error is None:
            post.done.set_result(None)
        else:
            post.done.set_exception(_later(str(error)) if isinstance(error, CockpitError) else error)


def _later(why: str) -> Problem:
    return Problem(503, why, "Send it again.", {"Retry-After": "1"})
