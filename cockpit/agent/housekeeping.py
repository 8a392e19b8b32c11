"""What is done every few minutes beside the work: old samples become coarser, and the log's anchors are looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cockpit.model import Role
from cockpit.store.store import Store

EVERY = 300.0
"""Seconds between two turns."""


@dataclass
class Housekeeping:
    """Keeps the log in order, turn by turn."""

    store: Store
    clock: Callable[[], float] = time.time
    _told: Mapping[Path, str] = field(default_factory=dict)
    """The anchors that could not be kept at the last turn, each with why."""

    async def run(self) -> None:
        """Take turns until cancelled. Raises StoreError when the log cannot be written."""
        while True:
            await asyncio.to_thread(self.turn)
            await asyncio.sleep(EVERY)

    def turn(self) -> None:
        """Thin samples, and tell of anchors that cannot be kept, or are kept again."""
        self.store.thin(self.clock())
        troubles = dict(self.store.anchors.troubles)
        for path, why in troubles.items():
            if self._told.get(path) != why:
                self._note(
                    f"The anchor {path} cannot be kept: {why}. It does not tell meanwhile if the log is cut off."
                )
        for path in self._told.keys() - troubles.keys():
            self._note(f"The anchor {path} is kept again.")
        self._told = troubles

    def _note(self, text: str) -> None:
        self.store.note(Role.MONITOR, "note", text)
