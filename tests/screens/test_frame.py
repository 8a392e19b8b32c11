"""What goes to the terminal for a frame: the cells that differ, and after it the terminal shows the frame."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.drivers.headless_driver import HeadlessDriver
from textual.geometry import Region
from textual.pilot import Pilot
from textual.strip import Strip

from cockpit.app import CockpitApp
from tests.screens import world as w
from tests.screens.conftest import Stage
from tests.screens.hostile_app import fill
from widgets.frame import Frame, cells_of, differences, turn

WIDTH, HEIGHT = 24, 4
CONSOLE = Console(color_system="truecolor", force_terminal=True)
LOOKS = (
    "#ffffff on #121212",
    "#8d8d8d on #121212",
    "bold #8d8d8d on #121212",
    "bold italic #8d8d8d on #0c3555",
    "dim #8d8d8d on #0c3555",
    "underline #ffffff on #121212",
    "reverse #ffffff on #0c3555",
    "red on blue",
    "bold",
)
KEYS = (
    *("j", "j", "k", "tab", "pagedown", "tab", "2", "j", "enter", "G", "escape", "3", "j", "4", "j", "tab", "pagedown"),
    *("5", "j", "6", "pageup", "pageup", "G", "1", "question_mark", "pagedown", "escape", "slash", "a", "escape"),
    *("colon", "L", "escape", "ctrl+t", "2", "ctrl+t", "1"),
)
"""Keys that between them visit every view, move, open, filter and change the theme."""
Rows = Sequence[Strip]
Staged = Callable[..., Stage]


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with all colours, wherever the tests run."""
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")


texts = st.text(st.sampled_from("ab  ─▲é世界\u0301x"), max_size=10).map(lambda text: text.lstrip("\u0301"))
segments = st.tuples(texts, st.sampled_from([None, *map(Style.parse, LOOKS)])).map(lambda each: Segment(*each))
rows = st.lists(segments, max_size=6).map(lambda row: strip("│", then=row).adjust_cell_length(WIDTH))
frames = st.lists(rows, min_size=HEIGHT, max_size=HEIGHT)
plain_rows = st.text(st.sampled_from("ab "), min_size=WIDTH, max_size=WIDTH).map(lambda text: strip(text))


def strip(text: str, then: Sequence[Segment] = ()) -> Strip:
    return Strip([Segment(text, Style.parse(LOOKS[0])), *then])


def whole(frame: Rows) -> LayoutUpdate:
    return LayoutUpdate([[row] for row in frame], Region(0, 0, WIDTH, HEIGHT))


def part(frame: Rows, *spans: tuple[int, int, int]) -> ChopsUpdate:
    return ChopsUpdate([{0: row} for row in frame], list(spans), [[WIDTH] for _ in frame])


class Emulator:
    """A terminal that shows what it is sent."""

    def __init__(self, width: int, height: int) -> None:
        self.screen = pyte.Screen(width, height)
        self.screen.reset_mode(7, private=True)  # as Textual has it: what is too long does not wrap
        self.stream = pyte.Stream(self.screen)

    @property
    def cells(self) -> list[list[tuple[object, ...]]]:
        """Row by row, what an eye can tell of each cell."""
        return [[seen(self.screen.buffer[y][x]) for x in range(self.screen.columns)] for y in range(self.screen.lines)]


class Shown(Emulator):
    """A terminal, and the frame that is brought to it."""

    def __init__(self) -> None:
        super().__init__(WIDTH, HEIGHT)
        self.frame = Frame()

    def bring(self, update: LayoutUpdate | ChopsUpdate) -> str:
        """Bring an update to the terminal; returns what was written for it."""
        written = self.frame.bring(update, CONSOLE)
        self.stream.feed(written)
        return written


class Wired(HeadlessDriver):
    """The driver of an app whose terminal is an emulator."""

    is_headless = False  # type: ignore[assignment]  # else nothing would be written
    emulator: ClassVar[Emulator]
    written: ClassVar[int] = 0

    def write(self, data: str) -> None:
        Wired.written += len(data.encode())
        self.emulator.stream.feed(data)


def seen(cell: pyte.screens.Char) -> tuple[object, ...]:
    """What an eye can tell of a cell: of a blank its ground, unless something goes through it."""
    if cell.data == " " and not (cell.underscore or cell.reverse):
        return " ", cell.bg
    return tuple(cell)


def as_textual_writes_it(frame: Rows) -> list[list[tuple[object, ...]]]:
    return written_afresh(whole(frame))


def written_afresh(update: LayoutUpdate) -> list[list[tuple[object, ...]]]:
    """What a terminal shows on which Textual itself writes the whole of it."""
    fresh = Emulator(*update.region.size)
    fresh.stream.feed(update.render_segments(CONSOLE))
    return fresh.cells


@given(st.lists(frames, min_size=1, max_size=4))
def test_after_every_frame_the_terminal_shows_what_textual_would_have_written(story: list[Rows]) -> None:
    shown = Shown()
    for frame in story:
        shown.bring(whole(frame))
        assert shown.cells == as_textual_writes_it(frame)


@given(st.lists(plain_rows, min_size=HEIGHT, max_size=HEIGHT), st.lists(plain_rows, min_size=HEIGHT, max_size=HEIGHT))
def test_of_a_partial_update_its_spans_are_written_and_no_more(before: Rows, after: Rows) -> None:
    shown = Shown()
    shown.bring(whole(before))
    shown.bring(part(after, (1, 3, 9), (1, 15, 20), (3, 0, WIDTH)))
    mixed = Strip.join([before[1].crop(0, 3), after[1].crop(3, 9), before[1].crop(9, 15), after[1].crop(15, 20)])
    expected = [before[0], Strip.join([mixed, before[1].crop(20)]), before[2], after[3]]
    assert shown.cells == as_textual_writes_it(expected)


def test_what_already_stands_there_is_not_written_again() -> None:
    shown = Shown()
    frame = [strip(f"{'line':<20}{number:4}") for number in range(HEIGHT)]
    shown.bring(whole(frame))
    assert shown.bring(whole(frame)) == ""
    frame[2] = strip(f"{'line':<20}{7:4}")
    assert shown.bring(whole(frame)) == "\x1b[3;24H\x1b[38;2;255;255;255;48;2;18;18;18m7\x1b[m"


def test_what_others_wrote_stays_until_the_frame_is_forgotten() -> None:
    shown = Shown()
    frame = [strip(f"{'line':<20}{number:4}") for number in range(HEIGHT)]
    shown.bring(whole(frame))
    shown.stream.feed("\x1b[2;2Hwall: going down")
    shown.bring(whole(frame))
    assert shown.cells != as_textual_writes_it(frame)
    assert shown.frame.forget()
    shown.bring(whole(frame))
    assert shown.cells == as_textual_writes_it(frame)


def test_a_frame_of_another_size_is_written_whole() -> None:
    shown = Shown()
    frame = [strip("x" * WIDTH) for _ in range(HEIGHT)]
    shown.bring(whole(frame))
    smaller = LayoutUpdate([[row.crop(0, 20)] for row in frame], Region(0, 0, 20, HEIGHT))
    assert shown.bring(smaller).count("x" * 20) == HEIGHT


def test_a_move_over_a_few_right_cells_is_not_worth_its_bytes() -> None:
    before, after = (cells_of(strip(text), ColorSystem.TRUECOLOR) for text in ("a    b         c", "1    2         3"))
    assert list(differences(before, after)) == [(0, 6), (15, 16)]


def test_a_row_with_wide_characters_is_written_whole_and_found_again_after_each() -> None:
    shown = Shown()
    frame = [strip("one 世 two".ljust(WIDTH - 1))] * HEIGHT
    shown.bring(whole(frame))
    frame = [strip("one 世 TWO".ljust(WIDTH - 1))] * HEIGHT
    written = shown.bring(part(frame, (0, 7, 10)))
    assert "one 世\x1b[7G TWO" in written


def test_a_row_keeps_its_width_whatever_a_strip_says_of_its_own() -> None:
    shown = Shown()
    for text in ("too short", "far too long for a row that has no more room", "☁\ufe0f joined \u200d".ljust(WIDTH)):
        shown.bring(whole([Strip([Segment(text)], WIDTH)] * HEIGHT))
        shown.bring(part([strip("x" * WIDTH)] * HEIGHT, (1, 2, 4)))
    shown.bring(whole([strip("x" * WIDTH)] * HEIGHT))
    assert shown.screen.display == ["x" * WIDTH] * HEIGHT


def test_a_look_is_told_by_what_differs_from_the_last() -> None:
    assert turn("1;38;2;1;2;3;48;2;9;9;9", "38;2;4;5;6;48;2;9;9;9") == "\x1b[22;38;2;4;5;6m"
    assert turn("48;2;9;9;9", "1;48;2;9;9;9") == "\x1b[1m"
    assert turn("1;2;31", "2;31") == "\x1b[22;2m"
    assert turn("31;44", "31") == "\x1b[49m"
    assert turn("1;4;31;44", "") == "\x1b[m"
    assert turn("31", "31") == ""


async def test_nothing_stale_stands_anywhere_whatever_is_pressed(staged: Staged) -> None:
    stage = staged(fill)
    async with on_an_emulator(stage, (120, 40)) as pilot:
        for key in KEYS:
            await stage.press(pilot, key)
            assert Wired.emulator.cells == truth(stage.app), f"after {key}"


async def test_a_terminal_of_another_size_is_written_whole(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with on_an_emulator(stage, (120, 40)) as pilot:
        for size in ((80, 24), (200, 60), (120, 40)):
            Wired.emulator = Emulator(*size)  # many terminals lose what stood on them
            await pilot.resize_terminal(*size)
            await stage.settled(pilot)
            assert Wired.emulator.cells == truth(stage.app)


@pytest.mark.parametrize("mend", ["ctrl+l", "resume"])
async def test_what_others_wrote_on_the_terminal_goes(staged: Staged, mend: str) -> None:
    stage = staged(*w.WAITING)
    async with on_an_emulator(stage, (120, 40)) as pilot:
        Wired.emulator.stream.feed("\x1b[5;3HBroadcast message: going down at 18:00")
        await stage.press(pilot, "j", "k")
        assert Wired.emulator.cells != truth(stage.app), "nobody has said so yet"
        if mend == "resume":  # as the driver tells it after ctrl+z and fg
            await pilot.resize_terminal(120, 40)
            await stage.settled(pilot)
        else:
            await stage.press(pilot, mend)
        assert Wired.emulator.cells == truth(stage.app)


async def test_a_key_that_shows_another_incident_writes_little_more_than_its_text(staged: Staged) -> None:
    stage = staged(w.World.watch, w.World.resolved, w.World.done, w.World.failed, w.World.waiting)
    async with on_an_emulator(stage, (120, 40)) as pilot:
        for key in ("j", "j", "j", "k", "k", "k"):
            before = Wired.written
            await stage.press(pilot, key)
            assert Wired.written - before < 4500


@asynccontextmanager
async def on_an_emulator(stage: Stage, size: tuple[int, int]) -> AsyncIterator[Pilot[None]]:
    """The app of a stage on an emulated terminal, at rest."""
    Wired.emulator = Emulator(*size)
    stage.app.driver_class = Wired
    async with stage.app.run_test(size=size, headless=False) as pilot:
        await stage.settled(pilot)
        yield pilot


def truth(app: CockpitApp) -> list[list[tuple[object, ...]]]:
    """What would stand on the terminal if it were written from nothing."""
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    assert isinstance(update, LayoutUpdate)
    return written_afresh(update)
