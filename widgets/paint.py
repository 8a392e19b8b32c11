"""Collects the lines that changed and no others.

Textual collects every line of every pane between the first change and the last.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip


class ExactCompositor(Compositor):
    """A compositor that asks panes for what has changed only."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: frozenset[Region] = frozenset()
        """What a partial update is about; empty at any other time."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """What has changed since the last update; None when nothing has."""
        self._changed = frozenset(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._changed = frozenset()

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
