"""What every view works from: the store as last read, the clock, and the engine once it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cockpit.model import (
    JSON,
    CockpitError,
    Diagnosis,
    Event,
    Incident,
    IncidentStatus,
    Level,
    Proposal,
    ProposalState,
    Rival,
    Service,
    Watched,
)
from widgets.bars import Standing
from widgets.case import Case, Story
from widgets.services import Seen

if TYPE_CHECKING:
    from cockpit.engine import Engine
    from cockpit.settings.models import ModelsSettings
    from cockpit.store.reader import Reader
    from widgets.facts import Facts
    from widgets.inquiry import Course
    from widgets.samples import Sample

POINTS = 40
"""Latencies kept for a sparkline."""
TOLD = 500
"""Events of a timeline that are shown: the newest ones."""
BUSY = {
    IncidentStatus.INVESTIGATING: "looking into",
    IncidentStatus.CHANGING: "changing",
    IncidentStatus.WATCHING: "watching the recovery of",
}


class Desk:
    """Reads the store for the views; safe to use from a thread, for it only reads.

    Args:
        reader: the read-only door to the store.
        clock: seconds since the epoch; tests hand in one that stands still.
    """

    def __init__(self, reader: Reader, clock: Callable[[], float] = time.time) -> None:
        self.reader = reader
        self.clock = clock
        self.engine: Engine | None = None
        self.since = ""
        """What happened since the operator last looked; empty when nothing did, or it was read."""
        self.chosen: object = None
        """The incident that was chosen last, so that views agree on it."""
        self.service = ""
        """The service that was opened last."""
        self._latencies: dict[str, tuple[float | None, tuple[float, ...]]] = {}
        self._seen: tuple[int, tuple[Seen, ...]] = (-1, ())
        """The version of the store that the services were read from, and what was read."""

    def acting(self) -> Engine:
        """The engine. Raises CockpitError while it is still starting."""
        if self.engine is None:
            raise CockpitError("The agent is still starting.", "Try again in a moment.")
        return self.engine

    @property
    def models(self) -> ModelsSettings | None:
        """The models that may be asked; None while none is configured, and the screen then knows of none."""
        return self.engine.settings.models if self.engine else None

    def asking(self) -> tuple[int | None, ...]:
        """What waits for a person's yes: the incidents whose cause a model may be asked, None for a question."""
        found = self.reader.asked.asking() if self.models else ()
        return tuple(None if each.question else each.incident for each in found)

    def seen(self) -> tuple[Seen, ...]:
        """Every service with its recent latencies, read once for every version of the store.

        A sparkline is read once and then grows with each probe.
        """
        version = self.reader.version()
        if self._seen[0] != version:
            self._seen = (version, tuple(Seen(each, self._latency(each)) for each in self.reader.services()))
        return self._seen[1]

    def _latency(self, watched: Watched) -> tuple[float, ...]:
        name = watched.service.name
        checked, points = self._latencies.get(name, (None, ()))
        if checked is None:
            points = tuple(self.reader.recent(name, "latency_seconds", POINTS))
        elif checked != watched.checked_at and watched.health.latency is not None:
            points = (*points, watched.health.latency)[-POINTS:]
        self._latencies[name] = (watched.checked_at, points)
        return points

    def orphans(self) -> tuple[Proposal, ...]:
        """Proposals that wait and belong to no incident."""
        return tuple(each for each in self.reader.proposals(state=ProposalState.PENDING) if each.incident is None)

    def standing(self, seen: Sequence[Seen], incidents: Sequence[Incident]) -> Standing:
        """How things stand, for the status bar."""
        levels: dict[Level, int] = {}
        now = self.clock()
        for each in seen:
            levels[each.watched.health.level] = levels.get(each.watched.health.level, 0) + 1
        return Standing(
            mode=self.engine.mode if self.engine else "starting",
            frozen_by=self.reader.frozen() or "",
            levels=levels,
            waiting=len(self.reader.proposals(state=ProposalState.PENDING)) + len(self.asking()),
            agent=self._agent(incidents),
            fresh=bool(seen) and not any(each.stale(now) for each in seen),
        )

    def _agent(self, incidents: Sequence[Incident]) -> str:
        if self.engine is None:
            return "starting"
        busy = [f"{BUSY[each.status]} {each.service}" for each in incidents if each.status in BUSY]
        return (busy[0] + (f" and {len(busy) - 1} more" if len(busy) > 1 else "")) if busy else "watching"

    def timeline(self, key: object) -> tuple[Event, ...]:
        """The newest events of an incident, oldest first; none for anything else."""
        found = self.reader.events(incident=key, before=sys.maxsize, limit=TOLD) if isinstance(key, int) else ()
        return tuple(found)

    def older(self, timeline: Sequence[Event]) -> int:
        """How many events of its incident a timeline leaves out."""
        return self.reader.earlier(timeline[0]) if len(timeline) == TOLD else 0

    def case(self, key: object) -> Case:
        """All that stands around an incident (its id) or a proposal (`("proposal", id)`)."""
        if isinstance(key, tuple):
            return self._around(self.reader.proposal(key[1]), None, ())
        if not isinstance(key, int):
            return Case()
        proposals = self.reader.proposals(incident=key, limit=1)
        return self._around(proposals[0] if proposals else None, self.reader.incident(key), self.timeline(key))

    def _around(self, proposal: Proposal | None, incident: Incident | None, events: Sequence[Event]) -> Case:
        name = proposal.call.service if proposal else incident.service if incident else ""
        services = {each.watched.service.name: each.watched.service for each in self.seen()}
        diagnosis = diagnosis_of(events)
        runs = self.reader.runs(incident.id) if incident else []
        evidence = [run for run in runs if run.id in diagnosis.evidence] if diagnosis else runs
        return Case(
            incident=incident,
            proposal=proposal,
            decision=self.reader.decision(proposal.id) if proposal else None,
            diagnosis=diagnosis,
            runs=tuple(evidence),
            applied=tuple(self.reader.applied(proposal.id)) if proposal else (),
            dependants=dependants(name, services),
            service=services.get(name),
            course=self._asked(incident, events),
        )

    def _asked(self, incident: Incident | None, events: Sequence[Event]) -> Course | None:
        if incident is None or self.models is None:
            return None
        from cockpit.screens.courses import of_cause

        return of_cause(self.reader, incident.id, events)

    def story(self, key: object) -> Story:
        """An incident with everything that belongs to it."""
        if not isinstance(key, int):
            return Story(self.case(key))
        events = self.timeline(key)
        proposals = tuple(self.reader.proposals(incident=key))
        return Story(self.case(key), events, self.older(events), proposals, self._questions(key, events))

    def _questions(self, incident: int, events: Sequence[Event]) -> tuple[Course, ...]:
        if self.models is None:
            return ()
        from cockpit.screens.courses import questions

        return questions(self.reader, incident, events)

    def facts(self, seen: Sequence[Seen], name: str) -> Facts | None:
        """What is known of a service; None when it is not configured."""
        from widgets.facts import Facts

        services = {each.watched.service.name: each.watched.service for each in seen}
        for each in seen:
            if each.watched.service.name == name:
                return Facts(each, dependants(name, services), self._options(name))
        return None

    def _options(self, name: str) -> dict[str, JSON] | None:
        """The options that its kind declares and that hold no secret; what is undeclared is not shown."""
        service = self.engine.services.get(name) if self.engine else None
        kind = self.engine.registry.kinds.get(service.kind) if self.engine and service else None
        if service is None or kind is None:
            return None
        return {
            each.name: service.options[each.name]
            for each in kind.options
            if not each.secret and each.name in service.options
        }

    def samples(self, seen: Seen) -> tuple[Sample, ...]:
        """What the probe of a service measures, with the course of each sample."""
        from widgets.samples import Sample

        name = seen.watched.service.name
        kind = self.engine.registry.kinds.get(seen.watched.service.kind) if self.engine else None
        now = {"latency_seconds": seen.watched.health.latency, **seen.watched.health.samples}
        texts = {"latency_seconds": "how long the probe took, seconds", **(kind.samples if kind else {})}
        return tuple(
            Sample(sample, now.get(sample), tuple(self.reader.recent(name, sample, POINTS)), texts.get(sample, ""))
            for sample in self.reader.sample_names(name)
        )


def dependants(name: str, services: Mapping[str, Service]) -> tuple[str, ...]:
    """The services that depend on this one, directly or through others."""
    found: list[str] = []
    asked = [name]
    while asked:
        parent = asked.pop()
        for service in services.values():
            if parent in service.depends_on and service.name not in found:
                found.append(service.name)
                asked.append(service.name)
    return tuple(found)


def diagnosis_of(events: Sequence[Event]) -> Diagnosis | None:
    """The surest diagnosis of the last investigation in a timeline."""
    told = [event for event in events if event.kind == "diagnosis" and event.data.get("runbook")]
    if not told:
        return None
    latest = [event for event in told if told[-1].at - event.at < 1.0]
    event = max(latest, key=lambda each: _number(each.data.get("confidence")))
    rivals, evidence = event.data.get("rivals"), event.data.get("evidence")
    return Diagnosis(
        incident=event.incident or 0,
        runbook=str(event.data.get("runbook")),
        cause=event.text,
        confidence=_number(event.data.get("confidence")),
        evidence=tuple(each for each in evidence if isinstance(each, int)) if isinstance(evidence, list) else (),
        rivals=tuple(_rival(each) for each in rivals if isinstance(each, dict)) if isinstance(rivals, list) else (),
        advice=str(event.data.get("advice") or ""),
    )


def _rival(data: Mapping[str, object]) -> Rival:
    return Rival(str(data.get("cause", "")), bool(data.get("ruled_out")), str(data.get("reading", "")))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
