"""Reports that others send of alerts: many in one transaction come to the same as one at a time."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.model import Alert, IncidentStatus, Severity
from cockpit.store.incidents import MOST_TOLD
from cockpit.store.intake import Cleared, Report
from tests.unit.store_examples import START, Log, alert

SERVICES = ("redis/main", "redis/cache", "alertmanager/Disk")


def firing(number: int, severity: Severity = Severity.WARNING) -> Alert:
    """One of a few alerts of a few services."""
    return alert(SERVICES[number % 3], f"alert{number}", severity=severity)


def cleared(number: int) -> Cleared:
    return Cleared(firing(number).fingerprint, START)


REPORTS = st.one_of(
    st.builds(firing, st.integers(0, 7), st.sampled_from(Severity)), st.builds(cleared, st.integers(0, 7))
)


def kept(log: Log) -> object:
    """What the log holds of alerts and incidents, and what is wrong with it."""
    return (
        [(each.incident, each.alert, each.times, each.resolved_at) for each in log.store.reader.alerts()],
        [(each.id, each.service, each.severity, each.alerts) for each in log.store.reader.incidents()],
        log.store.check(),
    )


def one_at_a_time(log: Log, reports: list[Report]) -> None:
    for report in reports:
        if isinstance(report, Cleared):
            log.store.clear_alerts([report.fingerprint], report.at)
        else:
            log.store.ingest_alerts([report])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(REPORTS, max_size=12), max_size=5))
def test_many_at_once_come_to_the_same_as_one_at_a_time(batches: list[list[Report]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        together, single = Log(Path(folder) / "together"), Log(Path(folder) / "single")
        with together.store, single.store:
            for batch in batches:
                together.store.take_in(batch)
                one_at_a_time(single, batch)
            assert kept(together) == kept(single)


def test_a_storm_on_one_service_is_one_incident_told_in_few_events(tmp_path: Path) -> None:
    count = MOST_TOLD + 37
    storm = [alert("redis/main", f"alert{number}") for number in range(count)]
    storm[-1] = alert("redis/main", "worst", severity=Severity.CRITICAL)
    log = Log(tmp_path)
    with log.store:
        log.store.take_in(storm)
        [incident] = log.store.reader.incidents()
        assert (incident.alerts, incident.severity) == (count, Severity.CRITICAL)
        events = log.store.reader.events()
        assert [1 + len(event.data.get("others", [])) for event in events] == [MOST_TOLD, 37]
        assert [event.data["incident"] for event in events] == ["opened", "joined"]
        assert log.store.check() == []


def test_alerts_of_an_incident_that_was_resolved_open_it_again(tmp_path: Path) -> None:
    log = Log(tmp_path)
    with log.store:
        log.store.take_in([firing(0)])
        log.store.take_in([cleared(0)])
        log.store.advance(1, IncidentStatus.RESOLVED, actor="monitor", text="Over.")
        log.store.take_in([firing(0), firing(3)])
        [incident] = log.store.reader.incidents()
        assert (incident.status, incident.alerts) == (IncidentStatus.OPEN, 3)
        assert log.store.check() == []


@pytest.mark.parametrize("size", [1, 2, 3, 63, 64, 65, 200])
def test_however_many_alerts_there_are_each_is_vouched_for(tmp_path: Path, size: int) -> None:
    log = Log(tmp_path)
    with log.store:
        log.store.take_in([firing(number) for number in random.Random(size).sample(range(1000), size)])
        assert len(log.store.reader.alerts()) == size
        assert log.store.check() == []
        log.store._database.conn.execute("update alert set summary = 'x' where id = ?", [size])
        assert [problem.row for problem in log.store.check()] == [f"alert:{size}"]
