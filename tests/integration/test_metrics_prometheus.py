"""Dashboards and rules against a real Prometheus that scrapes a real engine."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cockpit.lab import ports
from cockpit.model import Call, IncidentStatus, Tier, Unexpected, Verdict
from cockpit.model.inquiries import CallOutcome, InquiryState, ModelCall
from cockpit.settings.models import Model, ModelsSettings
from tests.integration.metrics_lab import (
    MISSING,
    Prometheus,
    Served,
    dashboards,
    expressions_of,
    rules,
    unknown_names,
    until,
)
from tests.integration.test_incident import Running

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

BOARDS = dashboards()
QUERIES = [(board, title) for board in BOARDS for title in expressions_of(BOARDS[board])]


@dataclass
class Watched:
    """An engine that has lived through something, and the Prometheus that saw it."""

    running: Running
    served: Served
    prometheus: Prometheus


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("metrics")
    running = Running(folder, ModelsSettings((Model("mini", "openai/gpt-4o-mini"),)))
    running.start()
    served = Served(running.engine, ports.kept(folder / "cockpit.port"))
    prometheus = Prometheus(folder, served.port)
    try:
        until(lambda: prometheus.value("cockpit_incidents_escalated_total") == 0)
        _live(running, served)
        yield Watched(running, served, prometheus)
    finally:
        prometheus.stop()
        served.stop()
        running.stop()


def _live(running: Running, served: Served) -> None:
    """One incident to its end, one tool that fails, and some posted alerts."""
    running.trouble()
    running.decide(running.waiting(), Verdict.APPROVED)
    running.until(lambda: running.status() is IncidentStatus.RESOLVED)
    (running.folder / "value-a").write_bytes(b"\xff")
    with pytest.raises(Unexpected):
        asyncio.run(running.engine.inspect(Call("look_at_world", "world/one")))
    (running.folder / "value-a").write_text("mended")
    _ask(running)
    for answer in (200, 200, 400, 507):
        served.post(answer)


def _ask(running: Running) -> None:
    """A model is asked about the incident, answers the second time, and a person confirms it."""
    log = running.engine.store.inquiries
    inquiry = log.ask(1, "world/one", "", "analyst", estimate=None, wait=False).id
    assert log.begin(inquiry)
    for outcome, tokens in ((CallOutcome.TIMEOUT, (0, 0, 0.0)), (CallOutcome.ANSWERED, (900, 120, 0.002))):
        log.called(ModelCall(0, inquiry, "mini", Tier.FAST, time.time(), 1.5, *tokens, outcome))
    log.finish(inquiry, InquiryState.ANSWERED, "It is old.", {"cause": "It is old."})
    running.engine.store.note("tester", "feedback", "It worked.", incident=1, data={"worked": True})


@pytest.mark.parametrize(("board", "title"), QUERIES)
def test_every_query_of_a_dashboard_has_an_answer(watched: Watched, board: str, title: str) -> None:
    expression = expressions_of(BOARDS[board])[title]
    until(lambda: watched.prometheus.query(expression))


def test_every_metric_that_dashboards_and_rules_name_exists(watched: Watched) -> None:
    queries = [expression for board in BOARDS.values() for expression in expressions_of(board).values()]
    queries += [rule["expr"] for rule in rules()]
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    until(lambda: recorded <= watched.prometheus.names())
    assert unknown_names(queries, watched.prometheus.names()) == set()


def test_and_a_misspelt_one_is_found(watched: Watched) -> None:
    until(lambda: "cockpit_incidents" in watched.prometheus.names())
    right = "sum by (state) (cockpit_incidents{state!='resolved'}) unless on (state) cockpit_frozen > 0"
    wrong = right.replace("cockpit_incidents", "cockpit_incidnets")
    assert unknown_names([right, wrong], watched.prometheus.names()) == {"cockpit_incidnets"}


def test_every_rule_is_evaluated_without_an_error(watched: Watched) -> None:
    def health() -> dict[str, set[str]]:
        groups: list[dict[str, Any]] = watched.prometheus.ask("rules")["groups"]
        found: dict[str, set[str]] = {}
        for rule in (rule for group in groups for rule in group["rules"]):
            found.setdefault(rule["health"], set()).add(rule["name"])
        return found

    until(lambda: health() == {"ok": {rule.get("alert") or rule["record"] for rule in rules()}})


def test_prometheus_sees_what_happened(watched: Watched) -> None:
    expected = {
        'cockpit_incidents{state="resolved"}': 1,
        'cockpit_incidents_resolved_total{by="operator"}': 1,
        'cockpit_decisions_total{channel="keypress", verdict="approved"}': 1,
        'cockpit_changes_total{tool="set_world_value", outcome="done"}': 1,
        'agent_tool_executions_total{tool_name="set_world_value", agent="healer", status="success"}': 1,
        'agent_tool_executions_total{tool_name="look_at_world", agent="operator", status="error"}': 1,
        'agent_tool_errors_total{tool_name="look_at_world", error_type="Unexpected"}': 1,
        "cockpit_incident_resolve_seconds_count": 1,
        'cockpit_service_level{service="world/one", level="up"}': 1,
        'cockpit_webhook_requests_total{code="200"}': 2,
        'cockpit_webhook_requests_total{code="507"}': 1,
        'cockpit_model_calls_total{model="mini", outcome="timeout"}': 1,
        'cockpit_model_tokens_total{model="mini", kind="output"}': 120,
        'cockpit_model_cost_dollars_total{model="mini"}': 0.002,
        'cockpit_model_duration_seconds_count{model="mini"}': 1,
        'cockpit_model_diagnoses{model="mini", confirmed="true"}': 1,
        'cockpit_model_spent_dollars{period="month"} / cockpit_model_budget_dollars': 0.002,
        "cockpit_audit_chain_ok": 1,
        "cockpit_frozen": 0,
    }
    wrong = {expression: float("nan") for expression in expected}

    def all_seen() -> bool:
        found = {expression: watched.prometheus.value(expression) for expression in expected}
        wrong.clear()
        wrong.update({name: value for name, value in found.items() if value != expected[name]})
        return not wrong

    with contextlib.suppress(AssertionError):
        until(all_seen)
    assert not wrong


def test_when_cockpit_is_gone_its_alert_is_on_its_way(watched: Watched) -> None:
    def alerts() -> set[str]:
        return {alert["labels"]["alertname"] for alert in watched.prometheus.ask("alerts")["alerts"]}

    assert "CockpitDown" not in alerts()
    watched.served.stop()
    until(lambda: "CockpitDown" in alerts())
