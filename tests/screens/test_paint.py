"""When the screen reads, and how little of it is written and painted anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.dom import DOMNode
from textual.geometry import Region
from textual.strip import Strip

from cockpit import app as application
from cockpit.app import CockpitApp
from cockpit.model import Health, Level
from cockpit.screens.view import View
from tests.screens import world as w
from tests.screens.conftest import Stage
from widgets.lines import Lines
from widgets.proposal import ProposalPane

Staged = Callable[..., Stage]


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, int]]:
    """The pane and the number of its lines, for each time that a pane's lines are asked for."""
    asked: list[tuple[str | None, int]] = []
    ask = Lines.render_lines

    def record(pane: Lines, crop: Region) -> list[Strip]:
        asked.append((pane.id, crop.height))
        return ask(pane, crop)

    monkeypatch.setattr(Lines, "render_lines", record)
    return asked


async def test_of_a_change_only_its_own_lines_are_collected(
    staged: Staged, collected: list[tuple[str | None, int]]
) -> None:
    stage = staged(*w.CALM)
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.settled(pilot)
        assert ("timeline", 1) not in collected, "the first paint is whole"
        collected.clear()
        stage.world.store.record_health("redis/main", Health(Level.UP, "31 % of 64 MB used", {}, 0.9), w.NOW)
        stage.app.view.look()  # type: ignore[union-attr]  # a view is mounted
        await stage.settled(pilot)
        assert set(collected) == {("services", 1)}


async def test_two_changes_far_apart_paint_nothing_between_them(
    staged: Staged, collected: list[tuple[str | None, int]]
) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.settled(pilot)
        stage.world.store.freeze("kim")
        stage.world.clock.now += 60
        collected.clear()
        stage.app.view.look()  # type: ignore[union-attr]  # a view is mounted
        stage.app.screen.query_one(ProposalPane).tell_time()
        await stage.settled(pilot)
        assert {pane for pane, _ in collected} <= {"tabs", "services", "incidents", "proposal"}
        assert max(height for pane, height in collected if pane == "proposal") == 1


async def test_the_keys_that_answer_stand_there_as_soon_as_the_pane_has_the_focus(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProposalPane, "tell_time", lambda pane: None)  # nothing else brings the foot up to date
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.press(pilot, "enter")
        (foot,) = stage.app.screen.query_one(ProposalPane)._foot
        assert foot[0][0] == " a" and "approve" in foot[1][0]


async def test_readings_wait_a_little_and_an_event_does_not(staged: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "POLL", 3600.0)  # polled by hand
    stage = staged(*w.CALM)
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.settled(pilot)
        app, looks = stage.app, []
        monkeypatch.setattr(app, "catch_up", lambda: looks.append(app._aged))
        app._look(0.25)
        looks.clear()
        for _ in range(round(2 * application.PACE / 0.25)):
            stage.world.store.record_health("redis/main", Health(Level.UP, "fine", {}, 0.1), w.NOW)
            app._look(0.25)
        assert len(looks) == 2
        app._look(0.25)
        looks.clear()
        stage.world.store.note("monitor", "note", "something happened")
        app._look(0.25)
        assert len(looks) == 1
        for _ in range(8):
            app._look(0.25)
        assert len(looks) == 1, "nothing was written"


async def test_the_store_is_looked_at_less_often_once_all_is_quiet(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "POLL", 3600.0)  # polled by hand
    stage = staged(*w.CALM)
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.settled(pilot)
        app = stage.app
        app._look(0.25)
        assert app._pause == application.POLL
        stage.world.store.record_health("redis/main", Health(Level.UP, "fine", {}, 0.1), w.NOW)
        app._look(application.QUIET)
        assert app._pause == application.REST, "a reading is no event"
        stage.world.store.note("monitor", "note", "something happened")
        app._look(application.REST)
        assert app._pause == application.POLL


async def test_the_services_are_read_once_for_every_version_of_the_store(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = staged(*w.CALM)
    desk, reads = stage.app.desk, []
    read = desk.reader.services
    monkeypatch.setattr(desk.reader, "services", lambda: reads.append(1) or read())
    before = desk.seen()
    desk.case(1)
    assert desk.seen() is before
    assert len(reads) == 1
    stage.world.store.record_health("redis/main", Health(Level.UP, "fine", {}, 0.1), w.NOW)
    assert desk.seen() != before
    assert len(reads) == 2


async def test_the_first_view_is_styled_once(staged: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    styled: list[object] = []
    style = CockpitApp.update_styles

    def record(app: CockpitApp, node: DOMNode, animate: bool = True) -> None:
        styled.append(node)
        style(app, node, animate)

    monkeypatch.setattr(CockpitApp, "update_styles", record)
    stage = staged(*w.CALM)
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.settled(pilot)
        assert stage.app.screen.has_class("-medium")
        assert not [each for each in styled if isinstance(each, View)]
