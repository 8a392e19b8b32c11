"""What models did and what they may still cost, as values for whoever only looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cockpit.model.inquiries import ModelRecord
    from cockpit.model.states import Tier


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """A model with its record, and whether it may be asked now."""

    name: str
    record: ModelRecord
    model: str = ""
    """As litellm calls it; empty when it is not configured any more."""
    tier: Tier | None = None
    unasked: str = ""
    """Why it is not asked now; empty when it may be."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What models may cost in a span of time, and what they did."""

    name: str
    """`month` or `day`."""
    spent: float
    limit: float

    @property
    def used(self) -> float:
        """The share that is used, 1 for all of it; all where nothing may be spent."""
        return self.spent / self.limit if self.limit > 0 else 1.0
