"""Alerts and the incidents they are folded into, and what was looked at."""

from __future__ import annotations

import pytest

from cockpit.model import (
    Call,
    CockpitError,
    Finding,
    IncidentStatus,
    RunStatus,
    Severity,
)
from tests.unit.store_examples import START, Log, alert


def test_an_alert_opens_an_incident_that_bears_its_summary(log: Log) -> None:
    incident = log.store.reader.incident(log.opened())
    assert (incident.title, incident.status, incident.severity) == (
        "Redis does not answer.",
        IncidentStatus.OPEN,
        Severity.WARNING,
    )
    assert (incident.opened_at, incident.alerts, incident.flapping) == (START, 1, False)


def test_an_alert_that_fires_already_is_counted_and_makes_no_row(log: Log) -> None:
    first = log.opened()
    assert log.store.ingest_alerts([alert(), alert()]) == [first, first]
    [raised] = log.store.reader.alerts()
    assert (raised.times, raised.firing, log.store.reader.last_event()) == (3, True, 1)


def test_another_alert_of_the_service_joins_and_the_worst_severity_counts(log: Log) -> None:
    first = log.opened()
    assert log.store.ingest_alerts([alert(name="redis-memory-full", severity=Severity.CRITICAL)]) == [first]
    incident = log.store.reader.incident(first)
    assert (incident.alerts, incident.severity) == (2, Severity.CRITICAL)


def test_an_alert_that_gets_worse_raises_its_incident(log: Log) -> None:
    log.opened()
    log.store.ingest_alerts([alert(severity=Severity.CRITICAL)])
    [incident] = log.store.reader.incidents()
    assert (incident.severity, incident.alerts) == (Severity.CRITICAL, 1)


def test_an_alert_behind_a_dead_parent_joins_the_parents_incident(log: Log) -> None:
    parent = log.opened("host/nas", "host-down")
    assert log.store.ingest_alerts([alert("redis/main")], under={"redis/main": "host/nas"}) == [parent]


def test_an_alert_whose_parent_is_well_opens_its_own_incident(log: Log) -> None:
    log.store.ingest_alerts([alert("redis/main")], under={"redis/main": "host/nas"})
    assert [incident.service for incident in log.store.reader.incidents()] == ["redis/main"]


def ended(log: Log, incident: int) -> None:
    assert log.store.clear_alerts(["redis/main:redis-down"], log.clock.now) == [incident]
    log.store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text="over")


def test_an_alert_that_comes_back_soon_reopens_its_incident(log: Log) -> None:
    first = log.opened()
    ended(log, first)
    log.clock.now += 299.0
    assert log.opened() == first
    incident = log.store.reader.incident(first)
    assert (incident.status, incident.resolved_at, incident.alerts) == (IncidentStatus.OPEN, None, 2)


def test_an_alert_that_comes_back_late_or_is_another_opens_a_new_incident(log: Log) -> None:
    first = log.opened()
    ended(log, first)
    assert log.opened(name="redis-memory-full") != first
    log.store.clear_alerts(["redis/main:redis-memory-full"], log.clock.now)
    log.store.advance(2, IncidentStatus.RESOLVED, actor="monitor", text="over")
    log.clock.now += 301.0
    assert log.opened() == 3


def test_an_incident_reopened_three_times_within_an_hour_is_flapping(log: Log) -> None:
    first = log.opened()
    seen = []
    for _ in range(3):
        ended(log, first)
        log.clock.now += 60.0
        assert log.opened() == first
        seen.append(log.store.reader.incident(first).flapping)
    assert seen == [False, False, True]


def test_three_reopenings_over_more_than_an_hour_are_no_flapping(log: Log) -> None:
    first = log.opened()
    for _ in range(3):
        log.clock.now += 1800.0
        ended(log, first)
        log.clock.now += 60.0
        log.opened()
    assert not log.store.reader.incident(first).flapping


def test_clearing_names_only_incidents_in_which_nothing_fires_any_more(log: Log) -> None:
    first = log.opened()
    log.opened(name="redis-memory-full")
    assert log.store.clear_alerts(["redis/main:redis-down"], START) == []
    assert log.store.clear_alerts(["redis/main:redis-memory-full", "never heard of"], START) == [first]
    assert log.store.reader.alerts(firing_only=True) == []
    assert log.store.reader.incident(first).status == IncidentStatus.OPEN


def test_advancing_keeps_the_cause_until_another_is_given(log: Log) -> None:
    first = log.opened()
    for cause in ("memory is full", "", "a client leaks"):
        log.store.advance(first, IncidentStatus.INVESTIGATING, actor="analyst", text="looks", cause=cause, runbook="r")
    incident = log.store.reader.incident(first)
    assert (incident.cause, incident.runbook) == ("a client leaks", "r")
    assert [e.data["was"] for e in log.store.reader.events(incident=first) if e.kind == "status"][:2] == [
        "open",
        "investigating",
    ]


def test_a_resolved_incident_goes_nowhere_by_itself(log: Log) -> None:
    first = log.opened()
    ended(log, first)
    with pytest.raises(CockpitError, match="resolved already"):
        log.store.advance(first, IncidentStatus.WATCHING, actor="healer", text="late")


def test_incidents_that_wait_for_a_person_come_first_and_resolved_ones_last(log: Log) -> None:
    names = ("a/resolved", "a/old", "a/new", "a/bad", "a/waits", "a/escalated")
    for name in names:
        log.clock.now += 1.0
        severity = Severity.CRITICAL if name in ("a/bad", "a/resolved") else Severity.WARNING
        log.store.ingest_alerts([alert(name, severity=severity)])
    log.store.advance(5, IncidentStatus.WAITING, actor="healer", text="waits")
    log.store.advance(6, IncidentStatus.ESCALATED, actor="healer", text="stuck")
    log.store.advance(1, IncidentStatus.RESOLVED, actor="monitor", text="over")
    found = [incident.service for incident in log.store.reader.incidents()]
    assert found == ["a/escalated", "a/waits", "a/bad", "a/new", "a/old", "a/resolved"]
    assert len(log.store.reader.incidents(unresolved_only=True)) == 5
    assert len(log.store.reader.incidents(limit=2)) == 2


def test_what_is_not_there_is_said_in_a_sentence(log: Log) -> None:
    for what, look in [
        ("incident", log.store.reader.incident),
        ("proposal", log.store.reader.proposal),
        ("run", log.store.reader.run),
    ]:
        with pytest.raises(CockpitError, match=f"There is no {what} 9"):
            look(9)


def test_a_run_is_kept_with_its_result_and_an_error_with_its_reason(log: Log) -> None:
    first = log.opened()
    call = Call("check_redis_memory", "redis/main", {"limit": 3})
    found = log.store.record_run(first, call, Finding("full", {"rows": [1, {"a": None}]}), "", START, 0.5)
    failed = log.store.record_run(None, call, None, "refused", START, 0.1)
    assert log.store.reader.runs(first) == [found]
    assert log.store.reader.run(failed.id) == failed
    assert (found.call, found.data, failed.status, failed.summary) == (
        call,
        {"rows": [1, {"a": None}]},
        RunStatus.ERROR,
        "refused",
    )
