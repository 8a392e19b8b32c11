"""What models may cost: by month, day and incident, as the log has it, with what is under way counted in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from cockpit.model import Role
from cockpit.settings.models import ModelsSettings
from cockpit.store.store import Store

TOLD_AT = 0.8
"""The share of the month's budget at which the operator is told."""
TOLD = "models:budget-told"
"""Where the log keeps the month for which that was done."""


class Spent(Exception):
    """A budget is used up; the message says which."""


@dataclass(frozen=True)
class Purse:
    """One of the budgets, as it stands."""

    name: str
    cap: float
    spent: float
    held: float
    """Dollars that calls under way may still cost."""

    @property
    def empty(self) -> bool:
        """Whether nothing may be spent any more."""
        return self.spent >= self.cap

    def has(self, dollars: float) -> bool:
        """Whether so much may be spent now; the last call may go over the cap, but nothing beside it."""
        return self.spent + self.held + dollars <= self.cap or self.held == 0


class Budget:
    """Lets a call begin when there is room for it.

    Args:
        settings: the caps.
        store: what was spent.
        clock: tells the day and the month.
    """

    def __init__(self, settings: ModelsSettings, store: Store, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._held: list[tuple[int | None, float]] = []
        self._freed = asyncio.Event()

    def check(self, incident: int | None) -> None:
        """Raise Spent when nothing may be spent any more."""
        for purse in self._purses(incident):
            if purse.empty:
                raise Spent(
                    f"the {purse.name}'s ${purse.cap:.2f} for models is used up (raise '{purse.name}' in [models])"
                )

    @asynccontextmanager
    async def room(self, incident: int | None, most: float) -> AsyncIterator[None]:
        """Hold what a call may cost until it is stored; near the cap it waits for those under way. Raises Spent.

        Args:
            incident: what it is for.
            most: dollars it costs at the most.
        """
        while True:
            self.check(incident)
            if all(purse.has(most) for purse in self._purses(incident)):
                break
            await self._freed.wait()
        held = (incident, most)
        self._held.append(held)
        try:
            yield
        finally:
            self._held.remove(held)
            self._freed.set()
            self._freed = asyncio.Event()

    def tell(self) -> None:
        """Say once a month that most of its budget is used up."""
        month = next(self._purses(None))
        name = datetime.fromtimestamp(self._clock()).strftime("%Y-%m")
        if month.spent < TOLD_AT * month.cap or self._store.reader.state(TOLD) == name:
            return
        self._store.remember(TOLD, name)
        self._store.note(
            Role.ANALYST,
            "budget",
            f"${month.spent:.2f} of the month's ${month.cap:.2f} for models is used up; "
            "with none left, only local ones are asked.",
            data={"spent": month.spent, "cap": month.cap},
        )

    def _purses(self, incident: int | None) -> Iterator[Purse]:
        asked, held = self._store.reader.asked, sum(dollars for _, dollars in self._held)
        today = datetime.fromtimestamp(self._clock()).replace(hour=0, minute=0, second=0, microsecond=0)
        month = today.replace(day=1)
        yield Purse("month", self._settings.month, asked.spent(month.timestamp()), held)
        yield Purse("day", self._settings.day, asked.spent(today.timestamp()), held)
        if incident is not None:
            own = sum(dollars for of, dollars in self._held if of == incident)
            yield Purse("incident", self._settings.incident, asked.spent_on(incident), own)
