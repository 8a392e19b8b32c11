"""The services with their state, latency and the one number that matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cockpit.model import Level, Watched
from widgets.figures import age, duration, spark
from widgets.line import Ink, Line, Part, cells, column, line
from widgets.rows import Row, Rows
from widgets.signs import LEVELS

ORDER = {Level.DOWN: 0, Level.DEGRADED: 1, Level.UNKNOWN: 2, Level.UP: 3}
STALE_AFTER = 3
"""Intervals without a probe after which what is shown is old."""


@dataclass(frozen=True)
class Seen:
    """A service with the last that is known of it, and its recent latencies in seconds."""

    watched: Watched
    latencies: tuple[float, ...] = ()

    def stale(self, now: float) -> bool:
        """Whether its last probe is too long ago to be believed."""
        checked = self.watched.checked_at
        return (
            checked is None
            or now - checked > STALE_AFTER * self.watched.service.interval + self.watched.service.timeout
        )


class Services(Rows):
    """Every service, those in trouble first."""

    TITLE = "Services"
    HELP = "Every service that is watched, those in trouble first. The bars are the last latencies of its probe."
    EMPTY_TEXT: ClassVar[str] = "No service is configured yet. Leave with q, then run: cockpit init"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._seen: Sequence[Seen] = ()
        self._now = 0.0
        self._written: dict[str, tuple[tuple[object, ...], Line]] = {}
        """The line of each service, and what it was written from: most are as they were when one changes."""

    def show(self, seen: Sequence[Seen], now: float) -> None:
        """Show these services as of `now`."""
        self._seen = sorted(seen, key=lambda each: (ORDER[each.watched.health.level], each.watched.service.name))
        self._now = now
        self.entitle(f"{self.TITLE}  {len(seen)}" if seen else self.TITLE)
        self.update()

    def rows(self, room: int) -> Sequence[Row]:
        """One row a service."""
        name = min(max((cells(each.watched.service.name) for each in self._seen), default=8), max(room // 3, 12))
        return [Row(each.watched.service.name, self._line(each, name, room)) for each in self._seen]

    def _line(self, seen: Seen, name: int, room: int) -> Line:
        old = seen.stale(self._now)
        made_of = (seen, name, room, old, self._summary(seen, old))
        known = self._written.get(seen.watched.service.name)
        if known is None or known[0] != made_of:
            known = self._written[seen.watched.service.name] = (made_of, self._row(*made_of))
        return known[1]

    def _row(self, seen: Seen, name: int, room: int, old: bool, summary: str) -> Line:
        watched = seen.watched
        sign = LEVELS[watched.health.level]
        parts: list[str | Part] = [
            (f" {sign.glyph} ", sign.ink),
            column(watched.service.name, name, Ink.STRONG),
            column(f" {sign.word}", 10, sign.ink),
        ]
        bars = 0 if room < 56 else 8 if room < 74 else 16 if room < 110 else 32
        if bars:
            parts.append((spark(seen.latencies, bars) + " ", Ink.CALM))
        parts.append(column(duration(watched.health.latency), 7, Ink.DIM, right=True))
        parts.append((f"  {summary}", Ink.DIM if old else Ink.PLAIN))
        return line(*parts)

    def _summary(self, seen: Seen, old: bool) -> str:
        watched = seen.watched
        if watched.checked_at is None:
            return "not probed yet"
        expected = "(expected) " if watched.service.expected_down else ""
        aged = (
            f"(as of {age(self._now - watched.checked_at)} ago) "
            if old and self._now - watched.checked_at >= 60
            else ""
        )
        return f"{expected}{aged}{watched.health.summary}"
