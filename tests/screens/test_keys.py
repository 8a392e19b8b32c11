"""Every key that the screen names does what its name says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cockpit.model import Call, ProposalState, Verdict
from cockpit.screens.dialogs import Ask, Menu, Reading
from cockpit.screens.form import Form
from cockpit.screens.view import VIEWS
from tests.screens import world as w
from tests.screens.conftest import Stage
from tests.screens.recorder import Lab
from widgets.choice import Choice
from widgets.document import Sheet
from widgets.guard import READ_FOR
from widgets.incidents import Incidents
from widgets.line import plain
from widgets.lines import Lines
from widgets.log import Log
from widgets.plot import Plot
from widgets.proposal import ProposalPane
from widgets.rows import Rows

Staged = Callable[..., Stage]
SIZE = (120, 40)


def text_of(pane: Lines) -> str:
    """What stands in the pane, row by row."""
    return "\n".join(plain(each) for each in pane._visible())


async def read_proposal(stage: Stage, pilot: Any) -> ProposalPane:
    """Go to the proposal, read it to its end, and let the time pass in which keys do not count."""
    await stage.press(pilot, "a", "G")
    await asyncio.sleep(READ_FOR + 0.1)
    return stage.app.screen.query_one(ProposalPane)


@pytest.mark.parametrize(("key", "name"), [(str(number), name) for number, name in enumerate(VIEWS, 1)])
async def test_number_keys_show_the_views(staged: Staged, key: str, name: str) -> None:
    stage = staged(*w.DONE)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, key)
        assert stage.app.view is not None
        assert name == stage.app.view.NAME
        assert any(name in text_of(pane) for pane in stage.app.screen.query("#tabs").results(Lines))


async def test_j_and_k_and_the_arrows_move_the_cursor(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.settled(pilot)
        incidents = stage.app.screen.query_one(Incidents)
        assert incidents.chosen == 2
        for key, chosen in (("j", 1), ("k", 2), ("down", 1), ("up", 2), ("G", 1), ("g", 2)):
            await stage.press(pilot, key)
            assert incidents.chosen == chosen, key


async def test_moving_the_cursor_shows_the_case_of_the_chosen_incident(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "j")
        assert "Vacuum shop.public.orders" in text_of(stage.app.screen.query_one(ProposalPane))


async def test_tab_goes_from_pane_to_pane_and_escape_back(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.settled(pilot)
        seen = []
        for _ in range(4):
            await pilot.press("tab")
            seen.append(stage.app.screen.focused.id if stage.app.screen.focused else "")
        assert seen == ["timeline", "proposal", "services", "incidents"]
        await pilot.press("shift+tab", "escape")
        assert stage.app.screen.focused is stage.app.screen.query_one(Incidents)


async def test_enter_on_an_incident_goes_to_its_proposal(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.settled(pilot)
        await stage.press(pilot, "enter")
        assert isinstance(stage.app.screen.focused, ProposalPane)


async def test_enter_on_a_service_shows_its_plots(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.settled(pilot)
        await stage.press(pilot, "shift+tab", "j", "enter")
        assert stage.app.view is not None
        assert stage.app.view.NAME == "Services"
        assert stage.app.screen.query_one("#list", Rows).chosen == "caddy/web"


async def test_a_approves_exactly_what_was_read(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        pane = await read_proposal(stage, pilot)
        shown = pane.pending
        assert shown is not None
        await stage.press(pilot, "a")
        assert stage.engine.asked == [("decide", shown.id, shown.digest, Verdict.APPROVED, "keypress", "", "")]
        assert stage.world.store.reader.proposal(shown.id).state is ProposalState.APPROVED


async def test_d_denies_and_asks_why(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        pane = await read_proposal(stage, pilot)
        shown = pane.pending
        assert shown is not None
        await pilot.press("d")
        assert isinstance(stage.app.screen, Ask)
        await stage.press(pilot, *"later", "enter")
        assert stage.engine.asked == [("decide", shown.id, shown.digest, Verdict.DENIED, "keypress", "later", "")]


async def test_escape_from_the_question_denies_nothing(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await read_proposal(stage, pilot)
        await stage.press(pilot, "d", "escape")
        assert stage.engine.asked == []


async def test_x_plans_again_and_changes_nothing(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "enter", "x")
        assert stage.engine.asked == [("dry_run", w.REDIS_CALL)]
        assert isinstance(stage.app.screen, Reading)
        assert "Still the same plan" in text_of(stage.app.screen.query_one(Sheet))


async def test_u_proposes_to_put_a_change_back(staged: Staged) -> None:
    stage = staged(*w.DONE)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "3", "u")
        assert stage.engine.asked == [("undo", 2)]
        await stage.press(pilot, "1")
        assert "P3" in text_of(stage.app.screen.query_one(Incidents))


async def test_u_says_why_there_is_no_way_back(staged: Staged) -> None:
    stage = staged(*w.DONE)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "3", "j", "u")
        assert [note.message for note in stage.app._notifications] == [
            "There is no way back: a vacuum removes only what nobody sees."
        ]


async def test_f_freezes_at_once_and_asks_before_it_thaws(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.settled(pilot)
        await stage.press(pilot, "f")
        assert stage.engine.asked == [("freeze", True)]
        await pilot.press("f")
        assert isinstance(stage.app.screen, Menu)
        await stage.press(pilot, "enter")
        assert stage.engine.asked == [("freeze", True)]
        await stage.press(pilot, "f", "j", "enter")
        assert stage.engine.asked == [("freeze", True), ("freeze", False)]


async def test_capital_f_injects_and_clears_faults_in_the_demo(staged: Staged) -> None:
    asked: list[tuple[str, str]] = []
    stage = staged(*w.CALM, mode="demo", lab=Lab(asked))
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.settled(pilot)
        await stage.press(pilot, "F", "j", "enter")
        await stage.press(pilot, "F", "c")
        assert asked == [("inject", "redis-stopped"), ("clear", "redis-memory-full")]


async def test_slash_filters_and_escape_shows_all_again(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "2", "slash", *"orders")
        rows = stage.app.screen.query_one("#list", Rows)
        assert [row.key for row in rows._rows] == [1]
        await stage.press(pilot, "escape")
        assert [row.key for row in rows._rows] == [2, 1]
        assert stage.app.screen.focused is rows


async def test_s_shows_incidents_of_one_state(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "2", "s")
        rows = stage.app.screen.query_one("#list", Rows)
        assert [row.key for row in rows._rows] == [2]
        await stage.press(pilot, "s")
        assert [row.key for row in rows._rows] == [1]


async def test_brackets_change_the_span_of_the_plot(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "4")
        plot = stage.app.screen.query_one(Plot)
        seen = []
        for key in ("]", "]", "]", "["):
            await stage.press(pilot, key)
            seen.append(str(plot.border_title).rsplit("  ", 1)[1])
        assert seen == ["24 h", "7 d", "7 d", "24 h"]


async def test_question_mark_shows_the_help_of_the_view(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.settled(pilot)
        for number, name in enumerate(VIEWS, 1):
            await stage.press(pilot, str(number), "question_mark")
            assert isinstance(stage.app.screen, Reading)
            text = "\n".join(plain(each) for each in stage.app.screen.query_one(Sheet)._body)
            assert f" {name}" in text
            assert "Everywhere" in text
            await stage.press(pilot, "escape")


@pytest.mark.parametrize("key", [":", "ctrl+p"])
async def test_the_palette_knows_every_view(staged: Staged, key: str) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.settled(pilot)
        await pilot.press(key)
        await pilot.press(*"changes")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await stage.settled(pilot)
        assert stage.app.view is not None
        assert stage.app.view.NAME == "Changes"


async def test_y_copies_through_the_terminal(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "enter", "y")
        assert "CONFIG SET maxmemory 134217728" in stage.app.clipboard


async def test_ctrl_t_goes_from_dark_to_light_and_back(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "ctrl+t")
        assert not stage.app.current_theme.dark
        await stage.press(pilot, "ctrl+t")
        assert stage.app.current_theme.dark


async def test_q_leaves(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.settled(pilot)
        await pilot.press("q")
    assert stage.app.return_code == 0
    assert stage.engine.stopped.is_set()


async def test_a_diagnostic_is_run_with_a_form_made_from_its_schema(staged: Staged) -> None:
    stage = staged(*w.CALM)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "5", "enter")
        assert isinstance(stage.app.screen, Form)
        stage.app.screen.query_one("#field-idle", Choice).focus()
        await pilot.press("right")
        await stage.press(pilot, "enter")
        call = Call("check_redis_clients", "redis/main", {"limit": 20, "idle": True})
        assert stage.engine.asked == [("inspect", call)]
        assert "4 clients" in text_of(stage.app.screen.query_one("#detail", Sheet))


async def test_a_remediation_is_only_planned_and_p_proposes_it(staged: Staged) -> None:
    stage = staged(*w.CALM)
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "5", "j", "enter", "tab", *"128", "enter")
        call = Call("set_redis_maxmemory", "redis/main", {"megabytes": 128})
        assert stage.engine.asked == [("dry_run", call)]
        await stage.press(pilot, "p")
        assert stage.engine.asked == [("dry_run", call), ("propose", call, "")]


async def test_an_error_of_the_engine_is_told_in_one_sentence(staged: Staged) -> None:
    stage = staged(*w.WAITING, refuses="[/] The digest differs.")
    async with stage.app.run_test(size=SIZE) as pilot:
        await read_proposal(stage, pilot)
        await stage.press(pilot, "a")
        assert [note.message for note in stage.app._notifications] == ["[/] The digest differs. Look again."]


async def test_the_log_follows_what_happens_unless_scrolled_up(staged: Staged) -> None:
    stage = staged(*w.CALM)
    for number in range(300):
        stage.world.store.note("monitor", "note", f"event {number}")
    async with stage.app.run_test(size=SIZE) as pilot:
        await stage.press(pilot, "6")
        log = stage.app.screen.query_one(Log)
        assert "event 299" in text_of(log)
        stage.world.store.note("monitor", "note", "one more")
        await pilot.pause(0.4)
        await stage.settled(pilot)
        assert "one more" in text_of(log)
        await stage.press(pilot, "pageup")
        top = log.scroll_offset.y
        stage.world.store.note("monitor", "note", "and another")
        await pilot.pause(0.4)
        await stage.settled(pilot)
        assert log.scroll_offset.y == top
        await stage.press(pilot, "g")
        await stage.settled(pilot)
        assert "caddy/web is up" in text_of(log) or "event" not in text_of(log).splitlines()[0]
