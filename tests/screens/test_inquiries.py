"""What models are asked: each state on the screen cell by cell, its keys, and not a word of it without a model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from textual import events

from cockpit.model import Call, Event, Run, RunStatus, Tier
from cockpit.model.inquiries import CallOutcome, Inquiry, InquiryState, ModelCall
from cockpit.screens.dialogs import Ask, Reading
from cockpit.screens.following import Following
from cockpit.screens.view import VIEWS
from cockpit.text import clean
from tests.corpus import hostile
from tests.screens import asked as a
from tests.screens import world as w
from tests.screens.conftest import Stage
from tests.screens.test_keys import text_of
from tests.screens.test_snapshots import SIZES, pressing
from widgets.document import Sheet
from widgets.guard import READ_FOR, STALL
from widgets.incidents import Incidents
from widgets.inquiry import REPLY, SAID, SENTENCE, Course, followed_lines, under_way_lines
from widgets.line import plain
from widgets.lines import Lines
from widgets.models import Models
from widgets.proposal import ProposalPane

Staged = Callable[..., Stage]
Snap = Callable[..., bool]
LARGE = (120, 40)
ASKS = replace(a.MODELS, ask=True)
STORIES = ["INQUIRING", "ANSWERED", "SOLVED", "INCONCLUSIVE", "UNANSWERED"]


def asked_of(stage: Stage, what: str) -> list[tuple[Any, ...]]:
    """What of this kind the engine was asked for."""
    return [each for each in stage.engine.asked if each[0] == what]


async def read(stage: Stage, pilot: Any) -> None:
    """Go to the pane, and let the time pass in which keys do not count."""
    await stage.settled(pilot)
    await stage.press(pilot, "enter")
    await asyncio.sleep(READ_FOR + 0.15)


class TestLooks:
    """Each state as it stands on the screen."""

    @SIZES
    @pytest.mark.parametrize("story", STORIES, ids=lambda story: story.lower())
    def test_overview(self, staged: Staged, snap_compare: Snap, story: str, size: tuple[int, int]) -> None:
        stage = staged(*getattr(a, story), models=a.MODELS)
        assert snap_compare(stage.app, terminal_size=size, run_before=pressing(stage, "enter"))

    @SIZES
    def test_what_it_would_cost(self, staged: Staged, snap_compare: Snap, size: tuple[int, int]) -> None:
        stage = staged(*a.ASKING, models=ASKS)
        assert snap_compare(stage.app, terminal_size=size, run_before=pressing(stage))

    @SIZES
    def test_what_it_would_cost_being_read(self, staged: Staged, snap_compare: Snap, size: tuple[int, int]) -> None:
        stage = staged(*a.ASKING, models=ASKS)
        assert snap_compare(stage.app, terminal_size=size, run_before=pressing(stage, "a"))

    @SIZES
    @pytest.mark.parametrize(
        ("keys", "what"),
        [
            (("7",), "models"),
            (("7", "G"), "reply"),
            (("7", "G", "enter"), "followed"),
            (("2",), "incident"),
            (("i",), "question"),
            (("question_mark",), "help"),
        ],
        ids=lambda part: part if isinstance(part, str) else "",
    )
    def test_asked(
        self, staged: Staged, snap_compare: Snap, keys: tuple[str, ...], what: str, size: tuple[int, int]
    ) -> None:
        stage = staged(*a.QUESTIONS, models=a.MODELS)
        assert snap_compare(stage.app, terminal_size=size, run_before=pressing(stage, *keys))

    @SIZES
    def test_a_question_that_waits_for_a_yes(self, staged: Staged, snap_compare: Snap, size: tuple[int, int]) -> None:
        stage = staged(*w.CALM, models=ASKS, mode="attached")
        keys = ("4", "i", *"is the disk slow?", "enter")
        assert snap_compare(stage.app, terminal_size=size, run_before=pressing(stage, *keys))


class TestWithoutModels:
    """Where none is configured, nothing speaks of them."""

    async def test_no_view_key_hint_or_command_is_there(self, staged: Staged) -> None:
        stage = staged(*w.WAITING)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            for number, name in enumerate(VIEWS, 1):
                await stage.press(pilot, str(number))
                await stage.press(pilot, "7", "i")
                assert stage.app.view is not None
                assert name == stage.app.view.NAME
                assert stage.app.screen is stage.app.view
                bound = {active.binding.id for active in stage.app.screen.active_bindings.values()}
                assert not bound & {"app.models", "app.ask"}
                assert words(stage) == set(), name
                await stage.press(pilot, "question_mark")
                assert words(stage) == set(), name
                await stage.press(pilot, "escape")
            commands = [command.title for command in stage.app.get_system_commands(stage.app.screen)]
            assert not {"Models", "Ask"} & set(commands)
            assert stage.engine.asked == []

    async def test_and_the_same_screen_with_one_speaks_of_it(self, staged: Staged) -> None:
        stage = staged(*w.WAITING, models=a.MODELS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            assert words(stage) == {"models", "ask"}
            bound = {active.binding.id for active in stage.app.screen.active_bindings.values()}
            assert {"app.models", "app.ask"} <= bound
            commands = [command.title for command in stage.app.get_system_commands(stage.app.screen)]
            assert {"Models", "Ask"} <= set(commands)


def words(stage: Stage) -> set[str]:
    """The words about models that stand anywhere on the screen."""
    lines = [plain(each) for pane in stage.app.screen.query(Lines) for each in [*pane._visible(), *pane._body]]
    found = {word.strip(".,:'()") for each in lines for word in each.casefold().split()}
    return found & {"model", "models", "inquiry", "ask"}


class TestAllowing:
    """A model is asked once somebody who was shown the cost has pressed a key in that pane."""

    async def test_m_lets_a_model_be_asked(self, staged: Staged) -> None:
        stage = staged(*a.ASKING, models=ASKS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await read(stage, pilot)
            assert "nano: about $0.0004, its first prompt 3412 tokens" in text_of(
                stage.app.screen.query_one(ProposalPane)
            )
            await stage.press(pilot, "m")
            assert stage.engine.asked == [("allow", 1)]
            assert stage.world.store.reader.asked.inquiry(1).state is InquiryState.OPEN

    async def test_n_lets_none_be_asked(self, staged: Staged) -> None:
        stage = staged(*a.ASKING, models=ASKS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await read(stage, pilot)
            await stage.press(pilot, "n")
            assert stage.engine.asked == [("decline", 1)]
            assert "kim lets no model be asked" in text_of(stage.app.screen.query_one(ProposalPane))

    async def test_a_key_right_after_the_focus_came_allows_nothing(self, staged: Staged) -> None:
        stage = staged(*a.ASKING, models=ASKS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await pilot.press("enter", "m")
            await stage.settled(pilot)
            assert stage.engine.asked == []
            assert "Too quick: the question" in next(iter(stage.app._notifications)).message

    async def test_a_key_from_another_pane_allows_nothing(self, staged: Staged) -> None:
        stage = staged(*a.ASKING, models=ASKS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await asyncio.sleep(READ_FOR + 0.15)
            await stage.press(pilot, "m", "n")
            assert stage.engine.asked == []

    async def test_neither_the_mouse_nor_an_action_allows_anything(self, staged: Staged) -> None:
        stage = staged(*a.ASKING, models=ASKS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await read(stage, pilot)
            for y in range(3, LARGE[1], 2):
                await pilot.click(offset=(63 + y % 9, y), times=2)
            await stage.app.run_action("simulate_key('m')")
            await stage.settled(pilot)
            assert stage.engine.asked == []

    async def test_keys_that_piled_up_while_the_program_was_blocked_allow_nothing(self, staged: Staged) -> None:
        import time

        stage = staged(*a.ASKING, models=ASKS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await read(stage, pilot)
            time.sleep(STALL + 0.5)  # the event loop stands still, as it does when the process is stopped
            key = events.Key("m", "m")
            key.set_sender(stage.app)
            stage.app._driver.send_message(key)  # type: ignore[union-attr]  # an app that runs has a driver
            await stage.settled(pilot)
            assert stage.engine.asked == []

    async def test_while_a_proposal_waits_the_keys_answer_that_alone(self, staged: Staged) -> None:
        stage = staged(*a.SOLVED, models=ASKS)
        a.inquiry(stage.world, 2, wait=True)
        async with stage.app.run_test(size=LARGE) as pilot:
            await read(stage, pilot)
            await stage.press(pilot, "m", "n")
            assert stage.engine.asked == []

    async def test_what_was_allowed_elsewhere_is_told_here(self, staged: Staged) -> None:
        stage = staged(*a.ASKING, models=ASKS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await read(stage, pilot)
            stage.world.store.inquiries.decline(1, "lee")
            await stage.press(pilot, "m")
            refused = [note.message for note in stage.app._notifications]
            assert stage.engine.asked == [] or "already" in refused[0]

    async def test_an_incident_that_asks_is_marked_and_counted(self, staged: Staged) -> None:
        stage = staged(*a.ASKING, models=ASKS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            assert "▲ asks      #2" in text_of(stage.app.screen.query_one(Incidents))
            assert "1 waits for you" in text_of(stage.app.screen.query_one("#status", Lines))


class TestAsking:
    """Operators ask about an incident, a service, or anything."""

    async def test_i_asks_about_the_chosen_incident_and_follows_the_answer(self, staged: Staged) -> None:
        stage = staged(*a.ANSWERED, models=a.MODELS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await pilot.press("i")
            assert isinstance(stage.app.screen, Ask)
            await stage.press(pilot, *"why now?", "enter")
            assert asked_of(stage, "ask") == [("ask", "why now?", 2, "")]
            assert isinstance(stage.app.screen, Following)
            await told(stage, pilot, "why now? (kim")
            inquiries = stage.world.store.inquiries
            assert inquiries.begin(2)
            inquiries.progress(2, "It began with the import")
            await told(stage, pilot, "It began with the import")
            inquiries.finish(2, InquiryState.ANSWERED, "The import.", {"text": "The import of 14:00."})
            await told(stage, pilot, "The import of 14:00.")
            await stage.press(pilot, "escape", "2")
            assert "The import of 14:00." in text_of(stage.app.screen.query_one("#detail", Sheet))

    async def test_i_on_the_services_asks_about_the_chosen_one(self, staged: Staged) -> None:
        stage = staged(*w.CALM, models=a.MODELS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await stage.press(pilot, "4", "j")
            chosen = stage.app.screen.query_one("#list").chosen  # type: ignore[attr-defined]  # the list of choices
            await stage.press(pilot, "i", *"is it well?", "enter")
            assert asked_of(stage, "ask") == [("ask", "is it well?", None, chosen)]

    async def test_the_palette_asks_about_anything(self, staged: Staged) -> None:
        stage = staged(*a.ANSWERED, models=a.MODELS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await pilot.press(":", *"ask")
            await pilot.pause(0.3)
            await pilot.press("enter")
            await stage.settled(pilot)
            assert isinstance(stage.app.screen, Ask)
            await stage.press(pilot, *"what is full?", "enter")
            assert asked_of(stage, "ask") == [("ask", "what is full?", None, "")]

    async def test_escape_or_an_empty_question_asks_nothing(self, staged: Staged) -> None:
        stage = staged(*a.ANSWERED, models=a.MODELS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await stage.press(pilot, "i", "x", "escape", "i", "enter")
            assert stage.engine.asked == []

    async def test_a_question_that_waits_for_a_yes_gets_it_by_a_key_in_its_dialog(self, staged: Staged) -> None:
        stage = staged(*w.CALM, models=ASKS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await stage.press(pilot, "i", "y", "enter")
            await told(stage, pilot, "may a model be asked?")
            await pilot.press("m")
            assert asked_of(stage, "allow") == []
            await asyncio.sleep(READ_FOR + 0.15)
            await stage.press(pilot, "m")
            assert asked_of(stage, "allow") == [("allow", 1)]

    async def test_one_that_was_left_is_found_again_in_the_view_of_models(self, staged: Staged) -> None:
        stage = staged(*w.CALM, models=ASKS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await stage.press(pilot, "i", "y", "enter", "escape")
            assert "press 7" in text_of(stage.app.screen.query_one("#headline", Lines))
            await stage.press(pilot, "7", "G", "enter")
            assert isinstance(stage.app.screen, Following)
            await asyncio.sleep(READ_FOR + 0.15)
            await stage.press(pilot, "n")
            assert asked_of(stage, "decline") == [("decline", 1)]

    async def test_a_refusal_is_told_in_one_sentence(self, staged: Staged) -> None:
        stage = staged(*w.CALM, models=a.MODELS, refuses="[/] The budget is used up.")
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await stage.press(pilot, "i", "y", "enter")
            assert [note.message for note in stage.app._notifications] == ["[/] The budget is used up. Look again."]
            assert not isinstance(stage.app.screen, Reading)


async def told(stage: Stage, pilot: Any, text: str) -> None:
    """Wait until that text stands in the dialog."""
    sheet = stage.app.screen.query_one(Sheet)
    for _ in range(500):
        if text in text_of(sheet):
            return
        await pilot.pause(0.01)
    raise AssertionError(text_of(sheet))


class TestModels:
    """The view of models."""

    async def test_records_budgets_and_calls_are_shown(self, staged: Staged) -> None:
        stage = staged(*a.QUESTIONS, models=a.MODELS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await stage.press(pilot, "7")
            shown = text_of(stage.app.screen.query_one(Models))
            assert "month  $0.0024 of $1.00" in shown
            assert "day    $0.0024 of $0.25" in shown
            await stage.press(pilot, "j", "enter")
            detail = text_of(stage.app.screen.query_one("#detail", Sheet))
            assert "4, 4 of them answered" in detail
            assert "answered in 2.1 s, inquiry 1: 3412 + 188 tokens, $0.0006" in " ".join(detail.split())

    async def test_a_used_up_budget_says_which_models_are_not_asked(self, staged: Staged) -> None:
        stage = staged(*a.QUESTIONS, models=replace(a.MODELS, day=0.002))
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await stage.press(pilot, "7")
            rows = text_of(stage.app.screen.query_one(Models))
            assert "○ nano" in rows and "● attic" in rows and "120 %" in rows
            assert "The budget of the day is used up" in text_of(stage.app.screen.query_one("#detail", Sheet))

    async def test_a_model_that_failed_is_left_alone_for_a_while(self, staged: Staged) -> None:
        stage = staged(*a.UNANSWERED, models=a.MODELS)
        async with stage.app.run_test(size=LARGE) as pilot:
            await stage.settled(pilot)
            await stage.press(pilot, "7", "j")
            detail = " ".join(text_of(stage.app.screen.query_one("#detail", Sheet)).split())
            assert "It is left alone until about 14:1" in detail
            assert "for its last call was denied: 401: the key was refused" in detail


class TestHostile:
    """What a model says is shown, and never obeyed."""

    def test_whatever_a_model_says_stays_literal_and_short(self) -> None:
        for text in hostile():
            for state in InquiryState:
                for room in (20, 78):
                    lines = [plain(each) for each in followed_lines(full_of(text, state), room)]
                    assert all(clean(each) == each for each in lines), text[:80]
                    assert sum(map(len, lines)) < 8 * SENTENCE + REPLY + SAID + 40 * len(lines)

    def test_of_what_is_said_the_end_is_shown(self) -> None:
        said = "".join(f"word{number} " for number in range(5000))
        course = full_of(said, InquiryState.RUNNING)
        shown = " ".join(plain(each) for each in under_way_lines(replace(course, choices=(), calls=()), 78))
        assert "word4999" in shown and "word42 " not in shown
        assert len(shown) < 2 * SAID


def full_of(text: str, state: InquiryState) -> Course:
    """An inquiry with this text wherever a model, or who asks it, may write."""
    answer = a.answer_full_of(text)
    inquiry = Inquiry(1, 1, "caddy/web", text, text, state, w.NOW, None, None, text, answer, text)
    refused = ModelCall(1, 1, "mini", Tier.FAST, w.NOW, 1.0, 0, 0, 0.0, CallOutcome.REFUSED, text)
    chosen = Event(1, w.NOW, 1, "analyst", "choice", text, {"inquiry": 1})
    run = Run(1, 1, Call("look", "caddy/web", {"x": text}), RunStatus.FOUND, text, {}, w.NOW, 0.1)
    return Course(inquiry, (refused,), (chosen,), (run,))
