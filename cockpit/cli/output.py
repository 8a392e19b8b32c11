"""What is printed: data on standard output, talk on standard error, all of it cleaned here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO, TypeAlias

from cockpit.text import clean

SCHEMA_VERSION = 1
"""Of what `--json` prints; it grows when a key changes its meaning or goes away."""
CUT = "…"
COLOURS = {
    "up": "32", "resolved": "32", "done": "32", "approved": "32", "ok": "32",
    "degraded": "33", "warning": "33", "pending": "33", "waiting": "33", "executing": "33", "investigating": "33",
    "down": "31", "critical": "31", "failed": "31", "escalated": "31", "denied": "31", "wrong": "31",
    "unknown": "35",
}  # fmt: skip

Cell: TypeAlias = "str | int | float | None"


def line(text: object = "") -> None:
    """One or more lines of data."""
    _write(sys.stdout, clean(str(text), lines=True))


def talk(text: object) -> None:
    """A line for the person at the terminal, not for a program."""
    _write(sys.stderr, clean(str(text), lines=True))


def stream(text: str) -> None:
    """A piece of talk, while it is still being said."""
    _write(sys.stderr, clean(text, lines=True), end="")
    sys.stderr.flush()


def as_json(**content: Any) -> None:
    """The content as one JSON document with its schema version; control characters leave as escapes."""
    text = json.dumps({"schema_version": SCHEMA_VERSION, **content}, ensure_ascii=True, indent=2, default=str)
    _write(sys.stdout, text.replace("\x7f", "\\u007f"))


def table(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Rows in aligned columns, if there are any; on a terminal the last one is cut, with a sign, to what fits."""
    if not rows:
        return
    cells = [[str(clean("–" if cell is None else str(cell))) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(headings, *cells, strict=True)]
    room = _room()
    for row in ([heading.upper() for heading in headings], *cells):
        padded = [
            _coloured(cell) + " " * (size - width(cell)) for cell, size in zip(row[:-1], widths[:-1], strict=True)
        ]
        left = room - sum(widths[:-1]) - 2 * len(padded) if room else width(row[-1])
        _write(sys.stdout, "  ".join([*padded, cut(row[-1], max(left, 10))]).rstrip())


def width(text: str) -> int:
    """How many terminal cells a cleaned text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(2 if east_asian_width(one) in "WF" else 0 if category(one) in ("Mn", "Me") else 1 for one in text)


def cut(text: str, room: int) -> str:
    """The text in at most so many cells; a sign at its end says that something is missing."""
    if width(text) <= room:
        return text
    while width(text) > room - 1:
        text = text[:-1] if width(text) - room < 200 else text[: room + 100]
    return text + CUT


def ask(question: str) -> str:
    """What the person at the terminal answers. Raises EOFError when nobody is there."""
    sys.stderr.write(f"{clean(question)} ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise EOFError
    return answer.strip()


def _room() -> int:
    """The terminal's width; 0 for no limit, where the output goes to a file or a pipe."""
    return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0


def _coloured(cell: str) -> str:
    colour = COLOURS.get(cell.rpartition(" ")[2]) if sys.stdout.isatty() else None
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return cell if colour is None or plain else f"\x1b[{colour}m{cell}\x1b[0m"


def _write(stream: TextIO, text: str, end: str = "\n") -> None:
    encoding = stream.encoding or "ascii"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + end)
