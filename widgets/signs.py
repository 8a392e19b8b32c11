"""The sign, the word and the ink of each state: never a colour alone."""

from __future__ import annotations

from typing import NamedTuple

from cockpit.model import ChangeState, IncidentStatus, Level, ProposalState, RunStatus, Severity
from widgets.line import Ink


class Sign(NamedTuple):
    """How a state is shown."""

    glyph: str
    word: str
    ink: Ink


LEVELS = {
    Level.UP: Sign("●", "up", Ink.GOOD),
    Level.DEGRADED: Sign("◐", "degraded", Ink.WARN),
    Level.DOWN: Sign("✖", "down", Ink.BAD),
    Level.UNKNOWN: Sign("?", "unknown", Ink.CALM),
}

INCIDENTS = {
    IncidentStatus.OPEN: Sign("◆", "open", Ink.WARN),
    IncidentStatus.INVESTIGATING: Sign("◇", "looking", Ink.CALM),
    IncidentStatus.WAITING: Sign("▲", "waits", Ink.WARN),
    IncidentStatus.CHANGING: Sign("▶", "changing", Ink.CALM),
    IncidentStatus.WATCHING: Sign("◔", "watching", Ink.CALM),
    IncidentStatus.ESCALATED: Sign("!", "needs you", Ink.BAD),
    IncidentStatus.RESOLVED: Sign("✔", "resolved", Ink.GOOD),
}

ASKS = Sign("▲", "asks", Ink.WARN)
"""For an incident about which a model is asked once a person says so."""

PROPOSALS = {
    ProposalState.PENDING: Sign("▲", "waits for you", Ink.WARN),
    ProposalState.APPROVED: Sign("▶", "approved", Ink.CALM),
    ProposalState.DENIED: Sign("■", "denied", Ink.DIM),
    ProposalState.EXPIRED: Sign("■", "expired", Ink.DIM),
    ProposalState.SUPERSEDED: Sign("■", "superseded", Ink.DIM),
    ProposalState.EXECUTING: Sign("▶", "being applied", Ink.CALM),
    ProposalState.DONE: Sign("✔", "done", Ink.GOOD),
    ProposalState.FAILED: Sign("✖", "failed", Ink.BAD),
    ProposalState.UNKNOWN: Sign("?", "unknown", Ink.BAD),
}

CHANGES = {
    ChangeState.CLAIMED: Sign("▷", "claimed", Ink.CALM),
    ChangeState.APPLYING: Sign("▶", "applying", Ink.CALM),
    ChangeState.VERIFYING: Sign("◔", "verifying", Ink.CALM),
    ChangeState.DONE: Sign("✔", "done", Ink.GOOD),
    ChangeState.FAILED: Sign("✖", "failed", Ink.BAD),
    ChangeState.SKIPPED: Sign("■", "skipped", Ink.DIM),
    ChangeState.UNDONE: Sign("↶", "undone", Ink.WARN),
    ChangeState.UNKNOWN: Sign("?", "unknown", Ink.BAD),
}

RUNS = {
    RunStatus.FOUND: Sign("•", "found", Ink.PLAIN),
    RunStatus.NOTHING: Sign("○", "nothing", Ink.DIM),
    RunStatus.ERROR: Sign("✖", "error", Ink.BAD),
}

SEVERITIES = {Severity.INFO: Ink.DIM, Severity.WARNING: Ink.WARN, Severity.CRITICAL: Ink.BAD}
