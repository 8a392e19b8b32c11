"""What a tool that an operator called has found or planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cockpit.model import JSON, Call, Finding, Plan, RunStatus
from widgets.line import Ink, Line, block, cut, line
from widgets.plan import plan_lines, text_of

ROWS = 50
"""Entries of one list that are shown."""


def finding_lines(call: Call, finding: Finding, room: int) -> Iterator[Line]:
    """What a diagnostic found, with all its data."""
    yield from _called(call, room)
    found = finding.status is RunStatus.FOUND
    yield from block("Found" if found else "Nothing", finding.summary, room, Ink.STRONG if found else Ink.DIM)
    lists = {
        name: value
        for name, value in finding.data.items()
        if isinstance(value, Sequence) and not isinstance(value, str)
    }
    yield from _pairs({name: value for name, value in finding.data.items() if name not in lists}, room)
    for name, rows in lists.items():
        yield from _table(name, rows, room)


def planned_lines(call: Call, plan: Plan, room: int) -> Iterator[Line]:
    """What a remediation would change."""
    yield from _called(call, room)
    yield from block("Planned", plan.summary, room, Ink.STRONG)
    yield from plan_lines(plan, room)
    yield line()
    if plan.changes:
        yield line(
            (" Nothing has been changed. ", Ink.DIM),
            ("p", Ink.KEY),
            (" proposes it; you then approve it in the overview.", Ink.DIM),
        )


def failure_lines(call: Call, error: str, room: int) -> Iterator[Line]:
    """Why a tool did not do it."""
    yield from _called(call, room)
    yield from block("Error", error, room, Ink.BAD)


def _called(call: Call, room: int) -> Iterator[Line]:
    arguments = text_of(dict(call.arguments))
    yield from block("Called", f"{call.tool} on {call.service} {arguments}".rstrip(), room, Ink.DIM)


def _pairs(data: Mapping[str, JSON], room: int) -> Iterator[Line]:
    """Names and values in two columns."""
    indent = min(max((len(name) for name in data), default=0), 30) + 4
    for name, value in data.items():
        yield from block(cut(name, indent - 2), text_of(value), room, indent=indent)


def _table(name: str, rows: Sequence[JSON], room: int) -> Iterator[Line]:
    yield line()
    yield line((f" {name}  {len(rows)}", Ink.LABEL))
    for row in rows[:ROWS]:
        text = (
            "  ".join(f"{key}={text_of(value)}" for key, value in row.items())
            if isinstance(row, Mapping)
            else text_of(row)
        )
        yield from block("", text, room, indent=3)
    if len(rows) > ROWS:
        yield line((f"   … {len(rows) - ROWS} more", Ink.DIM))
