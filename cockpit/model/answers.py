"""What came of an inquiry, as it is read from the data that the log keeps of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cockpit.model.values import Rival

if TYPE_CHECKING:
    from cockpit.model.values import JSON


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer of a model: a cause with the evidence for it, guesses, or the reply to a question."""

    cause: str = ""
    """Why the incident happened; empty where the evidence is not enough to say."""
    confidence: float = 0.0
    evidence: tuple[int, ...] = ()
    """Ids of the runs it rests on."""
    rivals: tuple[Rival, ...] = ()
    guesses: tuple[str, ...] = ()
    """Where there is no cause: what it may be, the likeliest first."""
    next_look: str = ""
    """What to look at next, where there is no cause."""
    reply: str = ""
    """What is answered to an operator's question."""

    @classmethod
    def of(cls, data: Mapping[str, JSON]) -> Answer:
        """The answer in an inquiry's data; what does not fit is left out, for a model wrote it."""
        confidence = data.get("confidence")
        return cls(
            cause=_text(data.get("cause")),
            confidence=float(confidence) if isinstance(confidence, int | float) else 0.0,
            evidence=tuple(each for each in _list(data.get("evidence")) if isinstance(each, int)),
            rivals=tuple(_rival(each) for each in _list(data.get("rivals")) if isinstance(each, Mapping)),
            guesses=tuple(text for each in _list(data.get("guesses")) if (text := _text(each))),
            next_look=_text(data.get("next_look")),
            reply=_text(data.get("answer")),
        )


def _list(value: JSON) -> Iterator[JSON]:
    return iter(value) if isinstance(value, list | tuple) else iter(())


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def _rival(data: Mapping[str, JSON]) -> Rival:
    return Rival(_text(data.get("cause")), data.get("ruled_out") is True, _text(data.get("reading")))
