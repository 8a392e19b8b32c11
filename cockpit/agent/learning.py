"""What an incident taught that a model explained and a person confirmed: the material of a runbook."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cockpit.agent.answer import Answer, Considered, Reading, read, value_at
from cockpit.agent.conclusion import BY_MODEL
from cockpit.model import JSON, Call, CockpitError, Incident, IncidentStatus, ProposalState, Run, RunStatus
from cockpit.model.inquiries import InquiryState
from cockpit.store.reader import Reader

COMPARED = 1000
"""Past incidents whose readings are compared at the most."""


@dataclass(frozen=True)
class Lesson:
    """An incident with its cause, the readings that show it, and what mended it."""

    incident: Incident
    alerts: tuple[str, ...]
    answer: Answer
    runs: Mapping[int, Run]
    """The cited runs."""
    remedy: Call | None
    """What was carried out and ended it."""
    others: tuple[Run, ...]
    """Runs of the same diagnostics for other incidents, or for none: what the readings are elsewhere."""

    @property
    def kind(self) -> str:
        """The kind of service it is about."""
        return self.incident.service.partition("/")[0]

    def elsewhere(self, reading: Reading | Considered) -> list[JSON]:
        """What stands at a cited place in the other runs."""
        tool = self.runs[reading.run].call.tool
        found = []
        for run in self.others:
            if run.call.tool == tool and run.status is not RunStatus.ERROR:
                try:
                    found.append(value_at(run, reading.field))
                except (LookupError, TypeError):
                    continue
        return found


def lesson(reader: Reader, number: int) -> Lesson:
    """What an incident taught. Raises CockpitError where there is nothing to learn, with the reason."""
    incident = reader.incident(number)
    if incident.status is not IncidentStatus.RESOLVED:
        raise CockpitError(f"Incident {number} is {incident.status}.", "A runbook is learned once it is resolved.")
    if incident.runbook and not incident.runbook.startswith(BY_MODEL):
        raise CockpitError(f"The runbook '{incident.runbook}' explains incident {number} already.")
    answered = [each for each in reader.asked.of(number) if each.state is InquiryState.ANSWERED and not each.question]
    if not answered:
        raise CockpitError(f"No model gave the cause of incident {number}.", "There is nothing to learn from it.")
    answer = read(answered[0].answer)
    parts: list[Reading | Considered] = [*answer.evidence, *answer.rivals]
    cited = {part.run for part in parts}
    runs = {run.id: run for run in reader.runs(number) if run.id in cited}
    elsewhere = [run for run in runs.values() if run.call.service != incident.service]
    if elsewhere:
        raise CockpitError(
            f"Its cause shows on {elsewhere[0].call.service} as well, and a runbook looks at its own service alone.",
            "Write this one by hand.",
        )
    alerts = [raised.alert for raised in reader.alerts(incident=number)]
    return Lesson(
        incident,
        tuple(sorted({alert.name for alert in alerts if alert.service == incident.service})),
        answer,
        runs,
        _remedy(reader, incident),
        tuple(_others(reader, incident, {run.call.tool for run in runs.values()})),
    )


def said_to_work(reader: Reader, number: int) -> bool | None:
    """What a person last said of whether it worked; None when nobody did."""
    events = reader.events(incident=number, before=sys.maxsize, limit=COMPARED)
    said = [event.data.get("worked") for event in events if event.kind == "feedback"]
    return bool(said[-1]) if said else None


def alike(reader: Reader, incident: Incident) -> list[Incident]:
    """The other incidents of that kind of service, newest first."""
    kind = f"{incident.service.partition('/')[0]}/"
    return [
        other
        for other in reader.incidents(limit=COMPARED)
        if other.id != incident.id and other.service.startswith(kind)
    ]


def _remedy(reader: Reader, incident: Incident) -> Call | None:
    done = reader.proposals(state=ProposalState.DONE, incident=incident.id)
    return next((each.call for each in done if each.undoes is None and each.call.service == incident.service), None)


def _others(reader: Reader, incident: Incident, tools: Iterable[str]) -> Iterable[Run]:
    wanted = set(tools)
    for other in alike(reader, incident):
        yield from (run for run in reader.runs(other.id) if run.call.tool in wanted)
