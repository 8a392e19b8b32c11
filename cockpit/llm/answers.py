"""What a model said, read with suspicion: cleaned, bounded, and told apart from what is no answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any

from cockpit.llm.conversation import Wanted
from cockpit.llm.frames import Frame
from cockpit.llm.texts import each_text
from cockpit.model import JSON
from cockpit.model.inquiries import CallOutcome
from cockpit.text import clean, shorten

LONGEST_TEXT = 40_000
LONGEST_ARGUMENTS = 20_000
LONGEST_NAME = 64
SHOWN = 200
"""Characters of arguments that cannot be read that are passed on."""
IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
FENCE = re.compile(r"\s*```[a-z]*\n(.*?)\n?```\s*", re.DOTALL)


class NoAnswer(Exception):
    """What came is nothing that can be used."""

    def __init__(self, outcome: CallOutcome, why: str) -> None:
        super().__init__(why)
        self.outcome = outcome


def read(said: Frame, *, in_json: bool, lift: Callable[[str], str]) -> tuple[str, tuple[Wanted, ...]]:
    """The text and the tools wanted.

    Args:
        said: the reply as the worker passed it on.
        in_json: whether a text must be a JSON object.
        lift: puts back what was hidden.

    Raises NoAnswer.
    """
    text = clean(str(said["text"])[:LONGEST_TEXT], lines=True).strip()
    if said["finish"] == "content_filter":
        raise NoAnswer(CallOutcome.REFUSED, "Its filter stopped the answer.")
    wanted = tuple(_wanted(said["calls"], lift))
    if not text and not wanted:
        raise NoAnswer(CallOutcome.MALFORMED, "It said nothing.")
    if in_json and not wanted:
        text = _object(text)
    return lift(text), wanted


def _object(text: str) -> str:
    fenced = FENCE.fullmatch(text)
    inner = fenced[1] if fenced else text
    if parsed(inner) is None:
        raise NoAnswer(CallOutcome.MALFORMED, "Its answer is no JSON object.")
    return inner


def _wanted(calls: list[Mapping[str, str]], lift: Callable[[str], str]) -> Iterator[Wanted]:
    """Each call under an id that is its own and that any provider takes back."""
    used: set[str] = set()
    for number, call in enumerate(calls, 1):
        own = (
            call["id"] if IDENTIFIER.fullmatch(call["id"]) and call["id"] not in used else f"call-{number}-{len(used)}"
        )
        used.add(own)
        name = re.sub(r"[^A-Za-z0-9_-]", "_", call["name"])[:LONGEST_NAME] or "_"
        written = call["arguments"].strip() or "{}"
        arguments = parsed(written) if len(written) <= LONGEST_ARGUMENTS else None
        if arguments is None:
            yield Wanted(own, name, malformed=shorten(clean(written), SHOWN))
        else:
            yield Wanted(own, name, _cleaned(arguments, lift))


def _cleaned(arguments: Mapping[str, JSON], lift: Callable[[str], str]) -> Mapping[str, JSON]:
    return {
        clean(key): each_text(value, lambda text: lift(clean(text, lines=True))) for key, value in arguments.items()
    }


def parsed(text: str) -> Mapping[str, JSON] | None:
    """The JSON object that a text is; None when it is none, or holds numbers that are none."""
    try:
        value: Any = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number
