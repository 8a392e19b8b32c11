"""An approval is a key, pressed by somebody who has been shown all of what it approves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from textual import events

from cockpit.model import Plan, Verdict
from cockpit.screens.dialogs import Ask
from tests.screens import world as w
from tests.screens.conftest import Stage
from widgets.guard import BURST, READ_FOR, STALL, Guard
from widgets.proposal import ProposalPane

Staged = Callable[..., Stage]
LARGE, SMALL = (120, 40), (80, 24)


def decided(stage: Stage) -> list[tuple[Any, ...]]:
    """What the engine was asked to decide."""
    return [asked for asked in stage.engine.asked if asked[0] == "decide"]


async def waited() -> None:
    """Let the time pass in which a key does not count."""
    await asyncio.sleep(READ_FOR + 0.15)


async def test_a_key_approves_what_has_been_on_show_long_enough(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=LARGE) as pilot:
        await stage.settled(pilot)
        await stage.press(pilot, "enter")
        await waited()
        await stage.press(pilot, "a")
        assert [asked[3] for asked in decided(stage)] == [Verdict.APPROVED]


async def test_a_key_right_after_the_focus_came_approves_nothing(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=LARGE) as pilot:
        await stage.settled(pilot)
        await waited()
        await pilot.press("a", "a", "a")
        await stage.settled(pilot)
        assert decided(stage) == []


async def test_a_key_from_another_pane_approves_nothing(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=LARGE) as pilot:
        await stage.settled(pilot)
        await waited()
        await stage.press(pilot, "a")
        assert isinstance(stage.app.screen.focused, ProposalPane)
        assert decided(stage) == []


async def test_the_mouse_alone_approves_nothing(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SMALL) as pilot:
        await stage.settled(pilot)
        await waited()
        for y in range(1, SMALL[1]):
            await pilot.click(offset=(3 + y, y), times=2)
        assert decided(stage) == []


async def test_a_plan_longer_than_the_pane_must_have_been_read_to_its_end(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=SMALL) as pilot:
        await stage.settled(pilot)
        await stage.press(pilot, "enter")
        await waited()
        await stage.press(pilot, "a")
        assert decided(stage) == []
        assert "There is more below." in next(iter(stage.app._notifications)).message
        await stage.press(pilot, "G")
        await waited()
        await stage.press(pilot, "a")
        assert len(decided(stage)) == 1


async def test_a_proposal_that_takes_the_place_of_another_has_to_be_read_anew(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=LARGE) as pilot:
        await stage.settled(pilot)
        await stage.press(pilot, "enter")
        await waited()
        moved = replace(w.REDIS_PLAN.changes[0], before="67108865")
        stage.world.propose(2, w.REDIS_CALL, replace(w.REDIS_PLAN, changes=(moved,)), w.Approval.HARD, "It moved.")
        pane = stage.app.screen.query_one(ProposalPane)
        stage.app.view.look()  # type: ignore[union-attr]  # a view is mounted
        while pane.pending is None or pane.pending.id != 3:
            await pilot.pause()
        await pilot.press("a")
        await stage.settled(pilot)
        assert decided(stage) == []
        await waited()
        await stage.press(pilot, "a")
        assert [asked[1] for asked in decided(stage)] == [3]


async def test_a_simulated_key_approves_nothing(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=LARGE) as pilot:
        await stage.settled(pilot)
        await stage.press(pilot, "enter")
        await waited()
        await stage.app.run_action("simulate_key('a')")
        stage.app.simulate_key("a")
        await stage.settled(pilot)
        assert decided(stage) == []


def test_no_action_that_a_text_could_name_decides() -> None:
    actions = [name for name in vars(ProposalPane) if name.startswith(("action_", "_action_", "key_"))]
    assert actions == ["action_dry_run"]


async def test_an_irreversible_change_needs_the_name_typed(staged: Staged) -> None:
    stage = staged(*w.CALM)
    plan = Plan(w.VACUUM_PLAN.summary, w.VACUUM_PLAN.changes, w.VACUUM_PLAN.risk)
    stage.world.propose(None, w.VACUUM_CALL, plan, w.Approval.HARD, "Bloated.", needs_name=True)
    async with stage.app.run_test(size=LARGE) as pilot:
        await stage.settled(pilot)
        await stage.press(pilot, "enter")
        await waited()
        await pilot.press("a")
        assert isinstance(stage.app.screen, Ask)
        await stage.press(pilot, *"postgres/main", "enter")
        assert [asked[6] for asked in decided(stage)] == ["postgres/main"]


async def test_a_proposal_that_was_decided_elsewhere_cannot_be_decided_here(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=LARGE) as pilot:
        await stage.settled(pilot)
        await stage.press(pilot, "enter")
        await waited()
        proposal = stage.world.store.reader.proposal(2)
        stage.world.store.decide(2, proposal.digest, Verdict.DENIED, by="lee", channel="telegram", at=w.NOW)
        await stage.press(pilot, "a")
        refused = [note.message for note in stage.app._notifications]
        assert decided(stage) == [] or "already" in refused[0]
        assert stage.world.store.reader.decision(2).by == "lee"  # type: ignore[union-attr]  # it was decided


class TestGuard:
    """The clockwork alone: each case differs from an approval in one thing."""

    def ready(self) -> Guard:
        """A guard that would approve `x` at 10.0."""
        guard = Guard()
        guard.beat(9.9)
        guard.painted("x", 9.0)
        guard.focused(9.0)
        guard.seen_whole()
        return guard

    def test_approves_what_was_read(self) -> None:
        assert self.ready().objection("x", 10.0) == ""

    def test_refuses_another_digest(self) -> None:
        assert self.ready().objection("y", 10.0)

    def test_refuses_before_the_end_was_seen(self) -> None:
        guard = self.ready()
        guard.painted("y", 9.0)
        assert guard.objection("y", 10.0)

    @pytest.mark.parametrize("ago", [0.0, READ_FOR / 2, READ_FOR - 0.01])
    def test_refuses_within_the_time_to_read(self, ago: float) -> None:
        guard = self.ready()
        guard.focused(10.0 - ago)
        assert guard.objection("x", 10.0)

    def test_refuses_a_key_that_was_read_before_it_was_painted(self) -> None:
        guard = self.ready()
        guard.painted("y", 10.0)
        guard.seen_whole()
        assert guard.objection("y", 9.8)

    def test_refuses_after_a_stall_in_which_keys_may_have_been_buffered(self) -> None:
        guard = self.ready()
        guard.beat(9.9 + STALL + 1)
        assert guard.objection("x", 9.9 + STALL + 1.01)

    def test_refuses_while_the_program_is_stalled(self) -> None:
        assert self.ready().objection("x", 9.9 + STALL + 0.5)

    def test_refuses_a_burst(self) -> None:
        guard = self.ready()
        guard.pressed(10.0)
        assert guard.objection("x", 10.0) == ""
        guard.pressed(10.0 + BURST / 2)
        assert guard.objection("x", 10.0 + BURST / 2)

    def test_never_approves_before_anything_was_painted(self) -> None:
        guard = Guard()
        guard.beat(10.0)
        guard.focused(0.0)
        guard.seen_whole()
        assert guard.objection("", 10.0)


async def test_keys_that_piled_up_while_the_program_was_blocked_approve_nothing(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=LARGE) as pilot:
        await stage.settled(pilot)
        await stage.press(pilot, "enter")
        await waited()
        time.sleep(STALL + 0.5)  # the event loop stands still, as it does when the process is stopped
        key = events.Key("a", "a")
        key.set_sender(stage.app)
        stage.app._driver.send_message(key)  # type: ignore[union-attr]  # an app that runs has a driver
        await stage.settled(pilot)
        assert decided(stage) == []
