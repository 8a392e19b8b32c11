"""A pane of lines that repaints only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.text import clean
from widgets.line import EMPTY, Ink, Line, difference, fit, plain, width

CURSORS = ("ink--cursor", "ink--chosen")
"""The ground of the row under the cursor, in a list that has the focus and in one that has not."""


UNCUT = 100_000
"""Cells of width in which nothing is wrapped or cut."""

INKS = frozenset((*(f"ink--{ink}" for ink in Ink), *CURSORS))
"""The component classes that every screen with panes has to bear. They are the screen's, once for all its panes:
each class that is styled costs start-up time."""


class Lines(ScrollView, can_focus=True):
    """Lines of literal text, with a head and a foot that stay in place while the rest scrolls.

    A subclass says what there is to see in `body`, `head` and `foot`, and calls `update` when
    its value has changed. Lines are compared with what is on the screen, and the terminal is
    sent the cells between the first and the last difference of each.
    """

    HELP: ClassVar[str] = ""
    """What the help screen says of this pane."""
    TITLE: ClassVar[str] = ""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._inks: dict[Ink, Style] = {}
        self._plain: Style | None = None
        self._head: Sequence[Line] = ()
        self._body: Sequence[Line] = ()
        self._foot: Sequence[Line] = ()
        self._painted: Sequence[Line] = ()
        """The rows as they stand on the screen."""
        self._area = Size(0, 0)
        """The room for lines as the last layout or paint found it."""
        self._told = 0
        """The height that the layout was last told."""
        self._measured = 0
        """The width that the lines were written for; 0 when they have to be written anew."""
        self._title = ""
        self.entitle(self.TITLE)

    def entitle(self, text: str) -> None:
        """Show this title, literally, in the upper border."""
        if text != self._title:
            self._title = text
            self.border_title = Content(clean(text))

    def body(self, room: int) -> Sequence[Line]:
        """The lines that scroll, for so many cells of width."""
        return ()

    def head(self, room: int) -> Sequence[Line]:
        """The lines that stay on top."""
        return ()

    def foot(self, room: int) -> Sequence[Line]:
        """The lines that stay at the bottom."""
        return ()

    def copy_text(self) -> str:
        """What `y` puts on the clipboard: all of it, uncut and unwrapped."""
        return "\n".join(plain(each).rstrip() for each in [*self.head(UNCUT), *self.body(UNCUT)])

    @property
    def room(self) -> int:
        """Cells of width for a line."""
        return self.scrollable_content_region.width

    @property
    def window(self) -> int:
        """Lines of the body that can be seen at once."""
        return max(self.scrollable_content_region.height - len(self._head) - len(self._foot), 0)

    def on_resize(self) -> None:
        """Lay the lines out for the new size."""
        self.lay_out()

    def update(self) -> None:
        """Show the present value; only what differs from the screen is painted."""
        self._measured = 0
        self.lay_out()

    def tell_time(self) -> None:
        """Write head and foot anew, and paint them where that made a difference; the rest is left as it is."""
        room = self._measured
        head, foot = ([fit(each, room) for each in lines] for lines in (self.head(room), self.foot(room)))
        if room and (head, foot) != (self._head, self._foot):
            self._head, self._foot = head, foot
            self.lay_out()

    def lay_out(self) -> None:
        """Bring the screen in line with the lines for the present size."""
        room = self._survey().width
        if not room:
            return
        self._measure(room)
        self._resize_body()
        before, self._painted = self._painted, self._visible()
        for y, (old, new) in enumerate(zip(before, self._painted, strict=False)):
            if old != new:
                self._repaint(y, old, new)

    def _survey(self) -> Size:
        """Look how much room there is; Textual walks up the whole tree for it, so this is not asked for each row."""
        self._area = self.scrollable_content_region.size
        return self._area

    def _measure(self, room: int) -> None:
        """Write the lines for that width, unless they are."""
        if room != self._measured:
            self._head = [fit(each, room) for each in self.head(room)]
            self._body = [fit(each, room) for each in self.body(room)]
            self._foot = [fit(each, room) for each in self.foot(room)]
            self._measured = room

    def _resize_body(self) -> None:
        """Tell the scroll bar how many lines there are; the other panes move only where heights follow content."""
        wanted = Size(self._area.width, len(self._head) + len(self._body) + len(self._foot))
        if wanted == self.virtual_size:
            return
        grown = wanted.height != self.virtual_size.height
        self.set_reactive(Lines.virtual_size, wanted)
        self._scroll_update(wanted)
        if grown and self.styles.is_auto_height and wanted.height != self._told:
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """How many lines there are at that width."""
        gutter = self.styles.scrollbar_size_vertical if self.styles.scrollbar_gutter == "stable" else 0
        self._measure(max(width - gutter, 1))
        self._told = len(self._head) + len(self._body) + len(self._foot)
        return self._told

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """All rows are painted anew when they move."""
        super().watch_scroll_y(old_value, new_value)
        self._survey()
        self._painted = self._visible()

    def _visible(self) -> list[Line]:
        return [self._line_at(y) for y in range(self._area.height)]

    def _line_at(self, y: int) -> Line:
        if y < len(self._head):
            return self._head[y]
        below = self._area.height - len(self._foot)
        if y >= below:
            return self._foot[y - below]
        index = self.index_at(y)
        return self._body[index] if 0 <= index < len(self._body) else EMPTY

    def index_at(self, y: int) -> int:
        """Which line of the body stands in row `y` of the pane."""
        return y - len(self._head) + self.scroll_offset.y

    def _repaint(self, y: int, old: Line, new: Line) -> None:
        start, end = difference(old, new, self._area.width)
        self.refresh(Region(start, y, max(end - start, 1), 1))

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows that are painted; a pane of another size may be painted before it is told of that."""
        room, height = self._survey()
        if room and (room != self._measured or height != len(self._painted)):
            self._measure(room)
            self._painted = self._visible()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """The row `y` of the pane as it goes to the terminal."""
        return self._strip(self._line_at(y), self._base)

    def _strip(self, parts: Line, base: Style) -> Strip:
        """The line on its ground; built in one go, because strips are dear to make."""
        segments = [Segment(text, base + self._ink(name)) for text, name in parts]
        room = self._area.width
        taken = width(parts)
        if taken < room:
            bare = bool(parts) and self._ink(parts[-1][1]).bgcolor is None
            segments.append(Segment(" " * (room - taken), segments[-1].style if bare else base))
        segments = list(Segment.simplify(segments))
        strip = Strip(segments, max(taken, room))
        return strip if taken <= room else strip.crop(0, room)

    def _ink(self, name: Ink) -> Style:
        """The style of an ink, blended with this pane's ground; its own ground only where the style sheet gives one."""
        if name not in self._inks:
            styles = self.screen.get_component_styles(f"ink--{name}")
            whole = styles.rich_style
            ground = whole.bgcolor if styles.has_rule("background") else None
            attributes = Style(bold=whole.bold or None, italic=whole.italic or None, underline=whole.underline or None)
            self._inks[name] = Style.from_color(whole.color, ground) + attributes
        return self._inks[name]

    @property
    def _base(self) -> Style:
        """The pane's own style; asking Textual for it walks up the whole tree."""
        if self._plain is None:
            self._plain = self.rich_style
        return self._plain

    def notify_style_update(self) -> None:
        """The theme or the style sheet has changed."""
        super().notify_style_update()
        self._inks.clear()
        self._plain = None

    def scroll_lines(self, by: int) -> None:
        """Move the body by so many lines, at once."""
        self.scroll_to(y=self.scroll_offset.y + by, animate=False)
