"""What a scrape tells of models: calls, tokens, cost, budgets, and the causes that were confirmed."""

from __future__ import annotations

from datetime import datetime

import pytest

from cockpit.model import (
    IncidentStatus,
    Tier,
)
from cockpit.model.inquiries import CallOutcome, InquiryState, ModelCall
from cockpit.serve.metrics import LogCollector
from cockpit.settings.models import Model, ModelsSettings
from tests.integration.metrics_lab import NASTY, collector, exposed, one, totals, values
from tests.unit.store_examples import Log

WORDS = ("true", "false")
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
