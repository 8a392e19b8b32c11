"""Figures as metric families, under the names that the dashboards and rules know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)

from cockpit import __version__
from cockpit.model import Level, Watched
from cockpit.model.accounts import Budget
from cockpit.serve.tally import Histogram, Tally
from cockpit.store.figures import Queue, Standing

Labels = TypeVar("Labels", bound=tuple[str, ...])


def of_tools(tally: Tally) -> Iterator[Metric]:
    """What the tools did."""
    yield counters(
        "agent_tool_executions",
        "Diagnostics that were run and remediations that were carried out.",
        ["tool_name", "agent", "status"],
        tally.executions,
    )
    yield counters(
        "agent_tool_errors",
        "Diagnostics that failed and remediations that did not end well.",
        ["tool_name", "error_type"],
        tally.errors,
    )
    durations = HistogramMetricFamily(
        "agent_tool_duration_seconds", "How long tools took.", labels=["tool_name"], unit="seconds"
    )
    for tool, histogram in tally.durations.items():
        durations.add_metric([tool], histogram.cumulative(), histogram.total)
    yield durations
    yield counters(
        "cockpit_changes", "Outcomes of changes, each as it was written.", ["tool", "outcome"], tally.changes
    )


def of_incidents(tally: Tally, standing: Standing) -> Iterator[Metric]:
    """What became of alerts and incidents."""
    received = {("firing",): tally.cleared_reports + standing.firing_reports, ("resolved",): tally.cleared}
    yield counters("cockpit_alerts_received", "Reports of alerts, repeated ones too.", ["status"], received)
    yield _gauges("cockpit_incidents", "Incidents by where they stand.", "state", standing.incidents)
    yield counters("cockpit_incidents_opened", "Incidents opened, or opened again.", ["severity"], _each(tally.opened))
    yield counters(
        "cockpit_incidents_resolved",
        "Incidents resolved, by who approved the mending.",
        ["by"],
        _each(tally.resolved),
    )
    yield CounterMetricFamily(
        "cockpit_incidents_escalated", "How often a person was asked for.", value=float(tally.escalated)
    )
    yield _histogram("cockpit_incident_detect", "From an alert's start to its incident.", tally.detect)
    yield _histogram("cockpit_incident_diagnose", "From an incident's opening to its diagnosis.", tally.diagnose)
    yield _histogram("cockpit_incident_approve", "From an incident's proposal to a person's yes.", tally.approve)
    yield _histogram("cockpit_incident_resolve", "From an incident's opening to its end.", tally.resolve)


def of_models(tally: Tally, shares: Mapping[str, tuple[int, int]], budgets: Sequence[Budget]) -> Iterator[Metric]:
    """What models were asked and cost, how often they were right, and how much of the budget is used."""
    yield counters("cockpit_model_calls", "Calls of models.", ["model", "outcome"], tally.model_calls)
    yield counters("cockpit_model_tokens", "Tokens sent and answered.", ["model", "kind"], tally.model_tokens)
    yield counters("cockpit_model_cost_dollars", "What models cost.", ["model"], _each(tally.model_dollars))
    durations = HistogramMetricFamily(
        "cockpit_model_duration_seconds", "How long models took to answer.", labels=["model"], unit="seconds"
    )
    for model, histogram in tally.model_durations.items():
        durations.add_metric([model], histogram.cumulative(), histogram.total)
    yield durations
    diagnoses = GaugeMetricFamily(
        "cockpit_model_diagnoses", "Incidents that a model gave the cause of.", labels=["model", "confirmed"]
    )
    for model in tally.model_dollars:
        given, confirmed = shares.get(model, (0, 0))
        diagnoses.add_metric([model, _word(True)], float(confirmed))
        diagnoses.add_metric([model, _word(False)], float(given - confirmed))
    yield diagnoses
    yield _gauges(
        "cockpit_model_budget_dollars", "What models may cost.", "period", {each.name: each.limit for each in budgets}
    )
    yield _gauges(
        "cockpit_model_spent_dollars", "What of that is spent.", "period", {each.name: each.spent for each in budgets}
    )


def of_decisions(tally: Tally, standing: Standing, frozen: bool) -> Iterator[Metric]:
    """What was proposed and decided."""
    yield _gauges("cockpit_proposals", "Proposals by state.", "state", standing.proposals)
    yield counters(
        "cockpit_decisions", "Decisions about proposals, by channel.", ["channel", "verdict"], tally.decisions
    )
    yield _histogram("cockpit_approval_wait", "From a proposal to a person's decision about it.", tally.answer)
    yield GaugeMetricFamily("cockpit_frozen", "1 while all changes are frozen.", value=float(frozen))


def of_services(services: Sequence[Watched], now: float) -> Iterator[Metric]:
    """What the probes saw last; a service that gave no answer has no latency."""
    info = InfoMetricFamily(
        "cockpit_service", "What the config says of a service.", labels=["service", "kind", "critical", "expected_down"]
    )
    level = GaugeMetricFamily(
        "cockpit_service_level", "1 for the level the service is at, 0 for the others.", labels=["service", "level"]
    )
    latency = GaugeMetricFamily("cockpit_service_latency_seconds", "What the last probe took.", labels=["service"])
    age = GaugeMetricFamily("cockpit_last_probe_age_seconds", "How long ago it was probed.", labels=["service"])
    for watched in services:
        service, name = watched.service, watched.service.name
        info.add_metric([name, service.kind, _word(service.critical), _word(service.expected_down)], {})
        for one in Level:
            level.add_metric([name, one], float(watched.health.level is one))
        if watched.health.latency is not None:
            latency.add_metric([name], watched.health.latency)
        if watched.checked_at is not None:
            age.add_metric([name], max(0.0, now - watched.checked_at))
    yield from (info, level, latency, age)


def of_queues(queues: Sequence[Queue], now: float) -> Iterator[Metric]:
    """What waits to be told."""
    messages = GaugeMetricFamily("cockpit_outbox_messages", "Messages that wait.", labels=["channel", "state"])
    overdue = dict.fromkeys((queue.channel for queue in queues), 0.0)
    for queue in queues:
        messages.add_metric([queue.channel, queue.state], float(queue.number))
        waited = 0.0 if queue.overdue_since is None else now - queue.overdue_since
        overdue[queue.channel] = max(overdue[queue.channel], waited)
    oldest = GaugeMetricFamily(
        "cockpit_outbox_oldest_seconds", "How long the oldest message is overdue.", labels=["channel"]
    )
    for channel, waited in overdue.items():
        oldest.add_metric([channel], waited)
    yield from (messages, oldest)


def of_cockpit(store_bytes: int, events: int) -> Iterator[Metric]:
    """What cockpit itself is and holds."""
    yield InfoMetricFamily("cockpit_build", "The version that runs.", value={"version": __version__})
    yield GaugeMetricFamily("cockpit_store_bytes", "Size of the log's files.", value=float(store_bytes))
    yield CounterMetricFamily("cockpit_events", "Events in the log.", value=float(events))


def of_audit(sound: bool, checked_at: float) -> Iterator[Metric]:
    """What the last check of the log's chain found."""
    yield GaugeMetricFamily("cockpit_audit_chain_ok", "1 when the log is as cockpit left it.", value=float(sound))
    yield GaugeMetricFamily("cockpit_audit_check_timestamp_seconds", "When that was checked.", value=checked_at)


def counters(
    name: str, documentation: str, labels: Sequence[str], counts: Mapping[Labels, float]
) -> CounterMetricFamily:
    """Counts as a family, one series for each combination of label values."""
    family = CounterMetricFamily(name, documentation, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, float(count))
    return family


def _each(counts: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(name,): count for name, count in counts.items()}


def _gauges(name: str, documentation: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value, number in values.items():
        family.add_metric([value], float(number))
    return family


def _histogram(name: str, documentation: str, histogram: Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(
        name, documentation, buckets=histogram.cumulative(), sum_value=histogram.total, unit="seconds"
    )


def _word(value: bool) -> str:
    return "true" if value else "false"
