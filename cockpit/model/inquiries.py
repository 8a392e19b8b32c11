"""What is asked of models: an inquiry, and every call of a model that it cost.

Not among the names of `cockpit.model` itself: reading commands that need none of it start faster so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from cockpit.model.states import Tier

if TYPE_CHECKING:
    from cockpit.model.values import JSON


class InquiryState(StrEnum):
    """Where an inquiry stands."""

    ASKING = "asking"
    """Its estimated cost is on show, and it waits for a person's yes."""
    OPEN = "open"
    """It may begin."""
    RUNNING = "running"
    ANSWERED = "answered"
    INCONCLUSIVE = "inconclusive"
    """Models were asked, and what they said is not enough to act on."""
    FAILED = "failed"
    """No model could be asked, or none answered; the outcome says why."""
    DECLINED = "declined"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in (InquiryState.ASKING, InquiryState.OPEN, InquiryState.RUNNING)


class CallOutcome(StrEnum):
    """What came of one call of a model."""

    ANSWERED = "answered"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate limited"
    OUTAGE = "outage"
    """Nothing answered, or the provider failed."""
    DENIED = "denied"
    """The provider would not take it: the key, the right, or what it asks for is wrong."""
    REFUSED = "refused"
    """The model would not answer."""
    MALFORMED = "malformed"
    """It answered with what cannot be read."""
    TOO_LONG = "too long"
    """More was sent than it can hold at once."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an inquiry is expected to cost before its first call."""

    model: str
    """The configured name of the model that would be asked first."""
    tokens: int
    """Input tokens of the first prompt."""
    dollars: float


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question that models are asked: why an incident happened, or what an operator wants to know."""

    id: int
    incident: int | None
    service: str
    """What it is about; empty when it is about anything."""
    question: str
    """In the asker's words; empty for the question why the incident happened."""
    asked_by: str
    state: InquiryState
    created_at: float
    estimate: Estimate | None = None
    finished_at: float | None = None
    outcome: str = ""
    """What came of it, in one sentence."""
    answer: Mapping[str, JSON] = field(default_factory=dict)
    """The checked answer as data; empty until there is one."""
    progress: str = ""
    """What the model has said so far in the call that runs."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model, as it was sent and what came back."""

    id: int
    inquiry: int
    model: str
    """Its configured name."""
    tier: Tier
    at: float
    seconds: float
    input_tokens: int
    output_tokens: int
    dollars: float
    outcome: CallOutcome
    error: str = ""
    sent: Mapping[str, JSON] = field(default_factory=dict)
    """The request, redacted, exactly as it left."""
    reply: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What a model did so far."""

    model: str
    calls: int
    answered: int
    """Calls that came to an answer that could be read."""
    input_tokens: int
    output_tokens: int
    dollars: float
    seconds: float
    """Mean seconds of an answered call."""
    diagnoses: int
    """Incidents it gave the cause of."""
    confirmed: int
    """Those of them that a person confirmed, or that recovered after its proposal was carried out."""
