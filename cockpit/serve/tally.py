"""Running totals over the log: a fold over its events, so that they come out the same after every restart."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from cockpit.model import ChangeState, IncidentStatus, ProposalState, Role, RunStatus, Severity, Verdict
from cockpit.model.inquiries import CallOutcome
from cockpit.store.figures import Step
from cockpit.toolkit.kind import Tool

TOOL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)
WAIT_BUCKETS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)

MODEL_BUCKETS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)

SUCCESS, ERROR, UNKNOWN = "success", "error", "unknown"
CARRIED_OUT = {str(ProposalState.DONE): SUCCESS, str(ProposalState.FAILED): ERROR, str(ProposalState.UNKNOWN): UNKNOWN}
SETTLED = [str(state) for state in ChangeState if state.settled]
BY_POLICY = ("policy", "deadline")
"""Channels over which no person decides."""
ROLES = {str(role) for role in Role}
OPERATOR, ITSELF = "operator", "itself"
TOKENS = ("input", "output")
UNNAMED = "unnamed"
"""The type of an error in a log from before types were kept."""


class Histogram:
    """How many observations fell under each bound, and their sum.

    Args:
        bounds: upper bounds in seconds, ascending; one without a bound comes on top.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.total = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, seconds: float) -> None:
        """Count a duration; one that a clock set back made negative counts as none at all."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Each bound as Prometheus writes it, with how many observations lie under it."""
        bounds = [*(str(bound) for bound in self.bounds), "+Inf"]
        return [(bound, float(count)) for bound, count in zip(bounds, accumulate(self._counts), strict=True)]


@dataclass
class Bout:
    """An incident from when it was opened, or opened again, to when it is resolved."""

    opened_at: float
    diagnosed: bool = False
    approved: bool = False
    approver: str = OPERATOR
    """Who approved its last change."""
    mended_by: str = ITSELF


def _waits() -> Histogram:
    return Histogram(WAIT_BUCKETS)


@dataclass
class Tally:
    """What happened so far, as totals that only ever grow."""

    last_event: int = 0
    executions: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By tool, agent and status."""
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By tool and type of the error."""
    durations: defaultdict[str, Histogram] = field(default_factory=lambda: defaultdict(lambda: Histogram(TOOL_BUCKETS)))
    """By tool."""
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By tool and outcome."""
    decisions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By channel and verdict."""
    opened: Counter[str] = field(default_factory=Counter)
    """By severity."""
    resolved: Counter[str] = field(default_factory=Counter)
    """By who mended it: `policy`, `operator` or `itself`."""
    escalated: int = 0
    cleared: int = 0
    """Alerts that were cleared."""
    cleared_reports: int = 0
    """How often these had been reported."""
    detect: Histogram = field(default_factory=_waits)
    diagnose: Histogram = field(default_factory=_waits)
    approve: Histogram = field(default_factory=_waits)
    resolve: Histogram = field(default_factory=_waits)
    answer: Histogram = field(default_factory=_waits)
    """From a proposal to a person's decision about it."""
    model_calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By model and outcome."""
    model_tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By model and kind: `input` or `output`."""
    model_dollars: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By model."""
    model_durations: defaultdict[str, Histogram] = field(
        default_factory=lambda: defaultdict(lambda: Histogram(MODEL_BUCKETS))
    )
    """By model, of calls that were answered."""
    bouts: dict[int, Bout] = field(default_factory=dict)
    """The incidents that are not resolved."""

    def expect(self, tools: Iterable[Tool], models: Iterable[str] = ()) -> None:
        """Begin at zero for what may happen: of a series that is not there, nobody sees the first increase."""
        for model in models:
            self._expect_model(model)
        for tool in tools:
            for status in (SUCCESS, ERROR):
                self.executions[tool.name, Role.HEALER if tool.writes else Role.ANALYST, status] += 0
            for outcome in SETTLED if tool.writes else ():
                self.changes[tool.name, outcome] += 0
        for severity in Severity:
            self.opened[severity] += 0
        for by in (Role.POLICY, OPERATOR, ITSELF):
            self.resolved[by] += 0
        self.decisions["deadline", Verdict.EXPIRED] += 0

    def _expect_model(self, model: str) -> None:
        for outcome in CallOutcome:
            self.model_calls[model, outcome] += 0
        for kind in TOKENS:
            self.model_tokens[model, kind] += 0
        self.model_dollars[model] += 0.0
        self.model_durations.setdefault(model, Histogram(MODEL_BUCKETS))

    def add(self, step: Step) -> None:
        """Count one more event, in the order of the log."""
        self.last_event = step.id
        match step.kind:
            case "run":
                self._run(step)
            case "alert":
                self._alert(step)
            case "diagnosis":
                self._diagnosis(step)
            case "decision":
                self._decision(step)
            case "change":
                self._change(step)
            case "proposal":
                self._proposal(step)
            case "status":
                self._status(step)
            case "model" if step.model is not None:
                self._model(step, step.model)

    def _run(self, step: Step) -> None:
        tool, failed = str(step.data.get("tool")), step.data.get("status") == RunStatus.ERROR
        agent = OPERATOR if step.incident is None else _agent(step.actor)
        self.executions[tool, agent, ERROR if failed else SUCCESS] += 1
        self.durations[tool].observe(step.seconds or 0.0)
        if failed:
            self.errors[tool, str(step.data.get("error_type", UNNAMED))] += 1

    def _alert(self, step: Step) -> None:
        if step.data.get("cleared"):
            self.cleared += 1
            self.cleared_reports += step.reports or 0
        elif step.data.get("incident") in ("opened", "reopened") and step.incident is not None:
            self.bouts[step.incident] = Bout(step.at)
            self.opened[str(step.data.get("severity"))] += 1
            starts_at = step.data.get("starts_at")
            self.detect.observe(step.at - starts_at if isinstance(starts_at, int | float) else 0.0)

    def _diagnosis(self, step: Step) -> None:
        bout = self._bout(step)
        if bout and not bout.diagnosed and step.data.get("runbook"):
            bout.diagnosed = True
            self.diagnose.observe(step.at - bout.opened_at)

    def _decision(self, step: Step) -> None:
        channel, verdict = str(step.data.get("channel")), str(step.data.get("verdict"))
        self.decisions[channel, verdict] += 1
        by_policy, waited = channel in BY_POLICY, step.at - (step.proposed_at or step.at)
        if not by_policy:
            self.answer.observe(waited)
        bout = self._bout(step)
        if bout is None or verdict != Verdict.APPROVED:
            return
        bout.approver = Role.POLICY if by_policy else OPERATOR
        if not by_policy and not bout.approved:
            bout.approved = True
            self.approve.observe(waited)

    def _change(self, step: Step) -> None:
        states = step.data.get("changes")
        for state in states.values() if isinstance(states, dict) else ():
            if state in SETTLED:
                self.changes[str(step.tool), str(state)] += 1

    def _proposal(self, step: Step) -> None:
        tool, status = str(step.tool), CARRIED_OUT.get(str(step.data.get("state")))
        if status is None or step.claimed_at is None:
            return
        self.executions[tool, OPERATOR if step.incident is None else Role.HEALER, status] += 1
        self.durations[tool].observe(step.at - step.claimed_at)
        if status != SUCCESS:
            self.errors[tool, "NotApplied" if status == ERROR else "OutcomeUnknown"] += 1
        bout = self._bout(step)
        if bout and status == SUCCESS and step.undoes is None:
            bout.mended_by = bout.approver

    def _status(self, step: Step) -> None:
        if step.data.get("status") == IncidentStatus.ESCALATED:
            self.escalated += 1
        elif step.data.get("status") == IncidentStatus.RESOLVED and step.incident in self.bouts:
            bout = self.bouts.pop(step.incident)
            self.resolved[bout.mended_by] += 1
            self.resolve.observe(step.at - bout.opened_at)

    def _model(self, step: Step, model: str) -> None:
        self.model_calls[model, str(step.outcome)] += 1
        for kind, tokens in zip(TOKENS, step.tokens, strict=True):
            self.model_tokens[model, kind] += tokens
        self.model_dollars[model] += step.dollars
        if step.outcome == CallOutcome.ANSWERED:
            self.model_durations[model].observe(step.seconds or 0.0)

    def _bout(self, step: Step) -> Bout | None:
        return None if step.incident is None else self.bouts.get(step.incident)


def _agent(actor: str) -> str:
    """A role by its name; operators are not told apart, for people's names are no labels."""
    return actor if actor in ROLES else OPERATOR
