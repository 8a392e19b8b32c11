"""The catalogue of tools, by kind of service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from cockpit.model import Approval
from widgets.line import Ink, Line, block, column, line
from widgets.rows import Row, Rows


@dataclass(frozen=True)
class Entry:
    """A tool as the catalogue shows it."""

    name: str
    kind: str
    writes: bool
    approval: Approval
    summary: str
    doc: str
    services: tuple[str, ...] = ()
    """The configured services it can be used on."""


class Tools(Rows):
    """Every tool: diagnostics look, remediations change."""

    TITLE = "Tools"
    HELP = "Every tool. Enter asks for its arguments: a diagnostic is then run, a remediation is only planned."
    EMPTY_TEXT: ClassVar[str] = "The catalogue is still being read."

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tools: Sequence[Entry] = ()

    def show(self, tools: Sequence[Entry]) -> None:
        """Show these tools, grouped by kind."""
        self._tools = sorted(tools, key=lambda tool: (tool.kind, tool.writes, tool.name))
        self.entitle(f"{self.TITLE}  {len(tools)}" if tools else self.TITLE)
        self.update()

    def rows(self, room: int) -> Sequence[Row]:
        """A heading for each kind, and a row for each tool."""
        rows: list[Row] = []
        for tool in self._tools:
            if not rows or (rows[-1].key is not None and tool.kind != self._kind(rows[-1])):
                rows.append(Row(None, line((f" {tool.kind}", Ink.HEAD))))
            rows.append(Row(tool.name, self._row(tool, room)))
        return rows

    def _kind(self, row: Row) -> str:
        return next(tool.kind for tool in self._tools if tool.name == row.key)

    def _row(self, tool: Entry, room: int) -> Line:
        sign, word, ink = ("✎", f"changes, {tool.approval}", Ink.WARN) if tool.writes else ("○", "looks", Ink.CALM)
        return line((f"   {sign} ", ink), column(tool.name, max(room - 26, 20)), column(word, 18, Ink.DIM))


def tool_lines(tool: Entry, room: int) -> Iterator[Line]:
    """What a tool's own text says of it."""
    what = f"changes something, approval {tool.approval}" if tool.writes else "only looks"
    yield line((f" {tool.name}", Ink.STRONG), (f"  {what}", Ink.DIM))
    yield line()
    yield from block("", tool.doc, room, indent=1)
    yield line()
    yield from block("Services", ", ".join(tool.services) or f"none of kind {tool.kind} is configured", room, Ink.DIM)
    if tool.services:
        does = "plans it; nothing is changed" if tool.writes else "runs it"
        yield line((" enter", Ink.KEY), (f" asks for its arguments and {does}.", Ink.DIM))
