"""The last gate before the terminal: no segment that leaves the screen holds a control character."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from cockpit.text import clean

INVISIBLE = "·"


class Literal(LineFilter):
    """Replaces what a terminal would act upon, whichever widget let it through, and keeps every width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments with control, format and invisible characters taken out."""
        if all(text.isascii() and text.isprintable() for text, _, _ in segments):
            return segments
        return [Segment(harmless(text), style, None) for text, style, _ in segments]


@lru_cache(4096)
def harmless(text: str) -> str:
    """The text with the same width and without any character that does not show as itself."""
    if clean(text) == text:
        return text
    return "".join(each if clean(each) == each else INVISIBLE * cell_len(each) for each in text)
