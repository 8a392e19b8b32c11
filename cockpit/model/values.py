"""Services, alerts, incidents, plans and decisions, as frozen values.

Every value can be stored as JSON and read back equal. Times are seconds since the epoch
(UTC), durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cockpit.model.states import (
    Approval,
    ChangeState,
    IncidentStatus,
    Level,
    ProposalState,
    RunStatus,
    Severity,
    Verdict,
)

if TYPE_CHECKING:
    from cockpit.model.inquiries import Word

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
"""What a tool may return and a change may carry: plain data, nothing else."""
BEWARE = "beware"
"""The key under which a change's warnings stand among what was observed."""


@dataclass(frozen=True, slots=True)
class Service:
    """One configured instance of a kind, such as `postgres/main`."""

    name: str
    options: Mapping[str, JSON] = field(default_factory=dict)
    """What its kind needs to reach it: addresses, credentials, control commands."""
    depends_on: tuple[str, ...] = ()
    critical: bool = False
    """Any change to it needs at least a hard approval."""
    interval: float = 10.0
    """Seconds between two probes."""
    timeout: float = 5.0
    """Seconds that one probe may take."""
    expected_down: bool = False
    note: str = ""
    """What its owner wants everyone to know before touching it."""
    tags: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Health:
    """What one probe saw."""

    level: Level
    summary: str
    samples: Mapping[str, float] = field(default_factory=dict)
    """Named readings in base units: `connections`, `used_bytes`, `oldest_transaction_seconds`."""
    latency: float | None = None
    """Seconds the probe took; None when it never answered."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A service with the last that is known of it."""

    service: Service
    """Without its options, which may hold secrets and stay out of the store."""
    health: Health
    checked_at: float | None
    """When it was last probed; None when never."""
    since: float | None
    """Since when its level is what it is."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something says that a service is wrong."""

    fingerprint: str
    """The same for the same trouble on the same service, whoever reports it."""
    service: str
    name: str
    """The condition's id, or Alertmanager's `alertname`."""
    severity: Severity
    summary: str
    starts_at: float
    source: str = "condition"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool's name with its arguments: data that can be stored, shown and run later."""

    tool: str
    service: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a diagnostic returns."""

    summary: str
    """One sentence with the numbers that matter."""
    data: Mapping[str, JSON] = field(default_factory=dict)
    """The readings that runbooks' expressions use."""
    status: RunStatus = RunStatus.FOUND


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a diagnostic, kept as evidence."""

    id: int
    incident: int | None
    call: Call
    status: RunStatus
    summary: str
    data: Mapping[str, JSON]
    started_at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Change:
    """What a remediation would do to one thing; data, never a closure."""

    service: str
    item: str
    """The resource or action of the service's kind that reads and writes it."""
    key: JSON
    """Which one: a setting's name, a table, a process by pid and start time."""
    before: JSON
    """What must still hold when it is applied. For a resource its value; None means absent."""
    after: JSON
    """What will hold. For an action, a description of the outcome."""
    steps: tuple[str, ...]
    """As an operator would type or send them."""
    verification: str
    """What is read afterwards, and what must be seen there."""
    undo: str = ""
    """How it is put back; empty when there is no way back."""
    no_undo: str = ""
    """Why there is no way back; empty when there is one."""
    why: str = ""
    observed: Mapping[str, JSON] = field(default_factory=dict)
    """Figures seen while planning, and warnings under the key `beware`. They are shown, but move by
    themselves, so neither the digest nor the drift check looks at them."""

    @property
    def reversible(self) -> bool:
        """Whether it can be undone."""
        return not self.no_undo

    @property
    def warnings(self) -> tuple[str, ...]:
        """What has to be known of it besides, such as that a name in it stands only in what others wrote."""
        found = self.observed.get(BEWARE)
        return tuple(str(each) for each in found) if isinstance(found, list | tuple) else ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of one remediation, applied in order and undone in reverse."""

    summary: str
    changes: tuple[Change, ...] = ()
    """Empty when there is nothing to do; the summary then says why."""
    risk: str = ""
    """What the users of the service will notice, and what could go wrong."""
    approval: Approval | None = None
    """At least so much approval, where these arguments need more than the tool by itself; policy takes the stricter."""


@dataclass(frozen=True, slots=True)
class Rival:
    """Another cause that would look alike, and the reading that decides about it."""

    name: str
    ruled_out: bool
    reading: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A cause with the evidence for it, and the calls that would mend it."""

    incident: int
    runbook: str
    cause: str
    confidence: float
    """From 0 to 1; below the runbook's threshold nothing is proposed."""
    evidence: tuple[int, ...]
    """Ids of the runs it rests on."""
    rivals: tuple[Rival, ...] = ()
    calls: tuple[Call, ...] = ()
    advice: str = ""
    """What a person should do, where no call is the right answer."""
    word: Word | None = None
    """What has to be known of it before a call is proposed, where it is a model's word; None for a runbook's."""


@dataclass(frozen=True, slots=True)
class Incident:
    """The alerts that are one problem, with a status and a timeline."""

    id: int
    service: str
    title: str
    severity: Severity
    status: IncidentStatus
    opened_at: float
    updated_at: float
    resolved_at: float | None = None
    cause: str = ""
    runbook: str = ""
    alerts: int = 1
    """Alerts folded into it so far."""
    flapping: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a timeline; append-only."""

    id: int
    at: float
    incident: int | None
    actor: str
    """A role, or an operator by name."""
    kind: str
    """`alert`, `status`, `run`, `diagnosis`, `proposal`, `decision`, `change`, `health`, `freeze`, `note`,
    `acknowledge`, `snooze`, `feedback` …"""
    text: str
    data: Mapping[str, JSON] = field(default_factory=dict)
    service: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan that waits for a decision, with its digest and its deadline."""

    id: int
    incident: int | None
    call: Call
    plan: Plan
    digest: str
    approval: Approval
    state: ProposalState
    created_at: float
    expires_at: float
    reason: str
    """The cause it answers, in one sentence."""
    undoes: int | None = None
    """The proposal whose changes this one puts back."""
    policy: str = ""
    """Why the policy asks for this approval."""
    needs_name: bool = False
    """Whether approving needs the target's name typed: irreversible, on a critical target."""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a proposal, by whom, and over which channel."""

    proposal: int
    verdict: Verdict
    by: str
    channel: str
    """`keypress`, `command line`, `telegram`, `policy` or `deadline`."""
    at: float
    digest: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """A change in the log: its journal state and what came of it."""

    id: int
    proposal: int
    position: int
    change: Change
    state: ChangeState
    claimed_at: float
    finished_at: float | None = None
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Mute:
    """An operator's wish that nobody is told of some services, and nothing is changed on them unasked."""

    id: int
    matcher: str
    """A service's name, or `tag:`, `kind:` or `host:` with one."""
    starts_at: float
    ends_at: float | None
    """None: until it is ended, or its services are healthy."""
    until_healthy: bool
    """Whether it ends by itself once each of its services was up for two probes."""
    by: str
    why: str = ""
