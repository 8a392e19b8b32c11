"""Each view in its main states, on a small and a usual terminal, cell by cell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cockpit.app import CockpitApp
from tests.screens import world as w
from tests.screens.conftest import Stage
from tests.screens.recorder import Lab
from widgets.guard import READ_FOR

Staged = Callable[..., Stage]
Snap = Callable[..., bool]
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


def pressing(stage: Stage, *keys: str) -> Callable[[Any], Any]:
    """Press these keys one after the other, each when the screen has come to rest."""

    async def run(pilot: Any) -> None:
        await stage.settled(pilot)
        for key in keys:
            await stage.press(pilot, key)

    return run


@SIZES
@pytest.mark.parametrize(
    "story", ["EMPTY", "CALM", "WAITING", "DONE", "FAILED", "FROZEN"], ids=lambda story: story.lower()
)
def test_overview(staged: Staged, snap_compare: Snap, story: str, size: tuple[int, int]) -> None:
    stage = staged(*getattr(w, story))
    assert snap_compare(stage.app, terminal_size=size, run_before=pressing(stage))


@SIZES
def test_overview_with_the_proposal_being_read(staged: Staged, snap_compare: Snap, size: tuple[int, int]) -> None:
    stage = staged(*w.WAITING)
    assert snap_compare(stage.app, terminal_size=size, run_before=pressing(stage, "enter"))


@SIZES
def test_overview_after_the_approval(staged: Staged, snap_compare: Snap, size: tuple[int, int]) -> None:
    stage = staged(*w.WAITING)

    async def approve(pilot: Any) -> None:
        await pressing(stage, "enter", "G")(pilot)
        await asyncio.sleep(READ_FOR + 0.1)
        await stage.press(pilot, "a")

    assert snap_compare(stage.app, terminal_size=size, run_before=approve)


@SIZES
def test_overview_when_the_engine_refuses(staged: Staged, snap_compare: Snap, size: tuple[int, int]) -> None:
    stage = staged(*w.WAITING, refuses="The database is locked by another process for more than 5 s.")
    assert snap_compare(stage.app, terminal_size=size, run_before=pressing(stage, "f"))


@SIZES
def test_overview_says_what_happened_since(staged: Staged, snap_compare: Snap, size: tuple[int, int]) -> None:
    stage = staged(*w.WAITING, last_look=w.NOW - 90_500)
    assert snap_compare(stage.app, terminal_size=size, run_before=pressing(stage))


@SIZES
@pytest.mark.parametrize("story", ["EMPTY", "WAITING"], ids=lambda story: story.lower())
@pytest.mark.parametrize(
    ("key", "view"), [("2", "incidents"), ("3", "changes"), ("4", "services"), ("5", "tools"), ("6", "log")]
)
def test_view(staged: Staged, snap_compare: Snap, key: str, view: str, story: str, size: tuple[int, int]) -> None:
    stage = staged(*getattr(w, story))
    assert snap_compare(stage.app, terminal_size=size, run_before=pressing(stage, key))


@SIZES
@pytest.mark.parametrize(
    ("keys", "what"),
    [
        (("question_mark",), "help"),
        (("F",), "faults"),
        (("5", "enter"), "form"),
        (("5", "enter", "enter"), "result"),
        (("enter", "x"), "dry_run"),
        (("enter", "d"), "deny"),
        (("2", "slash", "o", "r", "d"), "filter"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_dialog(staged: Staged, snap_compare: Snap, keys: tuple[str, ...], what: str, size: tuple[int, int]) -> None:
    stage = staged(*w.WAITING, mode="demo", lab=Lab([]))
    assert snap_compare(stage.app, terminal_size=size, run_before=pressing(stage, *keys))


def test_overview_on_a_large_terminal(staged: Staged, snap_compare: Snap) -> None:
    stage = staged(*w.WAITING)
    assert snap_compare(stage.app, terminal_size=(200, 60), run_before=pressing(stage))


def test_overview_in_light_colours(staged: Staged, snap_compare: Snap) -> None:
    stage = staged(*w.WAITING)
    assert snap_compare(stage.app, terminal_size=(120, 40), run_before=pressing(stage, "ctrl+t"))


def test_overview_without_colours(staged: Staged, snap_compare: Snap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stage = staged(*w.WAITING)
    assert isinstance(stage.app, CockpitApp)
    assert snap_compare(stage.app, terminal_size=(120, 40), run_before=pressing(stage))
