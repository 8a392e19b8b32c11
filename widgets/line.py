"""One line of styled text: literal parts, each with an ink; measured in terminal cells, cut only with a sign.

Nothing here parses markup, so what a stranger wrote can only ever be shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

from rich.cells import cell_len as measured
from rich.cells import set_cell_size

from cockpit.text import clean

CUT = "…"


class Ink(StrEnum):
    """What a part of a line is; the style sheet says how it looks."""

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    HEAD = "head"
    HERE = "here"
    """Where the operator is, among other places."""
    LABEL = "label"
    KEY = "key"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    CALM = "calm"
    """Neither good nor bad: unknown, waiting for something that is not the operator."""
    ADDED = "added"
    REMOVED = "removed"
    CODE = "code"


Part: TypeAlias = "tuple[str, Ink]"
Line: TypeAlias = "tuple[Part, ...]"

EMPTY: Line = ()


def line(*parts: str | Part) -> Line:
    """A line of literal parts: each a text, or a text with its ink; control characters are made visible."""
    return tuple((clean(part), Ink.PLAIN) if isinstance(part, str) else (clean(part[0]), part[1]) for part in parts)


def cells(text: str) -> int:
    """How many terminal cells the text takes."""
    return len(text) if text.isascii() else measured(text)


def width(parts: Line) -> int:
    """How many terminal cells the line takes."""
    return sum(cells(text) for text, _ in parts)


def plain(parts: Line) -> str:
    """The line's text alone."""
    return "".join(text for text, _ in parts)


def cut(text: str, room: int) -> str:
    """The text in at most so many cells; where something is missing, `…` says so."""
    if cells(text) <= room:
        return text
    return set_cell_size(text, room - 1).rstrip() + CUT if room > 0 else ""


def fit(parts: Line, room: int) -> Line:
    """The line in at most so many cells; where something is missing, `…` says so."""
    if width(parts) <= room:
        return parts
    kept: list[Part] = []
    for text, ink in parts:
        taken = cells(text)
        if taken >= room:
            kept.append((cut(text + CUT, room) if taken == room else cut(text, room), ink))
            break
        kept.append((text, ink))
        room -= taken
    return tuple(kept)


def difference(old: Line, new: Line, room: int) -> tuple[int, int]:
    """The first cell in which two lines differ, and the one after the last; up to `room` when their widths differ."""
    shared = 0
    while shared < min(len(old), len(new)) and old[shared] == new[shared]:
        shared += 1
    start = width(new[:shared])
    if width(old) != width(new):
        return start, min(max(width(old), width(new)), room)
    end = width(new)
    for left, right in zip(reversed(old[shared:]), reversed(new[shared:]), strict=False):
        if left != right:
            break
        end -= cells(left[0])
    return start, end


def column(text: str, room: int, ink: Ink = Ink.PLAIN, *, right: bool = False) -> Part:
    """The text in exactly so many cells: padded, or cut with a sign."""
    shown = cut(clean(text), room)
    padding = " " * (room - cells(shown))
    return (padding + shown if right else shown + padding, ink)


def wrap(text: str, room: int) -> list[str]:
    """The text in lines of at most so many cells, broken between words where that is possible; line ends are kept."""
    room = max(room, 1)
    return [piece for row in clean(text, lines=True).expandtabs(4).split("\n") for piece in _wrapped(row, room)]


def block(label: str, text: str, room: int, ink: Ink = Ink.PLAIN, *, indent: int = 11) -> Iterator[Line]:
    """A labelled paragraph: the label once, the text wrapped beside it."""
    for index, piece in enumerate(wrap(text, room - indent)):
        yield ((f" {label}" if index == 0 else "").ljust(indent), Ink.LABEL), (piece, ink)


@lru_cache(2048)
def _wrapped(row: str, room: int) -> tuple[str, ...]:
    pieces: list[str] = []
    current: str | None = None
    for word in row.split(" "):
        grown = word if current is None else f"{current} {word}"
        if cells(grown) <= room:
            current = grown
            continue
        if current and current.strip():
            pieces.append(current.rstrip())
        *whole, current = _chopped(word, room)
        pieces += whole
    return (*pieces, current or "")


def _chopped(word: str, room: int) -> Sequence[str]:
    """A word in pieces that each fit."""
    pieces = []
    while cells(word) > room:
        taken = len(set_cell_size(word, room).rstrip(" ")) or 1
        pieces.append(word[:taken])
        word = word[taken:]
    return [*pieces, word]
