"""Between rows of the log and the values of the house; standard library only."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cockpit.model import (
    JSON,
    Alert,
    Applied,
    Approval,
    Call,
    Change,
    ChangeState,
    Decision,
    Event,
    Health,
    Incident,
    IncidentStatus,
    Level,
    Plan,
    Proposal,
    ProposalState,
    Run,
    RunStatus,
    Service,
    Severity,
    Verdict,
    Watched,
    canonical,
)


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert as the log holds it."""

    id: int
    incident: int
    alert: Alert
    times: int
    """How often it was reported while it fired."""
    resolved_at: float | None

    @property
    def firing(self) -> bool:
        """Whether it has not been cleared yet."""
        return self.resolved_at is None


def service_from(row: sqlite3.Row) -> Watched:
    """A configured service with its last health."""
    service = Service(
        name=row["name"],
        depends_on=tuple(json.loads(row["depends_on"])),
        critical=bool(row["critical"]),
        interval=row["interval"],
        timeout=row["timeout"],
        expected_down=bool(row["expected_down"]),
        note=row["note"],
        tags=tuple(json.loads(row["tags"])),
    )
    return Watched(service, health_from(row), row["checked_at"], row["since"])


def health_from(row: sqlite3.Row) -> Health:
    """The last health of a service; unknown when it was never probed."""
    if row["level"] is None:
        return Health(Level.UNKNOWN, "not probed yet")
    return Health(Level(row["level"]), row["summary"], json.loads(row["samples"]), row["latency"])


def incident_from(row: sqlite3.Row) -> Incident:
    """An incident."""
    return Incident(
        id=row["id"],
        service=row["service"],
        title=row["title"],
        severity=Severity(row["severity"]),
        status=IncidentStatus(row["status"]),
        opened_at=row["opened_at"],
        updated_at=row["updated_at"],
        resolved_at=row["resolved_at"],
        cause=row["cause"],
        runbook=row["runbook"],
        alerts=row["alerts"],
        flapping=bool(row["flapping"]),
    )


def alert_from(row: sqlite3.Row) -> Raised:
    """An alert with what became of it."""
    alert = Alert(
        fingerprint=row["fingerprint"],
        service=row["service"],
        name=row["name"],
        severity=Severity(row["severity"]),
        summary=row["summary"],
        starts_at=row["starts_at"],
        source=row["source"],
        labels=json.loads(row["labels"]),
    )
    return Raised(row["id"], row["incident"], alert, row["times"], row["resolved_at"])


def event_from(row: sqlite3.Row | Mapping[str, Any]) -> Event:
    """One line of a timeline."""
    return Event(
        id=row["id"],
        at=row["at"],
        incident=row["incident"],
        actor=row["actor"],
        kind=row["kind"],
        text=row["text"],
        data=json.loads(row["data"]),
        service=row["service"],
    )


def run_from(row: sqlite3.Row) -> Run:
    """One run of a diagnostic."""
    return Run(
        id=row["id"],
        incident=row["incident"],
        call=call_from(row),
        status=RunStatus(row["status"]),
        summary=row["summary"],
        data=json.loads(row["data"]),
        started_at=row["started_at"],
        seconds=row["seconds"],
    )


def proposal_from(row: sqlite3.Row) -> Proposal:
    """A proposal with its plan."""
    return Proposal(
        id=row["id"],
        incident=row["incident"],
        call=call_from(row),
        plan=plan_from(json.loads(row["plan"])),
        digest=row["digest"],
        approval=Approval(row["approval"]),
        state=ProposalState(row["state"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        reason=row["reason"],
        undoes=row["undoes"],
        policy=row["policy"],
        needs_name=bool(row["needs_name"]),
        outcome=row["outcome"],
    )


def decision_from(row: sqlite3.Row) -> Decision:
    """What was decided about a proposal."""
    return Decision(
        proposal=row["proposal"],
        verdict=Verdict(row["verdict"]),
        by=row["actor"],
        channel=row["channel"],
        at=row["at"],
        digest=row["digest"],
        reason=row["reason"],
    )


def applied_from(row: sqlite3.Row) -> Applied:
    """A change in the log."""
    return Applied(
        id=row["id"],
        proposal=row["proposal"],
        position=row["position"],
        change=change_from(json.loads(row["body"])),
        state=ChangeState(row["state"]),
        claimed_at=row["claimed_at"],
        finished_at=row["finished_at"],
        outcome=row["outcome"],
    )


def call_from(row: sqlite3.Row) -> Call:
    """The call of a run or a proposal."""
    return Call(row["tool"], row["service"], json.loads(row["arguments"]))


def change_from(stored: Mapping[str, Any]) -> Change:
    """A change from its JSON."""
    return Change(**{**stored, "steps": tuple(stored["steps"])})


def plan_from(stored: Mapping[str, Any]) -> Plan:
    """A plan from its JSON."""
    changes = tuple(change_from(change) for change in stored["changes"])
    approval = Approval(stored["approval"]) if stored["approval"] else None
    return Plan(stored["summary"], changes, stored["risk"], approval)


def plan_json(plan: Plan) -> JSON:
    """A plan as plain data, as it would be read back from JSON."""
    plain: JSON = json.loads(canonical(asdict(plan)))
    return plain
