"""What is said to a model and what it says, as plain frozen values; how a provider writes it stays in the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cockpit.model import JSON


class Speaker(StrEnum):
    """Who says a message."""

    SYSTEM = "system"
    USER = "user"
    MODEL = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tool that the model wants called."""

    id: str
    """The provider's own, by which the result is matched."""
    name: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)
    malformed: str = ""
    """What it wrote for arguments, shortened, where that is no JSON object; `arguments` is empty then."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    speaker: Speaker
    text: str
    wanted: tuple[Wanted, ...] = ()
    """For a message of the model: the tools it wants called."""
    answers: str = ""
    """For the message of a tool: the id of what was wanted."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool that a model may ask for."""

    name: str
    description: str
    parameters: Mapping[str, JSON]
    """The JSON schema of its arguments."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that one call of a model is given."""

    messages: tuple[Message, ...]
    offers: tuple[Offer, ...] = ()
    schema: Mapping[str, JSON] = field(default_factory=dict)
    """The JSON schema its text must hold to; empty for free text."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered."""

    model: str
    """The configured name of the one that did."""
    text: str
    wanted: tuple[Wanted, ...] = ()
    call: int = 0
    """The id of the stored ModelCall."""
