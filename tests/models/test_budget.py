"""What is spent is what the log says: by month, day and incident, with what is under way held back."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from cockpit.llm.budget import Budget, Spent
from cockpit.model import Alert, Severity, Tier
from cockpit.model.inquiries import CallOutcome, ModelCall
from cockpit.settings.models import ModelsSettings
from tests.unit.store_examples import Clock, Log

NOON = datetime(2026, 11, 20, 12).timestamp()
DAY = 86400.0


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path, Clock(NOON))


def budget(log: Log, **caps: float) -> Budget:
    wanted = {"month": 100.0, "day": 100.0, "incident": 100.0, **caps}
    return Budget(ModelsSettings((), **wanted), log.store, log.clock)  # type: ignore[arg-type]  # keywords as they are given


def spend(log: Log, dollars: float, incident: int | None = None) -> None:
    inquiry = log.store.inquiries.ask(incident, "", "Why?", "ada", estimate=None, wait=False)
    call = ModelCall(0, inquiry.id, "mini", Tier.FAST, log.clock.now, 1.0, 10, 5, dollars, CallOutcome.ANSWERED)
    log.store.inquiries.called(call)


def test_the_month_begins_anew_with_its_first_day(log: Log) -> None:
    spend(log, 1.0)
    with pytest.raises(Spent, match=r"the month's \$1\.00 for models is used up \(raise 'month' in \[models\]\)"):
        budget(log, month=1.0).check(None)
    log.clock.now = datetime(2026, 11, 30, 23, 59).timestamp()
    with pytest.raises(Spent):
        budget(log, month=1.0).check(None)
    log.clock.now = datetime(2026, 12, 1, 0, 1).timestamp()
    budget(log, month=1.0).check(None)


def test_the_day_begins_anew_at_midnight(log: Log) -> None:
    spend(log, 0.25)
    with pytest.raises(Spent, match=r"the day's \$0\.25"):
        budget(log, day=0.25).check(None)
    log.clock.now += DAY / 2 + 60
    budget(log, day=0.25).check(None)


def test_an_incident_has_a_budget_of_its_own(log: Log) -> None:
    alerts = [Alert(name, f"{name}/main", "down", Severity.WARNING, "Down.", NOON) for name in ("redis", "nats")]
    first, second = log.store.ingest_alerts(alerts)
    spend(log, 0.10, first)
    with pytest.raises(Spent, match=r"the incident's \$0\.10"):
        budget(log, incident=0.10).check(first)
    budget(log, incident=0.10).check(second)
    budget(log, incident=0.10).check(None)


async def test_near_the_cap_calls_wait_for_each_other_and_then_see_what_is_left(log: Log) -> None:
    found, order = budget(log, month=1.0), []

    async def call(name: str, dollars: float) -> None:
        async with found.room(None, 0.6):
            order.append(f"{name} began")
            await asyncio.sleep(0)
            spend(log, dollars)
            order.append(f"{name} ended")

    done = await asyncio.gather(call("a", 0.5), call("b", 0.6), call("c", 0.1), return_exceptions=True)
    assert order == ["a began", "a ended", "b began", "b ended"]
    assert isinstance(done[2], Spent)


async def test_calls_run_beside_each_other_while_there_is_room_for_all(log: Log) -> None:
    found = budget(log, month=1.0)
    async with found.room(None, 0.3), found.room(None, 0.3), found.room(None, 0.3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), found.room(None, 0.3):
                pass


async def test_what_a_cancelled_call_held_is_free_again(log: Log) -> None:
    found, began = budget(log, month=1.0), asyncio.Event()

    async def hang() -> None:
        async with found.room(None, 0.9):
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await began.wait()
    task.cancel()
    await asyncio.wait([task])
    async with asyncio.timeout(1), found.room(None, 0.9):
        pass


def test_the_operator_is_told_once_a_month(log: Log) -> None:
    def told() -> int:
        found.tell()
        return len([event for event in log.store.reader.events() if event.kind == "budget"])

    found = budget(log, month=1.0)
    spend(log, 0.79)
    assert told() == 0
    spend(log, 0.02)
    assert told() == 1
    spend(log, 0.5)
    assert told() == 1
    log.clock.now = datetime(2026, 12, 5).timestamp()
    assert told() == 1
    spend(log, 0.9)
    assert told() == 2
    assert budget(log, month=1.0).tell() is None  # another process does not tell it again
    assert told() == 2
