"""Equal investigations: a kept answer is taken again when the readings that it rests on read the same again."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cockpit.agent.answer import Answer, Considered, Reading, read, value_at, weigh
from cockpit.agent.conclusion import Conclusion, conclude
from cockpit.agent.investigator import Investigator
from cockpit.agent.prompts import version
from cockpit.model import JSON, Call, Incident, Run, RunStatus, canonical
from cockpit.model.inquiries import Inquiry

KEPT_FOR = 86_400.0
"""Seconds for which an answer is kept."""
ALIKE = 0.25
"""How far a figure may be from what it was, as a share of it, for the reading to be the same."""


@dataclass
class Recall:
    """Finds the answer to an equal investigation, and looks whether it still holds."""

    investigator: Investigator

    def digest(self, incident: Incident) -> str:
        """What makes two investigations equal: the service, its alerts, what may be asked, and by which prompts."""
        analyst = self.investigator.analyst
        alerts = analyst.store.reader.alerts(incident=incident.id, firing_only=True)
        known: JSON = {
            "service": incident.service,
            "alerts": sorted({f"{raised.alert.service} {raised.alert.name}" for raised in alerts}),
            "services": sorted(analyst.services),
            "models": [model.model for model in self.investigator.settings.models],
            "prompts": version(),
        }
        return hashlib.sha256(canonical(known).encode()).hexdigest()

    def kept(self, incident: Incident) -> Inquiry | None:
        """The answer to an equal investigation of the last day."""
        analyst = self.investigator.analyst
        return analyst.store.reader.asked.kept(self.digest(incident), analyst.clock() - KEPT_FOR)

    async def again(self, incident: Incident, kept: Inquiry) -> Conclusion | None:
        """The same conclusion, if every reading that it rests on is taken anew and reads the same; at no cost."""
        answer = read(kept.answer)
        readings: list[Reading | Considered] = [
            *answer.evidence,
            *(rival for rival in answer.rivals if rival.ruled_out),
        ]
        old = self._old({reading.run for reading in readings})
        new = await self._anew(incident, old)
        if new is None or not all(_alike(reading, old, new) for reading in readings):
            return None
        runs = list(new.values())
        weighed = weigh(_moved(answer, new), runs, self.investigator.quotes)
        sources = self.investigator.sources(incident, runs)
        found = await conclude(incident, str(kept.answer["model"]), weighed, sources, self.investigator.healer)
        return found if found.sure else None

    def _old(self, numbers: Iterable[int]) -> dict[int, Run]:
        return {number: self.investigator.analyst.store.reader.run(number) for number in numbers}

    async def _anew(self, incident: Incident, old: Mapping[int, Run]) -> dict[int, Run] | None:
        """By the number of each old run a new one of the same call; None when one cannot be made or fails."""
        analyst = self.investigator.analyst
        if any(run.call.service not in analyst.services for run in old.values()):
            return None
        calls: dict[str, Call] = {_key(run.call): run.call for run in old.values()}
        made = await asyncio.gather(
            *(analyst.look(incident.id, analyst.services[call.service], call) for call in calls.values())
        )
        by_call = dict(zip(calls, made, strict=True))
        new = {number: by_call[_key(run.call)] for number, run in old.items()}
        return None if any(run.status is RunStatus.ERROR for run in new.values()) else new


def _alike(reading: Reading | Considered, old: Mapping[int, Run], new: Mapping[int, Run]) -> bool:
    try:
        before, now = (value_at(runs[reading.run], reading.field) for runs in (old, new))
    except (LookupError, TypeError):
        return False
    if isinstance(before, bool) or isinstance(now, bool) or not _figures(before, now):
        return reading.field == "summary" or before == now
    return math.isclose(float(str(before)), float(str(now)), rel_tol=ALIKE, abs_tol=1e-9)


def _figures(*values: JSON) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _moved(answer: Answer, new: Mapping[int, Run]) -> Answer:
    """The answer with its readings as they were taken anew."""

    def moved(part: Reading | Considered) -> dict[str, object]:
        run = new[part.run]
        value = value_at(run, part.field)
        return {"run": run.id, "value": value if isinstance(value, str) else canonical(value)}

    evidence = tuple(reading.model_copy(update=moved(reading)) for reading in answer.evidence)
    rivals = tuple(rival.model_copy(update=moved(rival)) if rival.ruled_out else rival for rival in answer.rivals)
    return answer.model_copy(update={"evidence": evidence, "rivals": rivals})


def _key(call: Call) -> str:
    return canonical([call.tool, call.service, dict(call.arguments)])
