"""Sends the terminal the changed cells of a line alone.

Textual's own partial update crops a line on the right only and so repaints whatever stands
left of a change in the same pane; over SSH that is most of what is sent. It also collects
every line of every pane between the first change and the last; here those that changed.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip


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

    def __init__(self) -> None:
        super().__init__()
        self._changed: frozenset[Region] = frozenset()
        """What a partial update is about; empty at any other time."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """What has changed since the last update; None when nothing has."""
        self._changed = frozenset(self._dirty_regions)
        try:
            update = super().render_partial_update()
        finally:
            self._changed = frozenset()
        return None if update is None else ExactUpdate(update.chops, update.spans, update.chop_ends)

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        """The widgets in the region; of each, in a partial update, the lines from its first change to its last."""
        if not self._changed:
            yield from super()._get_renders(crop)
            return
        for widget, (region, clip) in self.visible_widgets.items():
            seen = region.intersection(clip)
            if touched := [changed for changed in self._changed if changed.overlaps(seen)]:
                lines = seen.intersection(Region.from_union(touched))
                part = Region(seen.x, lines.y, seen.width, lines.height)
                yield part, clip, widget.render_lines(part.translate(-region.offset))
