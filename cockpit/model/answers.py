"""What came of an inquiry, as it is read from the data that the log keeps of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cockpit.model.values import Rival

if TYPE_CHECKING:
    from cockpit.model.values import JSON

BY_MODEL = "model:"
"""How the name of what gave a diagnosis begins where that is a model."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer of a model: a cause with the evidence for it, guesses, or the reply to a question."""

    model: str = ""
    """The configured name of the one that gave it."""
    cause: str = ""
    """Why the incident happened; a guess where the inquiry is inconclusive."""
    confidence: float = 0.0
    evidence: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """By the id of a run it rests on, the readings in it that are cited."""
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
            model=_text(data.get("model")),
            cause=_text(data.get("cause")),
            confidence=float(confidence) if isinstance(confidence, int | float) else 0.0,
            evidence=_evidence(data),
            rivals=tuple(_rival(each) for each in _mappings(data.get("rivals"))),
            guesses=tuple(text for each in _list(data.get("guesses")) if (text := _text(each))),
            next_look=_text(data.get("next_look")),
            reply=_text(data.get("text")),
        )


def _evidence(data: Mapping[str, JSON]) -> Mapping[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {run: () for run in _list(data.get("runs")) if isinstance(run, int)}
    for each in _mappings(data.get("evidence")):
        run, where = each.get("run"), _text(each.get("field"))
        if isinstance(run, int):
            cited = (f"{where} is {_text(each.get('value'))}",) if where else ()
            found[run] = (*found.get(run, ()), *cited)
    return found


def _rival(data: Mapping[str, JSON]) -> Rival:
    run = data.get("run")
    where = f" (run {run})" if isinstance(run, int) and run else ""
    return Rival(_text(data.get("cause")), data.get("ruled_out") is True, _text(data.get("reading")) + where)


def _list(value: JSON) -> Iterator[JSON]:
    return iter(value) if isinstance(value, list | tuple) else iter(())


def _mappings(value: JSON) -> Iterator[Mapping[str, JSON]]:
    return (each for each in _list(value) if isinstance(each, Mapping))


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""
