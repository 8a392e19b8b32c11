"""How fast counters rise between two probes of a service.

A probe is opened anew each time, and servers give many figures only as totals since their
start. The last value of each counter is therefore kept here, for the life of this process.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

SHORTEST = 0.2
"""Seconds; two readings closer than this give no rate of their own."""


@dataclass(frozen=True)
class _Reading:
    at: float
    value: float
    rate: float


_LAST: dict[tuple[str, str], _Reading] = {}


def per_second(service: str, counter: str, value: float) -> float:
    """The rise of a counter per second since it was last given; 0.0 the first time and after a restart."""
    now = time.monotonic()
    last = _LAST.get((service, counter))
    if last and now - last.at < SHORTEST and value >= last.value:
        return last.rate
    rate = (value - last.value) / (now - last.at) if last and now > last.at and value >= last.value else 0.0
    _LAST[service, counter] = _Reading(now, value, rate)
    return rate
