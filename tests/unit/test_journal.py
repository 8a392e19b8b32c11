"""What the daemon says of what is put into the log: each event a line, and of a storm of alerts no flood."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable

import pytest

from cockpit.model import Alert, Severity
from cockpit.serve.journal import ALERTS_AT_ONCE, Journal
from cockpit.text import Redactor
from tests.unit.store_examples import START, Log


def told(log: Log, happens: Callable[[], object], **options: bool) -> list[str]:
    """The lines about what happens while the journal follows the log."""
    stream = io.StringIO()

    async def follow() -> None:
        task = asyncio.create_task(Journal(stream, Redactor(), **options).follow(log.store.reader, 0))
        await asyncio.sleep(0)
        happens()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(follow())
    return stream.getvalue().splitlines()


def alerts(count: int, severity: Severity = Severity.WARNING) -> list[Alert]:
    return [
        Alert(f"{severity}{n}", f"web/{n}", "slow", severity, f"{severity} alert {n}", START, "test")
        for n in range(count)
    ]


def test_each_of_few_alerts_is_told(log: Log) -> None:
    lines = told(log, lambda: log.store.ingest_alerts(alerts(ALERTS_AT_ONCE)), prefixed=True)
    assert len(lines) == ALERTS_AT_ONCE
    assert lines[-1] == f"<4>incident 20: web/19: warning alert {ALERTS_AT_ONCE - 1} [alert by monitor]"


def test_of_a_storm_the_first_are_told_and_the_others_counted(log: Log) -> None:
    def storm() -> None:
        log.store.ingest_alerts(alerts(100))
        log.store.ingest_alerts(alerts(20, Severity.CRITICAL))

    lines = told(log, storm, prefixed=True)
    assert len(lines) == ALERTS_AT_ONCE + 1
    assert lines[-1] == "<4>More alerts fired: 100 events, 20 of them critical, of 100 services. See: cockpit incidents"


def test_what_else_happens_in_a_storm_is_told(log: Log) -> None:
    def storm() -> None:
        log.store.ingest_alerts(alerts(100))
        log.store.clear_alerts(["warning3"], START)
        log.store.freeze("ada")

    lines = told(log, storm, prefixed=True)
    assert len(lines) == ALERTS_AT_ONCE + 3
    assert lines[-3].endswith("Cleared: slow. [alert by monitor]")
    assert lines[-2] == "<5>Changes are frozen by ada. [freeze by ada]"


def test_programs_are_told_which_events_were_counted(log: Log) -> None:
    *_, last = told(log, lambda: log.store.ingest_alerts(alerts(50)), as_json=True)
    found = json.loads(last)
    assert (found["kind"], found["events"], found["level"]) == ("alert", 50 - ALERTS_AT_ONCE, "warning")
    assert found["last"] - found["first"] == found["events"] - 1
