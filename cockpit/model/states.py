"""Levels, states and roles: words of which there are only a few."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """What a probe saw of a service."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How much an alert matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 2 for critical: the larger matters more."""
        return ("info", "warning", "critical").index(self)


class Approval(StrEnum):
    """How much approval a call needs."""

    NONE = "none"
    """Done without a word."""
    SOFT = "soft"
    """Done at once, and told."""
    HARD = "hard"
    """Waits for a person."""
    FORBIDDEN = "forbidden"
    """Never done, whoever asks."""

    @property
    def rank(self) -> int:
        """0 for none, 3 for forbidden: the larger is stricter."""
        return list(Approval).index(self)


class Role(StrEnum):
    """Who acted; an operator is named instead."""

    MONITOR = "monitor"
    ANALYST = "analyst"
    HEALER = "healer"
    COMMUNICATOR = "communicator"
    POLICY = "policy"


class IncidentStatus(StrEnum):
    """Where an incident stands on its one way through."""

    OPEN = "open"
    INVESTIGATING = "investigating"
    WAITING = "waiting"
    """A proposal waits for a decision."""
    CHANGING = "changing"
    """An approved change is being applied."""
    WATCHING = "watching"
    """A change was verified; the condition has yet to clear."""
    ESCALATED = "escalated"
    """Runbooks are at their end: a person is needed."""
    RESOLVED = "resolved"


class ProposalState(StrEnum):
    """What became of a proposal."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    """The world moved, or the need went away, before it was carried out."""
    EXECUTING = "executing"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The process died while applying, and the target could not tell what came of it."""


class ChangeState(StrEnum):
    """The journal of one change."""

    CLAIMED = "claimed"
    """Nothing has been written to the target yet."""
    APPLYING = "applying"
    """Written to disk before the first byte goes to the target; after a crash: unknown."""
    VERIFYING = "verifying"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Nothing was left to do, or an earlier change of the same plan failed."""
    UNDONE = "undone"
    UNKNOWN = "unknown"

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self not in (ChangeState.CLAIMED, ChangeState.APPLYING, ChangeState.VERIFYING)


class Verdict(StrEnum):
    """What was decided."""

    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


class RunStatus(StrEnum):
    """What came of one run of a diagnostic."""

    FOUND = "found"
    NOTHING = "nothing"
    """The tool worked, and there was nothing to report."""
    ERROR = "error"


class Tier(StrEnum):
    """What a model is good for."""

    FAST = "fast"
    STRONG = "strong"
    LOCAL = "local"
    """Runs on a machine of the operator's own: asked last, and also when the budget is used up."""
