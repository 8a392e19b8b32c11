"""A plot of one sample over time, in braille dots."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

from widgets.figures import number
from widgets.line import Ink, Line, line
from widgets.lines import Lines

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot of a braille cell, by row and column."""
AXIS = 9
GAP = 3.5
"""Usual steps between two readings after which they are no longer joined."""

Points = Sequence[tuple[float, float]]


class Plot(Lines, can_focus=False):
    """Readings of one sample between two moments; a gap in the data stays a gap."""

    TITLE = "Plot"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._about = ""
        self._points: Points = ()
        self._from = 0.0
        self._to = 1.0

    def show(self, title: str, about: str, points: Points, since: float, until: float) -> None:
        """Show these readings over that span, and what they measure."""
        self.entitle(title)
        self._about, self._points, self._from, self._to = about, points, since, until
        self.update()

    def body(self, room: int) -> Sequence[Line]:
        """The dots with their scale, and the times below."""
        about = (
            [line((" " * AXIS + self._about, Ink.DIM))]
            if self._about and self.scrollable_content_region.height > 7
            else []
        )
        height = max(self.scrollable_content_region.height - 1 - len(about), 1)
        if not self._points:
            return [line((" No readings in this span yet.", Ink.DIM))]
        low, high = self._scale()
        columns = max(room - AXIS - 1, 1)
        rows = braille(self._dots(columns * 2, height * 4, low, high), columns, height)
        return [*self._labelled(rows, low, high), self._times(columns), *about]

    def _scale(self) -> tuple[float, float]:
        """From the least to the greatest reading; one that never moves is drawn in the middle."""
        values = [value for _, value in self._points]
        low, high = min(values), max(values)
        return (low, high) if high > low else (low - (abs(low) or 1.0), high + (abs(high) or 1.0))

    def _dots(self, width: int, height: int, low: float, high: float) -> Iterator[tuple[int, int]]:
        """Each reading as a dot, joined to the one before unless readings are missing between them."""
        longest = GAP * usual_step(self._points)
        last: tuple[float, int, int] | None = None
        for at, value in self._points:
            x = int((at - self._from) / (self._to - self._from) * (width - 1))
            y = round((high - value) / (high - low) * (height - 1))
            if 0 <= x < width:
                joined = last is not None and at - last[0] <= longest
                yield from segment(last[1:] if last and joined else (x, y), (x, y))
                last = (at, x, y)

    def _labelled(self, rows: Sequence[str], low: float, high: float) -> Iterator[Line]:
        for index, row in enumerate(rows):
            label = number(high) if index == 0 else number(low) if index == len(rows) - 1 else ""
            yield line((f"{label:>{AXIS - 1}} ", Ink.DIM), (row, Ink.KEY))

    def _times(self, columns: int) -> Line:
        shape = "%H:%M" if self._to - self._from < 86400 * 2 else "%d %b"
        marks = [
            time.strftime(shape, time.localtime(self._from + part * (self._to - self._from))) for part in (0, 0.5, 1)
        ]
        left, middle, right = marks
        space = max(columns - len(left) - len(middle) - len(right), 2)
        return line((" " * AXIS + left + " " * (space // 2) + middle + " " * (space - space // 2) + right, Ink.DIM))


def usual_step(points: Points) -> float:
    """The median time between two readings."""
    steps = sorted(later[0] - earlier[0] for earlier, later in pairwise(points))
    return steps[len(steps) // 2] if steps else 0.0


def segment(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The dots of a straight line, without a hole."""
    (x0, y0), (x1, y1) = start, end
    count = max(abs(x1 - x0), abs(y1 - y0), 1)
    for step in range(count + 1):
        yield round(x0 + (x1 - x0) * step / count), round(y0 + (y1 - y0) * step / count)


def braille(dots: Iterator[tuple[int, int]], columns: int, rows: int) -> list[str]:
    """Dots (x, y) as rows of braille characters; y grows downwards."""
    cells = [[0] * columns for _ in range(rows)]
    for x, y in dots:
        cells[y // 4][x // 2] |= DOTS[y % 4][x % 2]
    return ["".join(chr(0x2800 + bits) if bits else " " for bits in row) for row in cells]
