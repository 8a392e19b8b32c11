"""The lines above and below every view: where one is, how things stand, and which keys work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from textual import events
from textual.message import Message

from cockpit.model import Level
from cockpit.text import counted
from widgets.line import Ink, Line, Part, cells, line, width
from widgets.lines import Lines
from widgets.signs import LEVELS


@dataclass(frozen=True)
class Standing:
    """How things stand, for the status bar."""

    mode: str = "live"
    """`live`, `demo`, `attached` or `dry run`."""
    frozen_by: str = ""
    """Who froze all changes; empty when nobody did."""
    levels: dict[Level, int] = field(default_factory=dict)
    waiting: int = 0
    """Proposals that wait for a decision."""
    agent: str = "watching"
    """What the agent is doing, in a few words."""
    fresh: bool = True
    """Whether every service has been probed lately: without that, nothing is called calm."""


class Tabs(Lines, can_focus=False):
    """The views with their number keys, and the mode."""

    class Picked(Message):
        """The operator clicked a view."""

        def __init__(self, view: str) -> None:
            super().__init__()
            self.view = view

    def __init__(self, views: Sequence[str], current: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._views = views
        self._current = current
        self._standing = Standing()

    def show(self, standing: Standing, views: Sequence[str]) -> None:
        """Show the mode, and these views."""
        self._standing, self._views = standing, views
        self.update()

    def body(self, room: int) -> Sequence[Line]:
        """One line: name, views, mode."""
        left: list[Part] = [(" cockpit ", Ink.STRONG)] if room >= 90 else []
        for view, (number, name) in zip(self._views, self._labels(room), strict=True):
            here = view == self._current
            left += [(number, Ink.HERE if here else Ink.KEY), (name, Ink.HERE if here else Ink.DIM)]
        return [_spread(line(*left), line(self._mode), room)]

    @property
    def _mode(self) -> Part:
        frozen = self._standing.frozen_by
        return (f"FROZEN by {frozen} ", Ink.BAD) if frozen else (f"{self._standing.mode} ", Ink.CALM)

    def _labels(self, room: int) -> list[tuple[str, str]]:
        """Number and name of each view; close together where there is no room for more."""
        wide = [(f" {number} ", f"{view} ") for number, view in enumerate(self._views, 1)]
        fits = sum(len(number) + len(name) for number, name in wide) < room - cells(self._mode[0])
        return wide if fits else [(number, name.rstrip()) for number, name in wide]

    def on_click(self, event: events.Click) -> None:
        """Tell which view was clicked."""
        x = 9 if self.room >= 90 else 0
        for view, (number, name) in zip(self._views, self._labels(self.room), strict=True):
            x += len(number) + len(name)
            if event.x < x:
                self.post_message(self.Picked(view))
                return


class Status(Lines, can_focus=False):
    """Counts by level, what waits, and what the agent does."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._standing = Standing()

    def show(self, standing: Standing) -> None:
        """Show how things stand."""
        self._standing = standing
        self.update()

    def body(self, room: int) -> Sequence[Line]:
        """One line."""
        now = self._standing
        left: list[Part] = []
        if now.waiting:
            left.append((f" ▲ {counted(now.waiting, 'waits', 'wait')} for you ", Ink.WARN))
        for level in (Level.UP, Level.DEGRADED, Level.DOWN, Level.UNKNOWN):
            count = now.levels.get(level, 0)
            if count or level is not Level.UNKNOWN:
                ink = LEVELS[level].ink if count else Ink.DIM
                left.append((f" {LEVELS[level].glyph} {count} {level} ", ink))
        return [_spread(line(*left), line((f"agent: {now.agent} ", Ink.DIM)), room)]


class Headline(Lines, can_focus=False):
    """One sentence: what needs the operator, or what happened since they last looked."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text = ""
        self._tone = Ink.PLAIN

    def show(self, text: str, ink: Ink) -> None:
        """Show this sentence."""
        self._text, self._tone = text, ink
        self.update()

    def body(self, room: int) -> Sequence[Line]:
        """One line."""
        return [line((f" {self._text}", self._tone))]


class Hints(Lines, can_focus=False):
    """The keys that work here, as many as fit, and where to read of the others."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys: Sequence[tuple[str, str]] = ()

    def show(self, keys: Sequence[tuple[str, str]]) -> None:
        """Show these keys, each with what it does; the first are kept where room is short."""
        self._keys = keys
        self.update()

    def body(self, room: int) -> Sequence[Line]:
        """One line."""
        more = line((" ?", Ink.KEY), (" help ", Ink.DIM))
        left: list[Part] = []
        space = room - width(more)
        for key, what in self._keys:
            space -= cells(f" {key} {what} ")
            if space < 2:
                left.append((" …", Ink.DIM))
                break
            left += [(f" {key}", Ink.KEY), (f" {what} ", Ink.DIM)]
        return [_spread(line(*left), more, room)]


def _spread(left: Line, right: Line, room: int) -> Line:
    """One line with a part at each end; the left one gives way."""
    from widgets.line import fit

    left = fit(left, max(room - width(right) - 1, 0))
    return (*left, (" " * max(room - width(left) - width(right), 0), Ink.PLAIN), *right)
