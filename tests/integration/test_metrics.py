"""What a scrape answers: right, the same after a restart, never less than before, quick, and safe to read."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from cockpit.engine import Engine
from cockpit.model import (
    Call,
    ChangeState,
    Finding,
    Health,
    IncidentStatus,
    Level,
    ProposalState,
    Severity,
    Tier,
    Verdict,
)
from cockpit.model.inquiries import CallOutcome, InquiryState, ModelCall
from cockpit.serve.metrics import AuditCollector, LogCollector
from cockpit.settings import Settings
from cockpit.settings.models import Model, ModelsSettings
from cockpit.store.notices import Notice
from cockpit.store.outbox import Draft, Rank
from cockpit.text import Redactor
from tests.faults import world
from tests.integration.metrics_lab import MISSING, Series, application, exposed, totals, values
from tests.unit.store_examples import Log, alert, health, services

WORDS = ("true", "false")
NASTY = 'x"} 1\nfake_metric{a="b'


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "data").mkdir(mode=0o700)
    settings = Settings(data_folder=tmp_path / "data", services=(world.service(tmp_path),), operator="ann")
    with Engine(settings, world.registry(), Redactor()) as made:
        yield made


def collector(log: Log) -> LogCollector:
    return LogCollector(log.store.reader, clock=log.clock)


def one(exposition: str, name: str, **labels: str) -> float:
    return values(exposition)[name, tuple(sorted(labels.items()))]


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


MODELS = ModelsSettings((Model("mini", "openai/gpt-4o-mini"), Model("attic", "openai/small", Tier.LOCAL)), month=0.01)


def called(log: Log, inquiry: int, outcome: CallOutcome = CallOutcome.ANSWERED, model: str = "mini") -> None:
    tokens = (900, 120, 0.002) if outcome is CallOutcome.ANSWERED else (0, 0, 0.0)
    call = ModelCall(0, inquiry, model, Tier.FAST, log.clock.now, 2.5, *tokens, outcome, NASTY, {}, {"said": NASTY})
    log.store.inquiries.called(call)


def asked(log: Log, incident: int | None) -> int:
    """An inquiry that a model is working on."""
    inquiry = log.store.inquiries.ask(
        incident, NASTY, NASTY if incident is None else "", NASTY, estimate=None, wait=False
    )
    assert log.store.inquiries.begin(inquiry.id)
    return inquiry.id


def test_what_models_were_asked_and_cost_is_counted_by_model(log: Log) -> None:
    kept = LogCollector(log.store.reader, models=MODELS, clock=log.clock)
    assert one(exposed(kept), "cockpit_model_calls_total", model="mini", outcome="timeout") == 0
    inquiry = asked(log, None)
    for outcome in (CallOutcome.ANSWERED, CallOutcome.TIMEOUT, CallOutcome.ANSWERED):
        called(log, inquiry, outcome)
    called(log, inquiry, model="attic")
    seen = exposed(kept)
    assert one(seen, "cockpit_model_calls_total", model="mini", outcome="answered") == 2
    assert one(seen, "cockpit_model_calls_total", model="mini", outcome="timeout") == 1
    assert one(seen, "cockpit_model_tokens_total", model="mini", kind="input") == 1800
    assert one(seen, "cockpit_model_tokens_total", model="mini", kind="output") == 240
    assert one(seen, "cockpit_model_cost_dollars_total", model="mini") == pytest.approx(0.004)
    assert one(seen, "cockpit_model_duration_seconds_bucket", model="mini", le="2.0") == 0
    assert one(seen, "cockpit_model_duration_seconds_bucket", model="mini", le="3.0") == 2
    assert one(seen, "cockpit_model_calls_total", model="attic", outcome="answered") == 1
    assert one(seen, "cockpit_model_budget_dollars", period="month") == 0.01
    assert one(seen, "cockpit_model_spent_dollars", period="month") == pytest.approx(0.006)
    assert one(seen, "cockpit_model_spent_dollars", period="day") == pytest.approx(0.006)
    assert totals(seen) == totals(exposed(LogCollector(log.store.reader, models=MODELS, clock=log.clock)))
    labels = {value for name, pairs in values(seen) if "model" in name for _, value in pairs}
    assert not any("fake" in value for value in labels)


def test_the_day_begins_anew_and_the_month_goes_on(log: Log) -> None:
    kept = LogCollector(log.store.reader, models=MODELS, clock=log.clock)
    log.clock.now = datetime(2027, 1, 15, 23, 59).timestamp()
    called(log, asked(log, None))
    log.clock.now += 120
    seen = exposed(kept)
    assert one(seen, "cockpit_model_spent_dollars", period="day") == 0
    assert one(seen, "cockpit_model_spent_dollars", period="month") == 0.002


def test_the_causes_a_model_gave_are_told_with_those_that_were_confirmed(log: Log) -> None:
    kept = LogCollector(log.store.reader, models=MODELS, clock=log.clock)
    for name, worked in (("redis-down", True), ("redis-full", None), ("redis-slow", False)):
        incident = log.opened("redis/main", name)
        inquiry = asked(log, incident)
        called(log, inquiry)
        log.store.inquiries.finish(inquiry, InquiryState.ANSWERED, "Full.", {"cause": "Full."})
        if worked is not None:
            log.store.note("ann", "feedback", "?", incident=incident, data={"worked": worked})
        log.store.clear_alerts([f"redis/main:{name}"], log.clock.now)
        log.store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text="Well.")
        log.clock.now += 100_000
    seen = exposed(kept)
    given = {confirmed: one(seen, "cockpit_model_diagnoses", model="mini", confirmed=confirmed) for confirmed in WORDS}
    assert given == {"true": 1, "false": 2}
    assert one(seen, "cockpit_model_diagnoses", model="attic", confirmed="true") == 0


def test_without_a_model_no_family_speaks_of_one(log: Log) -> None:
    log.carried_out(log.approved(log.opened()))
    assert "model" not in exposed(collector(log))


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


async def test_answers_to_posted_alerts_are_counted_by_status(engine: Engine) -> None:
    async with TestClient(TestServer(application(engine))) as client:
        for status in ("200", "200", "400", "507"):
            await client.post("/api/v1/alerts", data=status)
        await client.post("/api/v1/alerts", data="no number")  # the handler raises
        seen = await (await client.get("/metrics")).text()
    counted = {code: one(seen, "cockpit_webhook_requests_total", code=code) for code in ("200", "400", "500", "507")}
    assert counted == {"200": 2, "400": 1, "500": 1, "507": 1}


async def test_scrapers_are_answered_in_the_format_they_ask_for(engine: Engine) -> None:
    async with TestClient(TestServer(application(engine))) as client:
        plain = await client.get("/metrics")
        modern = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert modern.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        names = {family.name for family in openmetrics(await modern.text())}  # type: ignore[no-untyped-call]  # theirs
        assert {"agent_tool_executions", "cockpit_build", "process_resident_memory_bytes"} <= names


async def test_many_scrapes_at_once_agree(engine: Engine) -> None:
    for _ in range(50):
        engine.store.record_run(None, Call("look_at_world", "world/one"), Finding("x"), "", 1.0, 0.1)
    async with TestClient(TestServer(application(engine))) as client:
        seen = await asyncio.gather(*(counted(client.session, client.make_url("/metrics")) for _ in range(10)))
    assert seen == [50.0] * 10


async def counted(session: ClientSession, url: object) -> float:
    async with session.get(str(url)) as answer:
        seen = await answer.text()
    return one(seen, "agent_tool_duration_seconds_count", tool_name="look_at_world")


async def test_a_log_that_cannot_be_read_is_an_error_and_not_a_page_of_zeros(engine: Engine) -> None:
    async with TestClient(TestServer(application(engine))) as client:
        with sqlite3.connect(engine.store.path) as raw:
            raw.execute("alter table proposal rename to elsewhere")
        raw.close()
        answer = await client.get("/metrics")
        assert answer.status == 503
        assert "proposal" in await answer.text()


@pytest.mark.skipif("promtool" in MISSING, reason="not installed: promtool")
async def test_promtool_finds_no_fault_with_names_and_help(engine: Engine) -> None:
    engine.store.record_run(None, Call("look_at_world", "world/one"), None, "x", 1.0, 0.1, error_type="Denied")
    async with TestClient(TestServer(application(engine))) as client:
        text = await (await client.get("/metrics")).text()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
