"""The faults of a running lab, as the screen and the command line offer them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence

from cockpit.lab.lab import Lab
from cockpit.lab.parts import Fault
from cockpit.model import CockpitError


class Faults:
    """What can go wrong in this lab, and doing it.

    Args:
        lab: the running lab.
        faults: its faults by name.
        every: seconds between two random faults; None for none.
    """

    def __init__(self, lab: Lab, faults: Mapping[str, Fault], every: float | None = None) -> None:
        self.lab = lab
        self.every = every
        self._faults = faults

    @property
    def faults(self) -> Sequence[Fault]:
        """All of them, by service."""
        return sorted(self._faults.values(), key=lambda fault: (fault.service, fault.name))

    async def inject(self, name: str) -> None:
        """Make it happen. Raises CockpitError for a name that is none."""
        await self._named(name).inject(self.lab)

    async def clear(self, name: str) -> None:
        """Take it away, whether or not it was mended. Raises CockpitError for a name that is none."""
        await self._named(name).clear(self.lab)

    async def chaos(self) -> None:
        """Inject a random fault now and then, until cancelled; the one before is cleared first."""
        last: Fault | None = None
        while self.every is not None:
            await asyncio.sleep(self.every)
            if last:
                await last.clear(self.lab)
            last = random.choice(self.faults)  # noqa: S311 - picks a fault for a demo, guards nothing
            await last.inject(self.lab)

    def _named(self, name: str) -> Fault:
        if name not in self._faults:
            raise CockpitError(f"The lab has no fault '{name}'.", f"Its faults: {', '.join(sorted(self._faults))}.")
        return self._faults[name]
