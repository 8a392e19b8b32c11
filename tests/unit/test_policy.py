"""The policy: how much approval a call needs, and what nobody can talk their way round."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time

import pytest

from cockpit.model import Approval, Call, Plan, Proposal, ProposalState, Service
from cockpit.safety.deadlines import Deadlines
from cockpit.safety.policy import Record, judge, obstacle, quiet, same_call
from cockpit.settings import PolicySettings
from tests.faults import world

REGISTRY = world.registry()
DEED, VALUE = REGISTRY.tool("do_world_deed"), REGISTRY.tool("set_world_value")
SOFT = replace(VALUE, approval=Approval.SOFT)
NOON = datetime(2026, 3, 1, 12, 0)
ONE = Service("world/one")
NOTHING = Plan("nothing")


def ruling(**settings: object) -> Approval:
    return judge(PolicySettings(**settings), SOFT, ONE, NOTHING, Record(), NOON).approval  # type: ignore[arg-type]  # keywords of the policy


def test_a_tool_has_its_own_level_by_default() -> None:
    assert ruling() is Approval.SOFT


@pytest.mark.parametrize("level", list(Approval))
def test_the_config_overrides_it_either_way(level: Approval) -> None:
    assert ruling(levels={"set_world_value": level}) is level


def test_a_critical_target_makes_any_change_at_least_hard() -> None:
    verdict = judge(PolicySettings(), SOFT, replace(ONE, critical=True), NOTHING, Record(), NOON)
    assert verdict.approval is Approval.HARD
    assert "critical" in verdict.why


def test_critical_does_not_soften_forbidden() -> None:
    settings = PolicySettings(levels={"set_world_value": Approval.FORBIDDEN})
    assert judge(settings, SOFT, replace(ONE, critical=True), NOTHING, Record(), NOON).approval is Approval.FORBIDDEN


@pytest.mark.parametrize(
    "record",
    [
        Record(changes_last_hour=30),
        Record(failures_on_target=2),
        Record(same_call_lately=True),
        Record(frozen_by="me"),
    ],
)
def test_what_was_done_lately_can_ask_for_a_person(record: Record) -> None:
    assert judge(PolicySettings(changes_per_hour=30), SOFT, ONE, NOTHING, record, NOON).approval is Approval.HARD


def test_a_plan_may_ask_for_more_than_its_tool() -> None:
    plan = Plan("full", approval=Approval.HARD)
    assert judge(PolicySettings(), SOFT, ONE, plan, Record(), NOON).approval is Approval.HARD


def test_quiet_hours_and_dry_run_wait_for_a_person() -> None:
    assert (
        judge(PolicySettings(quiet_hours=("11:00", "13:00")), SOFT, ONE, NOTHING, Record(), NOON).approval
        is Approval.HARD
    )
    assert ruling(dry_run=True) is Approval.HARD


@pytest.mark.parametrize(
    ("hours", "at", "expected"),
    [
        (("23:00", "07:00"), "23:00", True),
        (("23:00", "07:00"), "06:59", True),
        (("23:00", "07:00"), "07:00", False),
        (("23:00", "07:00"), "12:00", False),
        (("09:00", "17:00"), "12:00", True),
        (("09:00", "17:00"), "08:59", False),
        (None, "12:00", False),
    ],
)
def test_quiet_hours_may_span_midnight(hours: tuple[str, str] | None, at: str, expected: bool) -> None:
    assert quiet(hours, time.fromisoformat(at)) is expected


def test_obstacles_stand_whoever_approved() -> None:
    assert "frozen" in str(obstacle(PolicySettings(), SOFT, Record(frozen_by="me"), undo=False))
    assert "dry run" in str(obstacle(PolicySettings(dry_run=True), SOFT, Record(), undo=False))
    assert "forbidden" in str(
        obstacle(PolicySettings(levels={SOFT.name: Approval.FORBIDDEN}), SOFT, Record(), undo=False)
    )
    assert "limit" in str(obstacle(PolicySettings(changes_per_hour=3), SOFT, Record(changes_last_hour=3), undo=False))
    assert obstacle(PolicySettings(), SOFT, Record(), undo=False) is None


def test_the_way_back_stays_open_when_the_hour_is_full() -> None:
    assert obstacle(PolicySettings(changes_per_hour=3), SOFT, Record(changes_last_hour=3), undo=True) is None


def test_the_same_call_is_the_same_whatever_the_order_of_its_arguments() -> None:
    assert same_call(Call("t", "s/1", {"a": 1, "b": 2}), Call("t", "s/1", {"b": 2, "a": 1}))
    assert not same_call(Call("t", "s/1", {"a": 1}), Call("t", "s/2", {"a": 1}))


def waiting(created_at: float = 1000.0) -> Proposal:
    """A proposal that was made with five minutes to answer."""
    call, hard, pending = Call("t", "world/one", {}), Approval.HARD, ProposalState.PENDING
    return Proposal(1, None, call, NOTHING, "digest", hard, pending, created_at, created_at + 300.0, "")


def test_a_clock_that_is_set_back_revives_no_proposal() -> None:
    wall, steady = [1000.0], [0.0]
    deadlines = Deadlines(lambda: wall[0], lambda: steady[0])
    assert not deadlines.passed(waiting())
    wall[0], steady[0] = 1000.0 - 3600, 301.0
    assert deadlines.passed(waiting())


def test_a_clock_that_is_set_back_before_a_proposal_is_seen_gives_it_no_more_than_its_own_time() -> None:
    steady = [0.0]
    deadlines = Deadlines(lambda: 1000.0 - 86_400, lambda: steady[0])
    assert not deadlines.passed(waiting())
    steady[0] = 299.0
    assert not deadlines.passed(waiting())
    steady[0] = 301.0
    assert deadlines.passed(waiting())


def test_a_clock_that_jumps_forward_ends_it_at_once() -> None:
    wall = [1000.0]
    deadlines = Deadlines(lambda: wall[0], lambda: 0.0)
    assert not deadlines.passed(waiting())
    wall[0] = 1400.0
    assert deadlines.passed(waiting())
