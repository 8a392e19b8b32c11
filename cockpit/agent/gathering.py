"""Readings that come at about the same time are written together: a commit is dear, most of all for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cockpit.model import Health, Service
from cockpit.store.store import Store

PATIENCE = 0.05
"""Seconds that a reading waits at the most for those of other probes that are under way."""


@dataclass
class Gathering:
    """What was read and is not yet written.

    Args:
        store: where readings go.
        write: writes one of them, and what follows from it.
    """

    store: Store
    write: Callable[[Service, Health], None]
    _under_way: int = 0
    _waiting: list[tuple[Service, Health, asyncio.Future[None]]] = field(default_factory=list)
    _end: asyncio.TimerHandle | None = None

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """A probe is under way: what was read meanwhile waits a moment for it."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def add(self, service: Service, health: Health) -> None:
        """Return when a reading, and what follows from it, is written. Raises StoreError when it cannot be."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._waiting.append((service, health, done))
        if not self._under_way:
            self._write_all()
        elif self._end is None:
            self._end = loop.call_later(PATIENCE, self._write_all)
        await done

    def _write_all(self) -> None:
        if self._end is not None:
            self._end.cancel()
        waiting, self._waiting, self._end = self._waiting, [], None
        error: Exception | None = None
        try:
            with self.store.together():
                for service, health, _ in waiting:
                    self.write(service, health)
        except Exception as what:  # whatever it is, it is told to whoever looked
            error = what
        for _, _, done in waiting:
            if done.done():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
