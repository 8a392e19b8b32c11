"""What a model concludes: read leniently, and believed only as far as the stored readings bear it out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cockpit.model import JSON, CockpitError, Rival, Run, RunStatus
from cockpit.model.inquiries import QUOTES
from cockpit.text import clean, shorten

CARRIES = (0.0, 0.65, 0.8, 0.9)
"""What one, two, three or more kinds of evidence carry by themselves."""
QUOTES_CARRY = 0.4
"""What lines carry that others wrote, such as a log's, where nothing else speaks for the cause."""
RIVALS_STAND = 0.5
"""What is left of it where no rival was considered, or one was not ruled out."""
NEAR = 0.02
"""How far a figure may be from what was read, as a share of it: models round."""
SHORTEST = 4
"""Characters that a part of a text has to have to stand for it."""
PROPOSALS = 3
PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def _text(value: Any) -> Any:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _object(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) and value.strip() else value or {}
    except ValueError:
        return value


def _cut(value: Any) -> str:
    return shorten(clean(_text(value), lines=True), 1000)


Text = Annotated[str, BeforeValidator(_cut)]
Number = Annotated[int, BeforeValidator(lambda value: 0 if value in (None, "") else value)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Reading(_Part):
    """A reading that is cited: where it stands, and what it says there."""

    run: Number = 0
    field: Text = ""
    value: Text = ""
    against: Literal["high", "low", "as it is"] = "as it is"


class Considered(_Part):
    """Another cause that would look alike, and the reading that decides about it."""

    cause: Text
    ruled_out: bool = False
    run: Number = 0
    field: Text = ""
    value: Text = ""
    reading: Text = ""


class Proposed(_Part):
    """A call that would mend the cause."""

    tool: Text
    target: Text = ""
    arguments: Annotated[dict[str, Any], BeforeValidator(_object)] = Field(default_factory=dict)
    why: Text = ""


class Answer(_Part):
    """What a model concludes."""

    cause: Text = ""
    evidence: tuple[Reading, ...] = Field(default=(), max_length=40)
    rivals: tuple[Considered, ...] = Field(default=(), max_length=20)
    proposals: tuple[Proposed, ...] = Field(default=(), max_length=20)
    guesses: tuple[Text, ...] = Field(default=(), max_length=20)
    next_look: Text = ""


def read(given: Mapping[str, JSON]) -> Answer:
    """An answer from the arguments of `conclude`. Raises CockpitError that says what is wrong with it."""
    try:
        return Answer.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise CockpitError(f"'{where}': {first['msg']}.") from None


def read_text(text: str) -> Answer | None:
    """The answer that a text is or holds as a JSON object; None when it holds none. Raises CockpitError as `read`."""
    start, end = text.find("{"), text.rfind("}")
    try:
        given = json.loads(text[start : end + 1]) if 0 <= start < end else None
    except (ValueError, RecursionError):
        return None
    return read(given) if isinstance(given, dict) and {"cause", "guesses"} & set(given) else None


@dataclass(frozen=True)
class Weighed:
    """An answer against the readings it cites."""

    answer: Answer
    problems: tuple[str, ...]
    """What it cites that is not there, in sentences that the model can mend."""
    evidence: tuple[int, ...]
    """The runs that bear its cause out."""
    kinds: tuple[str, ...]
    rivals: tuple[Rival, ...]
    confidence: float


def weigh(answer: Answer, runs: Iterable[Run], quotes: Callable[[str], bool]) -> Weighed:
    """Look every cited reading up, and say how sure the cause is by them.

    Args:
        answer: what the model concludes.
        runs: the runs that it may cite, by which it was informed.
        quotes: whether a diagnostic hands on what others wrote.
    """
    known = {run.id: run for run in runs}
    problems = [problem for reading in answer.evidence if (problem := _problem(reading, known))]
    if answer.cause and not answer.evidence:
        problems.append("The cause cites no reading.")
    good = [known[reading.run] for reading in answer.evidence if not _problem(reading, known)]
    rivals = []
    for rival in answer.rivals:
        wrong = _problem(rival, known) if rival.ruled_out else ""
        problems += [f"The rival '{shorten(rival.cause, 60)}': {wrong}"] if wrong else []
        where = f" (run {rival.run})" if rival.run in known else ""
        rivals.append(Rival(rival.cause, rival.ruled_out and not wrong, rival.reading + where))
    kinds = tuple(dict.fromkeys(QUOTES if quotes(run.call.tool) else run.call.tool for run in good))
    sure = confidence(kinds, rivals) if answer.cause and not problems else 0.0
    evidence = tuple(dict.fromkeys(run.id for run in good))
    return Weighed(answer, tuple(problems), evidence, kinds, tuple(rivals), sure)


def confidence(kinds: Sequence[str], rivals: Sequence[Rival]) -> float:
    """How sure a cause is: what the kinds of evidence carry, halved unless every rival was ruled out, and one was.

    One kind carries 0.65, two 0.8, three 0.9; lines that others wrote count as one kind, and alone carry 0.4.
    """
    carried = QUOTES_CARRY if set(kinds) == {QUOTES} else CARRIES[min(len(set(kinds)), len(CARRIES) - 1)]
    return carried * (1.0 if rivals and all(rival.ruled_out for rival in rivals) else RIVALS_STAND)


def value_at(run: Run, field: str) -> JSON:
    """What stands at a place in a run, such as `used_ratio` or `rows[0].name`. Raises LookupError."""
    if field == "summary" and "summary" not in run.data:
        return run.summary
    value: Any = run.data
    for name, index in PART.findall(field.removeprefix("data.")):
        if index:
            value = value[int(index)]
        elif isinstance(value, Mapping):
            value = value[name.strip()]
        else:
            raise LookupError(name)
    if value is run.data:
        raise LookupError(field)
    return value  # type: ignore[no-any-return]  # it was read from JSON


def _problem(reading: Reading | Considered, known: Mapping[int, Run]) -> str:
    """What is wrong with a cited reading, in a sentence; empty when it stands there as cited."""
    run = known.get(reading.run)
    if run is None:
        return f"There is no run {reading.run} here. There are: {', '.join(map(str, known)) or 'none'}."
    if run.status is RunStatus.ERROR:
        return f"Run {run.id} failed, it shows nothing."
    try:
        found = value_at(run, reading.field)
    except (LookupError, TypeError):
        fields = ", ".join(map(str, list(run.data)[:20]))
        return f"Run {run.id} has no '{shorten(reading.field, 60)}'. It has: summary, {fields}."
    if not reading.value and found not in ("", None):
        return f"It does not say what '{reading.field}' of run {run.id} is."
    if not _agrees(reading.value, found):
        return f"'{reading.field}' of run {run.id} is {shorten(_text(found), 120)}, not {shorten(reading.value, 120)}."
    return ""


def _agrees(said: str, found: JSON) -> bool:
    """Whether what was said is what was found: figures nearly so, texts and lists as they are or as a part."""
    if found is None:
        return said.strip().lower() in ("", "none", "null")
    if isinstance(found, bool):
        return said.strip().lower() == str(found).lower()
    if isinstance(found, int | float):
        try:
            return math.isclose(float(said.replace(",", "").strip(" %")), found, rel_tol=NEAR, abs_tol=1e-9)
        except ValueError:
            return False
    whole = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    wanted, there = ("".join(text.split()).strip("\"'⟦⟧").lower() for text in (said, whole))
    return wanted == there or (len(wanted) >= SHORTEST and wanted in there)
