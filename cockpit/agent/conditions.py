"""Evaluating a service's conditions: hold times, hysteresis, and what missing data means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cockpit.agent.expressions import ExpressionError, fill, holds, prepared
from cockpit.agent.runbooks import Condition
from cockpit.model import JSON, Alert, Health, Service

CLEAR_LOOKS = 2
"""Readings in a row that must be clear before an alert ends: one good look is not recovery."""
CLEAR_APART = 0.5
"""Seconds that must lie between the first and the last of them."""


@dataclass
class Watch:
    """What is remembered of one condition on one service between two probes."""

    held_since: float | None = None
    clear_since: float | None = None
    clear_looks: int = 0
    firing: bool = False


@dataclass
class Outcome:
    """What one reading changed."""

    raised: list[Alert] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    """Fingerprints of alerts that ended."""
    untold: list[str] = field(default_factory=list)
    """Conditions that could not be told from this reading, each with why; told once each."""


class Conditions:
    """The conditions of one service, followed over its readings.

    Args:
        service: the service.
        conditions: the rules for its kind.
        firing: fingerprints of alerts that were firing when the process started.
    """

    def __init__(self, service: Service, conditions: Sequence[Condition], firing: Sequence[str] = ()) -> None:
        self.service = service
        self.conditions = conditions
        self.watches = {c.id: Watch(firing=fingerprint(service.name, c.id) in firing) for c in conditions}
        self._told: set[str] = set()

    def read(self, health: Health, now: float, monotonic: float) -> Outcome:
        """Follow one reading; a condition that cannot be told neither raises nor clears anything."""
        outcome = Outcome()
        variables = prepared(readings(self.service, health))
        for condition in self.conditions:
            try:
                self._follow(condition, variables, now, monotonic, outcome)
            except ExpressionError as error:
                self._untold(condition, error, health, outcome)
        return outcome

    def _follow(
        self, condition: Condition, variables: Mapping[str, JSON], now: float, monotonic: float, outcome: Outcome
    ) -> None:
        watch = self.watches[condition.id]
        if holds(condition.when, variables):
            watch.clear_since, watch.clear_looks = None, 0
            watch.held_since = monotonic if watch.held_since is None else watch.held_since
            if not watch.firing and monotonic - watch.held_since >= condition.hold:
                watch.firing = True
                outcome.raised.append(_alert(self.service, condition, variables, now))
            return
        watch.held_since = None
        if not watch.firing:
            return
        if condition.clear and not holds(condition.clear, variables):
            watch.clear_since, watch.clear_looks = None, 0
            return
        watch.clear_since = monotonic if watch.clear_since is None else watch.clear_since
        watch.clear_looks += 1
        waited = monotonic - watch.clear_since
        if watch.clear_looks >= CLEAR_LOOKS and waited >= max(condition.clear_hold, CLEAR_APART):
            watch.firing = False
            watch.clear_since, watch.clear_looks = None, 0
            outcome.cleared.append(fingerprint(self.service.name, condition.id))

    def _untold(self, condition: Condition, error: ExpressionError, health: Health, outcome: Outcome) -> None:
        """Readings that are missing because nothing answers are no news; a wrong name in a rule is, once."""
        if health.samples and condition.id not in self._told:
            self._told.add(condition.id)
            outcome.untold.append(f"Condition '{condition.id}' on {self.service.name}: {error.what}")


def readings(service: Service, health: Health) -> dict[str, JSON]:
    """The variables of a condition: `level`, `summary`, `latency`, `samples`, `service`."""
    return {
        "level": str(health.level),
        "summary": health.summary,
        "latency": health.latency or 0.0,
        "samples": dict(health.samples),
        "service": service.name,
    }


def fingerprint(service: str, condition: str) -> str:
    """The identity of a condition's alert on one service."""
    return f"{service}:{condition}"


def _alert(service: Service, condition: Condition, variables: Mapping[str, JSON], now: float) -> Alert:
    return Alert(
        fingerprint=fingerprint(service.name, condition.id),
        service=service.name,
        name=condition.id,
        severity=condition.severity,
        summary=fill(condition.summary, variables),
        starts_at=now,
    )
