"""Samples of the services: raw readings, and cells that sum up longer spans."""

from __future__ import annotations

import json
import math
import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from cockpit.model import Health, canonical

if TYPE_CHECKING:
    from cockpit.store.transaction import Transaction

LATENCY = "latency_seconds"
SHORT, LONG = 300, 3600
"""Seconds that one cell sums up: after a day, and after 30 days."""
CELLS = 24
"""Cells in a chunk: two hours of short ones, a day of long ones."""
FORMAT = struct.Struct("<Hfff")
LARGEST = 3.4e38
"""What fits into a cell's numbers, which have seven digits: they are there to be plotted."""

APPEND = "insert or replace into reading (service, at, layout, sample_values) values (?, ?, ?, ?)"

Fetch = Callable[..., list[sqlite3.Row]]


class Cell(NamedTuple):
    """What the readings within one span were."""

    readings: int
    average: float
    minimum: float
    maximum: float

    def joined(self, other: Cell) -> Cell:
        """Both cells as one."""
        readings = self.readings + other.readings
        average = self.average + (other.average - self.average) * other.readings / readings
        return Cell(readings, average, min(self.minimum, other.minimum), max(self.maximum, other.maximum))


def finite(health: Health) -> dict[str, float]:
    """The samples of a probe, its latency among them, without those that are no numbers."""
    readings = dict(health.samples)
    if health.latency is not None:
        readings[LATENCY] = health.latency
    return {name: float(value) for name, value in readings.items() if math.isfinite(value)}


def append(log: Transaction, service: sqlite3.Row, at: float, readings: Mapping[str, float]) -> None:
    """Keep the raw readings of one probe of a service, given its row."""
    if not readings:
        return
    names = sorted(readings)
    layout = _layout(log, canonical(names))
    if service["layout"] != layout:
        _name_series(log, service["id"], names, layout)
    values = struct.pack(f"<{len(names)}d", *(readings[name] for name in names))
    log.execute(APPEND, service["id"], at, layout, values)


def _layout(log: Transaction, names: str) -> int:
    row = log.one("select id from layout where names = ?", names)
    return row["id"] if row else log.insert("layout", names=names)


def _name_series(log: Transaction, service: int, names: list[str], layout: int) -> None:
    log.execute("update service set layout = ? where id = ?", layout, service)
    for name in names:
        log.execute("insert or ignore into series (service, name) values (?, ?)", service, name)


def packed(cells: Mapping[int, Cell]) -> bytes:
    """A chunk's cells by position as the bytes that are stored; a missing one has a count of 0."""
    return b"".join(_pack(cells.get(position)) for position in range(CELLS))


def _pack(cell: Cell | None) -> bytes:
    if cell is None:
        return bytes(FORMAT.size)
    numbers = (max(-LARGEST, min(LARGEST, number)) for number in (cell.average, cell.minimum, cell.maximum))
    return FORMAT.pack(min(cell.readings, 0xFFFF), *numbers)


def unpacked(stored: bytes) -> dict[int, Cell]:
    """The cells of a chunk that hold anything, by position."""
    cells = enumerate(FORMAT.iter_unpack(stored))
    return {position: Cell(*values) for position, values in cells if values[0]}


def between(fetch: Fetch, service: str, name: str, since: float, until: float) -> list[tuple[float, float]]:
    """Time and value of a sample over a span, each part of it at the finest resolution that is kept.

    Cells give their average at the middle of their span. Raw readings, cells of 5 minutes
    and cells of an hour follow each other in time, for a reading is kept in one form only.
    """
    points = [*_from_chunks(fetch, service, name, since, until), *_raw(fetch, service, name, since, until)]
    return sorted(points)


CHUNKS = """
select chunk.span, chunk.start, chunk.cells from chunk join series on series.id = chunk.series
join service on service.id = series.service
where service.name = ? and series.name = ? and chunk.span = ? and chunk.start > ? and chunk.start <= ?
"""
READINGS = """
select reading.at, reading.sample_values, layout.names from reading
join service on service.id = reading.service join layout on layout.id = reading.layout
where service.name = ? and reading.at >= ? and reading.at <= ?
"""
RECENT = """
select reading.at, reading.sample_values, layout.names from reading
join service on service.id = reading.service join layout on layout.id = reading.layout
where service.name = ? order by reading.at desc limit ?
"""


def _from_chunks(fetch: Fetch, service: str, name: str, since: float, until: float) -> Iterator[tuple[float, float]]:
    for span in (LONG, SHORT):
        for row in fetch(CHUNKS, service, name, span, since - span * CELLS, until):
            for position, cell in unpacked(row["cells"]).items():
                middle = row["start"] + (position + 0.5) * span
                if since <= middle <= until:
                    yield middle, cell.average


def _raw(fetch: Fetch, service: str, name: str, since: float, until: float) -> list[tuple[float, float]]:
    return _picked(fetch(READINGS, service, since, until), name)


def recent(fetch: Fetch, service: str, name: str, points: int) -> list[float]:
    """The last raw values of a sample, oldest first."""
    return [value for _, value in reversed(_picked(fetch(RECENT, service, points), name))]


def _picked(rows: list[sqlite3.Row], name: str) -> list[tuple[float, float]]:
    places: dict[str, int | None] = {}
    points = []
    for row in rows:
        names = row["names"]
        if names not in places:
            listed = json.loads(names)
            places[names] = listed.index(name) if name in listed else None
        place = places[names]
        if place is not None:
            points.append((row["at"], struct.unpack_from("<d", row["sample_values"], place * 8)[0]))
    return points
