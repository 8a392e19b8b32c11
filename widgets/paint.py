"""Sends the terminal the changed cells of a line alone.

Textual's own partial update crops a line on the right only and so repaints whatever stands
left of a change in the same pane; over SSH that is most of what is sent.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor


class ExactUpdate(ChopsUpdate):
    """Updated spans of the screen, cropped on both sides."""

    def render_segments(self, console: Console) -> str:
        """The spans as text for the terminal, each after a move to its first cell."""
        sequences: list[str] = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= last or end <= first:
                    continue
                start = max(first - x, 0)
                sequences.append(Control.move_to(x + start, y).segment.text)
                sequences.append(strip.crop(start, min(end, last) - x).simplify().render(console))
        return "".join(sequences)


class ExactCompositor(Compositor):
    """A compositor whose partial updates are exact."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """What has changed since the last update; None when nothing has."""
        update = super().render_partial_update()
        return None if update is None else ExactUpdate(update.chops, update.spans, update.chop_ends)
