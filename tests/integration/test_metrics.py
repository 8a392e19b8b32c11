"""What a scrape answers: right, the same after a restart, never less than before, quick, and safe to read."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cockpit.model import (
    Call,
    ChangeState,
    Finding,
    Health,
    IncidentStatus,
    Level,
    ProposalState,
    Severity,
    Verdict,
)
from cockpit.serve.metrics import AuditCollector, LogCollector
from cockpit.store.notices import Notice
from cockpit.store.outbox import Draft, Rank
from tests.faults import world
from tests.integration.metrics_lab import NASTY, Series, collector, exposed, one, totals, values
from tests.unit.store_examples import Log, alert, health, services


def test_one_incident_counts_once_everywhere(log: Log) -> None:
    log.lived_through("redis/main")
    seen = exposed(collector(log))
    assert one(seen, "cockpit_incidents", state="resolved") == 1
    assert one(seen, "cockpit_incidents", state="open") == 0
    assert one(seen, "cockpit_incidents_opened_total", severity="warning") == 1
    assert one(seen, "cockpit_incidents_resolved_total", by="operator") == 1
    assert one(seen, "cockpit_proposals", state="done") == 1
    assert one(seen, "cockpit_decisions_total", channel="keypress", verdict="approved") == 1
    assert one(seen, "cockpit_changes_total", tool="set_redis_maxmemory", outcome="done") == 1
    ran = {"tool_name": "check_redis_memory", "agent": "analyst", "status": "success"}
    assert one(seen, "agent_tool_executions_total", **ran) == 1
    assert one(seen, "agent_tool_duration_seconds_bucket", tool_name="check_redis_memory", le="0.1") == 0
    assert one(seen, "agent_tool_duration_seconds_bucket", tool_name="check_redis_memory", le="0.25") == 1
    mended = {"tool_name": "set_redis_maxmemory", "agent": "healer", "status": "success"}
    assert one(seen, "agent_tool_executions_total", **mended) == 1


def test_the_stages_of_an_incident_are_timed_each_from_where_it_begins(log: Log) -> None:
    incident = log.opened()
    log.clock.now += 3
    log.store.note("analyst", "diagnosis", "No runbook explains it.", incident=incident)
    log.clock.now += 4
    log.store.note("analyst", "diagnosis", "It is full.", incident=incident, data={"runbook": "full"})
    proposal = log.proposed(incident)
    log.clock.now += 20
    log.approve(proposal)
    log.carried_out(proposal)
    log.clock.now += 13
    log.store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text="Well.")
    seen = exposed(collector(log))
    stages = {stage: one(seen, f"cockpit_incident_{stage}_seconds_sum") for stage in ("detect", "diagnose", "resolve")}
    assert stages == {"detect": 5, "diagnose": 7, "resolve": 40}
    assert one(seen, "cockpit_incident_approve_seconds_sum") == 20
    assert one(seen, "cockpit_approval_wait_seconds_sum") == 20


def test_what_policy_approves_is_nobodys_wait_and_its_own_merit(log: Log) -> None:
    incident = log.opened()
    proposal = log.proposed(incident)
    now = log.clock.now
    log.store.decide(proposal.id, proposal.digest, Verdict.APPROVED, by="policy", channel="policy", at=now)
    log.carried_out(proposal)
    log.store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text="Well.")
    late = log.proposed(log.opened("nats/bus", "nats-down"), "nats/bus")
    log.store.expire(late.expires_at + 1)
    seen = exposed(collector(log))
    assert one(seen, "cockpit_incidents_resolved_total", by="policy") == 1
    assert one(seen, "cockpit_decisions_total", channel="deadline", verdict="expired") == 1
    assert one(seen, "cockpit_approval_wait_seconds_count") == 0


def test_repeated_reports_of_an_alert_are_counted_before_and_after_it_clears(log: Log) -> None:
    kept = collector(log)
    for _ in range(3):
        log.opened()
    assert one(exposed(kept), "cockpit_alerts_received_total", status="firing") == 3
    log.store.clear_alerts(["redis/main:redis-down"], log.clock.now)
    assert one(exposed(kept), "cockpit_alerts_received_total", status="firing") == 3
    assert one(exposed(kept), "cockpit_alerts_received_total", status="resolved") == 1


def eventful(log: Log) -> Iterator[None]:
    """A life in which states go back and forth, a breath after each step."""
    store = log.store
    store.watch(services("redis/main", "nats/bus"))
    store.record_health("redis/main", health(Level.DOWN), log.clock.now)
    yield
    for bout in range(4):
        log.clock.now += 30
        incident = log.opened()
        log.opened()
        yield
        store.record_run(incident, Call("check", "redis/main"), None, "no", 1, 0.5, error_type="Denied")
        proposal = log.approved(incident, after=bout + 2)
        (applied,) = log.claimed(proposal)
        yield
        store.applying(applied.id)
        store.finish(applied.id, ChangeState.UNKNOWN, "?", log.clock.now)
        yield
        store.settle(proposal.id, ProposalState.UNKNOWN, "?")
        yield
        store.finish(applied.id, ChangeState.DONE, "yes", log.clock.now)
        yield
        store.settle(proposal.id, ProposalState.DONE, "yes")
        yield
        store.finish(applied.id, ChangeState.UNDONE, "back", log.clock.now)
        yield
        store.advance(incident, IncidentStatus.ESCALATED, actor="healer", text="help")
        yield
        log.clock.now -= 10  # a clock that is set back
        store.clear_alerts(["redis/main:redis-down"], log.clock.now)
        yield
        store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text="well")
        yield


def test_no_total_ever_falls_whatever_happens(log: Log) -> None:
    kept, before, steps = collector(log), dict[Series, float](), 0
    for _ in eventful(log):
        now = totals(exposed(kept))
        fell = {series: (value, now.get(series)) for series, value in before.items() if now.get(series, -1.0) < value}
        assert not fell
        before, steps = now, steps + 1
    assert steps == 41
    assert before["cockpit_changes_total", (("outcome", "undone"), ("tool", "set_redis_maxmemory"))] == 4


def test_a_restart_gives_the_same_figures_as_having_watched_all_along(log: Log) -> None:
    kept = collector(log)
    for _ in eventful(log):
        exposed(kept)
    assert totals(exposed(kept)) == totals(exposed(collector(log)))


def test_the_first_scrape_after_a_restart_reads_a_log_longer_than_a_page(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in eventful(log):
        pass
    whole = totals(exposed(collector(log)))
    monkeypatch.setattr("cockpit.serve.metrics.PAGE", 3)
    assert totals(exposed(collector(log))) == whole


def test_text_from_outside_makes_no_series_and_breaks_none(log: Log) -> None:
    log.store.watch(services("redis/main"))
    log.store.record_health("redis/main", Health(Level.DOWN, NASTY, {}), log.clock.now)
    incident = log.store.ingest_alerts([alert("redis/main", NASTY, Severity.CRITICAL, NASTY)])[0]
    log.store.record_run(incident, Call("check", "redis/main"), None, NASTY, 1, 0.5, error_type="Denied")
    log.store.record_run(incident, Call("look", "redis/main"), Finding(NASTY), "", 1, 0.5, actor=NASTY)
    proposal = log.proposed(incident)
    log.store.decide(proposal.id, proposal.digest, Verdict.DENIED, by=NASTY, channel=NASTY, at=log.clock.now)
    seen = exposed(collector(log))
    assert one(seen, "cockpit_decisions_total", channel=NASTY, verdict="denied") == 1
    labels = {value for _, pairs in values(seen) for name, value in pairs if name != "channel"}
    assert not any("fake" in value for value in labels)
    assert not any(name.startswith("fake") for name, _ in values(seen))


def test_a_service_without_an_answer_has_a_level_and_no_latency(log: Log) -> None:
    log.store.watch(services("redis/main", "nats/bus"))
    log.store.record_health("redis/main", Health(Level.DOWN, "Gone.", {}), log.clock.now)
    log.clock.now += 12
    seen = values(exposed(collector(log)))
    service = ("service", "redis/main")
    assert seen["cockpit_service_level", (("level", "down"), service)] == 1
    assert seen["cockpit_service_level", (("level", "up"), service)] == 0
    assert seen["cockpit_service_level", (("level", "unknown"), ("service", "nats/bus"))] == 1
    assert seen["cockpit_last_probe_age_seconds", (service,)] == 12
    assert ("cockpit_service_latency_seconds", (service,)) not in seen


def test_messages_wait_and_are_overdue_only_once_they_were_due(log: Log) -> None:
    outbox, notices, now = log.store.telegram.outbox, log.store.notices, log.clock.now
    first = outbox.put(Draft("incident:1", {"text": "a"}, Rank.INCIDENT), now=now)
    outbox.put(Draft("gathered", {"text": "b"}, Rank.GATHERED), now=now, at=now + 3600)
    held = Notice(0, "mail", 1, None, "redis/main", "opened", Severity.WARNING, "x", "held", 0, now, now)
    notices.queue([held, replace(held, event=2, state="queued", not_before=now + 20)], 2)
    log.clock.now += 60
    seen = exposed(collector(log))
    assert one(seen, "cockpit_outbox_messages", channel="telegram", state="waiting") == 2
    assert one(seen, "cockpit_outbox_messages", channel="mail", state="held") == 1
    assert one(seen, "cockpit_outbox_messages", channel="mail", state="queued") == 1
    assert one(seen, "cockpit_outbox_oldest_seconds", channel="telegram") == 60
    assert one(seen, "cockpit_outbox_oldest_seconds", channel="mail") == 40
    outbox.trying(first)
    outbox.postpone(first, log.clock.now + 900)
    assert one(exposed(collector(log)), "cockpit_outbox_oldest_seconds", channel="telegram") == 60
    outbox.sent(first, 7, log.clock.now)
    seen = exposed(collector(log))
    assert one(seen, "cockpit_outbox_messages", channel="telegram", state="waiting") == 1
    assert one(seen, "cockpit_outbox_oldest_seconds", channel="telegram") == 0


def test_tools_that_were_never_used_begin_at_zero(log: Log) -> None:
    tools = world.registry().tools.values()
    seen = exposed(LogCollector(log.store.reader, tools))
    assert one(seen, "cockpit_changes_total", tool="set_world_value", outcome="failed") == 0
    assert one(seen, "agent_tool_executions_total", tool_name="look_at_world", agent="analyst", status="error") == 0


async def test_an_edited_log_is_told(log: Log) -> None:
    log.lived_through("redis/main")
    audit = AuditCollector(log.store, every=0.05)
    assert list(audit.collect()) == []
    task = asyncio.create_task(audit.watch())
    try:
        assert await told(audit, 1.0)
        with sqlite3.connect(log.path) as raw:
            raw.execute("update alert set summary = 'nothing to see'")
        raw.close()
        assert await told(audit, 0.0)
    finally:
        task.cancel()


def test_a_log_that_grows_while_it_is_checked_is_not_called_cut_off(log: Log) -> None:
    for _ in range(50):
        log.opened()
    enough = threading.Event()

    def write() -> None:
        while not enough.is_set():
            log.store.freeze("ann")  # an event whose link goes to the anchor at once

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert [log.store.check() for _ in range(6)] == [[]] * 6
    finally:
        enough.set()
        writer.join()


async def told(audit: AuditCollector, wanted: float) -> bool:
    async with asyncio.timeout(60):
        while True:
            if any(sample.value == wanted for family in list(audit.collect())[:1] for sample in family.samples):
                return True
            await asyncio.sleep(0.02)
