"""Which events people are told of, and in which words."""

from __future__ import annotations

from dataclasses import dataclass

from cockpit.agent.communicator import found_by, stamp
from cockpit.model import Approval, Event, IncidentStatus, Proposal, ProposalState, Severity
from cockpit.store.reader import Reader

CAME_TO_SOMETHING = (ProposalState.DONE, ProposalState.FAILED, ProposalState.UNKNOWN)


@dataclass(frozen=True)
class Message:
    """Something to tell; who is told is decided elsewhere."""

    event: int
    kind: str
    """`opened`, `proposal`, `escalated`, `change`, `resolved`, `reminder` or `budget`."""
    incident: int | None
    service: str
    severity: Severity
    text: str
    channel: str = ""
    """The only channel a reminder goes to."""


def message(reader: Reader, event: Event) -> Message | None:
    """What to tell of an event; None for most."""
    kind = _kind(event)
    if kind is None:
        return None
    incident = reader.incident(event.incident) if event.incident is not None else None
    text = event.text
    if kind in ("proposal", "change"):
        text = _proposed(reader, event) if kind == "proposal" else _changed(reader, event)
    about = f"{incident.title}: {text}" if incident and kind != "opened" else text
    return Message(
        event=event.id,
        kind=kind,
        incident=event.incident,
        service=incident.service if incident else event.service,
        severity=incident.severity if incident else Severity.WARNING if kind == "budget" else Severity.INFO,
        text=about,
        channel=str(event.data["channel"]) if kind == "reminder" else "",
    )


def _kind(event: Event) -> str | None:
    data = event.data
    if event.kind == "alert" and data.get("incident") in ("opened", "reopened", "severer"):
        return "opened"
    if event.kind == "status" and data.get("status") != data.get("was"):
        return {IncidentStatus.ESCALATED.value: "escalated", IncidentStatus.RESOLVED.value: "resolved"}.get(
            str(data.get("status"))
        )
    if event.kind == "proposal":
        if data.get("approval") == Approval.HARD and data.get("state") == ProposalState.PENDING:
            return "proposal"
        return "change" if data.get("state") in CAME_TO_SOMETHING else None
    return {"escalation": "reminder", "budget": "budget"}.get(event.kind)


def _proposed(reader: Reader, event: Event) -> str:
    proposal = _proposal(reader, event)
    command = f"cockpit approve {proposal.id} --digest {proposal.digest[:12]}"
    model = found_by(reader, proposal)
    by = f" The cause was found by {model}." if model else ""
    return f"{proposal.plan.summary} waits for a decision until {stamp(proposal.expires_at)}: {command}{by}"


def _changed(reader: Reader, event: Event) -> str:
    proposal = _proposal(reader, event)
    return f"{proposal.plan.summary} is {event.data['state']}. {proposal.outcome}"


def _proposal(reader: Reader, event: Event) -> Proposal:
    number = event.data["proposal"]
    assert isinstance(number, int)
    return reader.proposal(number)
