"""From what a model concludes to a diagnosis: its calls are checked and planned before anyone sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cockpit.agent.answer import PROPOSALS, Proposed, Weighed
from cockpit.agent.healer import Healer
from cockpit.agent.hearsay import Sources
from cockpit.agent.runbooks import CONFIDENT
from cockpit.agent.topology import near
from cockpit.model import JSON, Call, CockpitError, Diagnosis, Incident
from cockpit.model.inquiries import Word
from cockpit.store.connection import StoreError
from cockpit.text import clean, shorten
from cockpit.toolkit.schema import checked

BY_MODEL = "model:"
"""How the name of what gave a diagnosis begins where that is a model."""


@dataclass(frozen=True)
class Conclusion:
    """What came of an answer."""

    diagnosis: Diagnosis
    passed_over: tuple[str, ...]
    """Calls that are not proposed, each with why."""
    answer: dict[str, JSON]
    """The checked answer as it is kept."""

    @property
    def sure(self) -> bool:
        """Whether it is more than a guess."""
        return self.diagnosis.confidence >= CONFIDENT

    @property
    def outcome(self) -> str:
        """What came of it, in one sentence."""
        if self.sure:
            return self.diagnosis.cause
        return f"No reading shows the cause. The likeliest guess: {self.diagnosis.cause or 'none'}"


def wrong_calls(proposed: Sequence[Proposed], healer: Healer) -> list[str]:
    """What is wrong with proposed calls before they are planned, in sentences that the model can mend."""
    problems = []
    for each in proposed[:PROPOSALS]:
        try:
            call_of(each, healer)
        except StoreError:
            raise
        except CockpitError as error:
            problems.append(f"The proposal of {shorten(each.tool, 60)}: {error}")
    if len(proposed) > PROPOSALS:
        problems.append(f"There are {len(proposed)} proposals; {PROPOSALS} are the most.")
    return problems


def call_of(proposed: Proposed, healer: Healer) -> Call:
    """The call that is proposed. Raises CockpitError when there is no such remediation, target or argument."""
    tool = healer.registry.tool(clean(proposed.tool))
    if not tool.writes:
        raise CockpitError(f"{tool.name} only looks; it mends nothing.")
    fitting = [name for name in healer.services if name.startswith(f"{tool.kind}/")]
    target = proposed.target or (fitting[0] if len(fitting) == 1 else "")
    if target not in fitting:
        raise CockpitError(f"'{shorten(target, 80)}' is no {tool.kind} service.", f"There are: {', '.join(fitting)}.")
    checked(tool, proposed.arguments)
    return Call(tool.name, target, proposed.arguments)


async def conclude(incident: Incident, model: str, weighed: Weighed, sources: Sources, healer: Healer) -> Conclusion:
    """The diagnosis that an answer comes to, with those of its calls that can be planned and may be proposed."""
    answer = weighed.answer
    sure = weighed.confidence >= CONFIDENT
    guesses = [*([answer.cause] if answer.cause and not sure else []), *answer.guesses]
    word, calls, passed_over = await _planned(incident, model, weighed, sources, healer) if sure else (None, [], [])
    diagnosis = Diagnosis(
        incident=incident.id,
        runbook=f"{BY_MODEL}{model}",
        cause=answer.cause if sure else next(iter(guesses), ""),
        confidence=round(weighed.confidence, 3),
        evidence=weighed.evidence,
        rivals=weighed.rivals,
        calls=tuple(calls),
        advice=answer.next_look,
        word=word or Word(model, weighed.kinds),
    )
    return Conclusion(diagnosis, tuple(passed_over), _kept(diagnosis, weighed, guesses, passed_over))


async def _planned(
    incident: Incident, model: str, weighed: Weighed, sources: Sources, healer: Healer
) -> tuple[Word, list[Call], list[str]]:
    found: list[tuple[Call, str]] = []
    passed_over: list[str] = []
    for each in weighed.answer.proposals[:PROPOSALS]:
        try:
            found.append((call_of(each, healer), each.why))
        except CockpitError as error:
            passed_over.append(f"{shorten(each.tool, 60)} is not proposed: {error}")
    hearsay = sources.hearsay((call, healer.registry.tool(call.tool)) for call, _ in found)
    close = tuple(near(healer.services, incident.service))
    word = Word(model, weighed.kinds, near=close, hearsay=hearsay)
    kept: list[tuple[Call, str]] = []
    for call, why in found:
        try:
            await healer.dry_run(call, word)
            kept.append((call, why))
        except CockpitError as error:
            passed_over.append(f"{call.tool} is not proposed: {error}")
    calls, whys = [call for call, _ in kept], tuple(why for _, why in kept)
    return Word(model, weighed.kinds, whys, close, hearsay), calls, passed_over


def _kept(
    diagnosis: Diagnosis, weighed: Weighed, guesses: Sequence[str], passed_over: Sequence[str]
) -> dict[str, JSON]:
    """The checked answer as plain data: what the screen shows, and what a runbook can be learned from."""
    answer = weighed.answer
    whys = diagnosis.word.whys if diagnosis.word else ()
    plain: dict[str, Any] = {
        "cause": answer.cause,
        "confidence": diagnosis.confidence,
        "model": diagnosis.word.model if diagnosis.word else "",
        "evidence": [reading.model_dump() for reading in answer.evidence],
        "kinds": list(weighed.kinds),
        "rivals": [
            {**rival.model_dump(), "ruled_out": kept.ruled_out}
            for rival, kept in zip(answer.rivals, weighed.rivals, strict=True)
        ],
        "proposals": [_call(call, why) for call, why in zip(diagnosis.calls, whys, strict=True)],
        "passed_over": list(passed_over),
        "guesses": list(guesses),
        "next_look": answer.next_look,
        "problems": list(weighed.problems),
    }
    return plain


def _call(call: Call, why: str) -> Mapping[str, JSON]:
    return {"tool": call.tool, "target": call.service, "arguments": dict(call.arguments), "why": why}
