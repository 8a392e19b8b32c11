"""What stands on the terminal, cell by cell, so that it is sent the cells that differ and no others.

Textual sends whole lines of whatever widget says it has changed, with all colours of every piece of text. Over SSH
that is most of what is sent: two texts of the same pane share most of their cells, and neighbours share their ground.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, groupby
from operator import itemgetter
from typing import TypeAlias

from rich.cells import get_character_cell_size
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

Cell: TypeAlias = "tuple[str, str]"
"""What stands in a cell, and its look: the codes of its colours and attributes, of a blank those that can be seen.
The second half of a wide character holds no text."""

UNKNOWN: Cell = ("", "")
GAP = 4
"""Cells that are written although they are right: a move over them would take as many bytes."""
OFF = {
    **{"1": "22", "2": "22", "3": "23", "4": "24", "21": "24", "5": "25", "6": "25", "7": "27", "8": "28", "9": "29"},
    **{"51": "54", "52": "54", "53": "55"},
}
"""For each attribute the code that takes it away."""
SEEN_ON_BLANKS = frozenset(("4", "7", "9", "21", "53"))
"""Attributes that show where there is no text: lines, and colours that change places."""


class Frame:
    """Knows every cell that was written, and turns an update of Textual's into what differs from that."""

    def __init__(self) -> None:
        self._rows: list[list[Cell]] = []
        self._whole: LayoutUpdate | None = None
        """What was written whole, and not yet taken apart into cells: the first paint need not wait for that."""

    def forget(self) -> bool:
        """Take nothing for granted: the terminal was resized, or others wrote on it. Whether anything was known."""
        known = bool(self._rows or self._whole)
        self._rows, self._whole = [], None
        return known

    def bring(self, update: LayoutUpdate | ChopsUpdate, console: Console) -> str:
        """What the terminal has to be sent, so that the update stands on it."""
        colours = console._color_system or ColorSystem.TRUECOLOR
        if self._whole:
            self._clear(self._whole)
            for y, pieces in groupby(_pieces(self._whole), itemgetter(0)):
                self._rows[y] = _replaced(self._rows[y], pieces, colours)
            self._whole = None
        if self._fits(update):
            return self._difference(update, colours)
        if isinstance(update, LayoutUpdate):
            self._whole = update
            return update.render_segments(console)
        self._clear(update)
        return self._difference(update, colours)

    def _difference(self, update: LayoutUpdate | ChopsUpdate, colours: ColorSystem) -> str:
        pen = _Pen()
        for y, pieces in groupby(_pieces(update), itemgetter(0)):
            before = self._rows[y]
            after = self._rows[y] = _replaced(before, pieces, colours)
            for start, end in differences(before, after):
                pen.write(start, y, after[start:end])
        return pen.lift()

    def _fits(self, update: LayoutUpdate | ChopsUpdate) -> bool:
        return bool(self._rows) and (len(self._rows[0]), len(self._rows)) == _size(update)

    def _clear(self, update: LayoutUpdate | ChopsUpdate) -> None:
        width, height = _size(update)
        self._rows = [[UNKNOWN] * width for _ in range(height)]


class FrameUpdate(CompositorUpdate):
    """An update that is written as what differs from the frame."""

    def __init__(self, frame: Frame, update: LayoutUpdate | ChopsUpdate) -> None:
        self._frame = frame
        self._update = update

    def render_segments(self, console: Console) -> str:
        """What differs; from now on the frame takes it for written."""
        return self._frame.bring(self._update, console)


class _Pen:
    """Writes cells, and knows where it stands and how it writes."""

    def __init__(self) -> None:
        self._written: list[str] = []
        self._place = (-1, -1)
        self._look = ""

    def write(self, x: int, y: int, cells: Sequence[Cell]) -> None:
        """Write these cells in row `y` from column `x` on."""
        if self._place != (x, y):
            self._written.append(f"\x1b[{x + 1}G" if self._place[1] == y else f"\x1b[{y + 1};{x + 1}H")
        for look, run in groupby(cells, itemgetter(1)):
            text = "".join(text for text, _ in run)
            if look != blank(self._look) or not text.isspace():
                self._written.append(turn(self._look, look))
                self._look = look
            self._written.append(text)
        sure = len(cells[-1][0]) == 1  # terminals do not agree on the width of what is wide or combined
        self._place = (x + len(cells) if sure else -1, y)

    def lift(self) -> str:
        """All that was written, with a plain look at its end."""
        return "".join([*self._written, turn(self._look, "")])


def _size(update: LayoutUpdate | ChopsUpdate) -> tuple[int, int]:
    if isinstance(update, LayoutUpdate):
        return update.region.size
    return update.chop_ends[0][-1], len(update.chops)


def _pieces(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    """Row, column and strip of all that may have changed, row by row."""
    if isinstance(update, LayoutUpdate):
        for y, strips in enumerate(update.strips, update.region.y):
            yield y, update.region.x, Strip.join(strips)
        return
    for y, first, last in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x < last and end > first:
                start = max(first - x, 0)
                yield y, x + start, strip.crop(start, min(end, last) - x)


def _replaced(row: Sequence[Cell], pieces: Iterable[tuple[int, int, Strip]], colours: ColorSystem) -> list[Cell]:
    """The row with these pieces in their places; its width stays, whatever they hold."""
    replaced = list(row)
    for _, x, strip in pieces:
        cells = cells_of(strip, colours)
        replaced[x : x + len(cells)] = cells
    return replaced[: len(row)]


def cells_of(strip: Strip, colours: ColorSystem) -> list[Cell]:
    """The cells that a strip fills."""
    cells: list[Cell] = []
    for text, style, _ in strip:
        look = _codes(style, colours) if style else ""
        empty = blank(look)
        if text.isascii():
            cells += [(each, empty if each == " " else look) for each in text]
        else:
            _add(cells, text, look)
    return cells


def _add(cells: list[Cell], text: str, look: str) -> None:
    """Add text that may hold wide characters, and such as have no width: those stand with the one before them."""
    for character in text:
        if width := get_character_cell_size(character):
            cells += [(character, blank(look) if character == " " else look), *[("", look)] * (width - 1)]
        elif cells:
            head = max(x for x, (before, _) in enumerate(cells) if before)
            cells[head] = (cells[head][0] + character, look)


@lru_cache(4096)
def _codes(style: Style, colours: ColorSystem) -> str:
    return Strip.render_ansi(style, colours)


def differences(before: Sequence[Cell], after: Sequence[Cell]) -> Iterator[tuple[int, int]]:
    """The first cell and the one after the last, of each stretch that has to be written."""
    if before == after:
        return
    if {len(text) for text, _ in chain(before, after)} != {1}:
        yield from _whole(after)
        return
    differ = [x for x, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    start = end = differ[0]
    for x in differ:
        if x - end > GAP:
            yield start, end
            start = x
        end = x + 1
    yield start, end


def _whole(row: Sequence[Cell]) -> Iterator[tuple[int, int]]:
    """All of a row that holds wide or combined characters, in stretches that each end with such a one."""
    start = 0
    for x in range(1, len(row)):
        if len(row[x - 1][0]) != 1 and row[x][0]:
            yield start, x
            start = x
    yield start, len(row)


@lru_cache(4096)
def turn(old: str, new: str) -> str:
    """The shortest sequence that goes from one look to another."""
    had, old_ink, old_ground = _parts(old)
    has, ink, ground = _parts(new)
    if (had, old_ink, old_ground) == (has, ink, ground):
        return ""
    off = {OFF[each] for each in had - has}
    codes = [*sorted(off), *sorted(each for each in has if each not in had or OFF[each] in off)]
    codes += [ink or "39"] if ink != old_ink else []
    codes += [ground or "49"] if ground != old_ground else []
    return f"\x1b[{min(';'.join(codes), f'0;{new}' if new else '', key=len)}m"


@lru_cache(4096)
def blank(look: str) -> str:
    """How a blank looks that is written like this: its ground, unless there are lines through it."""
    attributes, _, ground = _parts(look)
    return look if attributes & SEEN_ON_BLANKS else ground


def _parts(codes: str) -> tuple[set[str], str, str]:
    """Attributes, colour of the text, colour of the ground."""
    attributes, ink, ground = set(), "", ""
    for code in re.findall(r"[34]8;2;\d+;\d+;\d+|[34]8;5;\d+|\d+", codes):
        number = int(code.partition(";")[0])
        if 30 <= number <= 39 or 90 <= number <= 97:
            ink = code
        elif 40 <= number <= 49 or 100 <= number <= 107:
            ground = code
        else:
            attributes.add(code)
    return attributes, ink, ground
