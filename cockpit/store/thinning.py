"""Makes samples coarser as they age: raw for a day, then cells of 5 minutes, then of an hour."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TypeAlias

from cockpit.store.samples import CELLS, LONG, SHORT, Cell, packed, unpacked
from cockpit.store.transaction import Transaction, ids

RAW_KEPT = 86_400.0
SHORT_KEPT = 30 * 86_400.0

READINGS = """
select reading.at, reading.sample_values, layout.names from reading join layout on layout.id = reading.layout
where reading.service = ? and reading.at >= ? and reading.at < ?
"""
OLDEST = "select min(at) as at from reading where service = ?"
OLD_SHORT = "select start, cells from chunk where series = ? and span = ? and start < ? order by start"
STORED = "select cells from chunk where series = ? and span = ? and start = ?"
KEEP = "insert or replace into chunk (series, span, start, cells) values (?, ?, ?, ?)"

Begin: TypeAlias = Callable[[], AbstractContextManager[Transaction]]


def thin(begin: Begin, now: float) -> None:
    """Sum up what is old enough; many short transactions, so that nobody waits long for one."""
    with begin() as log:
        services, series = ids(log.all("select id from service")), ids(log.all("select id from series"))
    for service in services:
        _sum_up_raw(begin, service, _aligned(now - RAW_KEPT, SHORT))
    for one in series:
        with begin() as log:
            _sum_up_short(log, one, _aligned(now - SHORT_KEPT, LONG))


def _aligned(at: float, span: int) -> int:
    """The start of the chunk that holds a time, so that a chunk is made whole in one go."""
    return math.floor(at / (span * CELLS)) * span * CELLS


def _sum_up_raw(begin: Begin, service: int, end: int) -> None:
    """Move the readings of a service from before `end` into cells, one chunk a transaction."""
    while True:
        with begin() as log:
            oldest = log.one(OLDEST, service)
            if oldest is None or oldest["at"] is None or oldest["at"] >= end:
                return
            _move_window(log, service, _aligned(oldest["at"], SHORT))


def _move_window(log: Transaction, service: int, start: int) -> None:
    stop = start + SHORT * CELLS
    cells: dict[str, dict[int, Cell]] = {}
    for row in log.all(READINGS, service, start, stop):
        names = json.loads(row["names"])
        position = int((row["at"] - start) // SHORT)
        for name, value in zip(names, struct.unpack(f"<{len(names)}d", row["sample_values"]), strict=True):
            _add(cells.setdefault(name, {}), position, Cell(1, value, value, value))
    series = {row["name"]: row["id"] for row in log.all("select id, name from series where service = ?", service)}
    for name, found in cells.items():
        _keep(log, series[name], SHORT, start, found)
    log.execute("delete from reading where service = ? and at >= ? and at < ?", service, start, stop)


def _sum_up_short(log: Transaction, series: int, end: int) -> None:
    """Move the 5-minute cells of a series from before `end` into cells of an hour."""
    days: dict[int, dict[int, Cell]] = {}
    for row in log.all(OLD_SHORT, series, SHORT, end):
        day = _aligned(row["start"], LONG)
        for position, cell in unpacked(row["cells"]).items():
            hour = int((row["start"] + position * SHORT - day) // LONG)
            _add(days.setdefault(day, {}), hour, cell)
    for day, cells in days.items():
        _keep(log, series, LONG, day, cells)
    log.execute("delete from chunk where series = ? and span = ? and start < ?", series, SHORT, end)


def _keep(log: Transaction, series: int, span: int, start: int, cells: Mapping[int, Cell]) -> None:
    """Store a chunk; readings that arrive late join the cells that are there."""
    stored = log.one(STORED, series, span, start)
    together = unpacked(stored["cells"]) if stored else {}
    for position, cell in cells.items():
        _add(together, position, cell)
    log.execute(KEEP, series, span, start, packed(together))


def _add(cells: dict[int, Cell], position: int, cell: Cell) -> None:
    cells[position] = cells[position].joined(cell) if position in cells else cell
