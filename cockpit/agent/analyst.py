"""The analyst: runs the diagnostics that the runbooks ask for, and says which cause they show."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cockpit.agent.conditions import readings
from cockpit.agent.expressions import ExpressionError, argument, fill, holds
from cockpit.agent.runbooks import CONFIDENT, Library, Look, Runbook
from cockpit.model import (
    JSON,
    Call,
    CockpitError,
    Diagnosis,
    Incident,
    Rival,
    Role,
    Run,
    RunStatus,
    Service,
    canonical,
)
from cockpit.store.store import Store
from cockpit.toolkit import Registry, inspect

NOT_RULED_OUT = 0.5
"""What is left of a runbook's confidence when a rival of its cause still stands."""


@dataclass
class Analyst:
    """Explains incidents by runbooks alone: no model, no cost."""

    registry: Registry
    store: Store
    services: Mapping[str, Service]
    library: Library
    clock: Callable[[], float] = time.time

    async def investigate(self, incident: Incident) -> list[Diagnosis]:
        """Look, judge every runbook that answers the incident's alerts, and write down what was found.

        Returns the diagnoses whose expressions held, the most confident first; those below
        the threshold are guesses. All that was looked at is stored as evidence.
        """
        service = self.services[incident.service]
        firing = [raised.alert for raised in self.store.reader.alerts(incident=incident.id, firing_only=True)]
        alerts = [alert.name for alert in firing if alert.service == service.name]
        books = self.library.runbooks_for(service.kind, alerts)
        variables = self._variables(service, alerts)
        runs = await self._look_all(incident, service, books, variables)
        found = [d for book in books if (d := self._judge(incident, service, book, variables, runs))]
        found.sort(key=lambda diagnosis: -diagnosis.confidence)
        self._write_down(incident, books, found)
        return found

    def _variables(self, service: Service, alerts: Sequence[str]) -> dict[str, JSON]:
        health = next(w.health for w in self.store.reader.services() if w.service.name == service.name)
        return {**readings(service, health), "alert": alerts[0] if alerts else ""}

    async def _look_all(
        self, incident: Incident, service: Service, books: Sequence[Runbook], variables: Mapping[str, JSON]
    ) -> dict[str, Run]:
        """Run every look of every runbook at once, each distinct one only once."""
        calls: dict[str, Call] = {}
        for look in (look for book in books for look in book.looks):
            try:
                call = call_of(service, look, variables)
            except ExpressionError:
                continue  # judging the runbook says which reading it misses
            calls[key(call)] = call
        runs = await asyncio.gather(*(self.look(incident.id, service, call) for call in calls.values()))
        return dict(zip(calls, runs, strict=True))

    async def look(self, incident: int | None, service: Service, call: Call) -> Run:
        """Run one diagnostic and keep its result as evidence; a failure is kept as one."""
        started, clock = self.clock(), time.monotonic()
        finding, failure, error_type = None, "", ""
        try:
            finding = await inspect(self.registry, service, call)
        except CockpitError as error:
            failure, error_type = str(error), type(error).__name__
        seconds = time.monotonic() - clock
        return self.store.record_run(incident, call, finding, failure, started, seconds, error_type=error_type)

    def _judge(
        self,
        incident: Incident,
        service: Service,
        book: Runbook,
        variables: Mapping[str, JSON],
        runs: Mapping[str, Run],
    ) -> Diagnosis | None:
        """The runbook's diagnosis, or None when its cause does not hold or could not be told."""
        try:
            return judge(incident, service, book, variables, runs)
        except (ExpressionError, KeyError) as error:
            text = f"Runbook '{book.id}' could not be judged: {error}"
            self.store.note(Role.ANALYST, "note", text, incident=incident.id, service=service.name)
            return None

    def _write_down(self, incident: Incident, books: Sequence[Runbook], found: Sequence[Diagnosis]) -> None:
        if not found:
            tried = ", ".join(book.id for book in books) or "none answers its alerts"
            text = f"No runbook explains it (asked: {tried})."
            self.store.note(Role.ANALYST, "diagnosis", text, incident=incident.id, service=incident.service)
        for diagnosis in found:
            self.tell(incident, diagnosis)

    def tell(self, incident: Incident, diagnosis: Diagnosis) -> None:
        """Write a diagnosis into the timeline, as a guess where it is one."""
        sure = diagnosis.confidence >= CONFIDENT
        text = diagnosis.cause if sure else f"A guess, with a rival not ruled out: {diagnosis.cause}"
        self.store.note(
            Role.ANALYST,
            "diagnosis",
            text,
            incident=incident.id,
            service=incident.service,
            data={
                "runbook": diagnosis.runbook,
                "confidence": diagnosis.confidence,
                "evidence": list(diagnosis.evidence),
                "advice": diagnosis.advice,
                "rivals": [{"cause": r.name, "ruled_out": r.ruled_out, "reading": r.reading} for r in diagnosis.rivals],
            },
        )


def judge(
    incident: Incident, service: Service, book: Runbook, variables: Mapping[str, JSON], runs: Mapping[str, Run]
) -> Diagnosis | None:
    """What a runbook says of these runs, by the key of their calls; None when its cause does not hold.

    Raises ExpressionError or KeyError for what is missing.
    """
    used = {look.name: runs[key(call_of(service, look, variables))] for look in book.looks}
    known = {**variables, **{name: run.data for name, run in used.items() if run.status is not RunStatus.ERROR}}
    if not holds(book.holds, known):
        return None
    rivals = tuple(Rival(r.cause, holds(r.ruled_out, known), fill(r.reading, known)) for r in book.rivals)
    confidence = book.confidence * (1.0 if all(r.ruled_out for r in rivals) else NOT_RULED_OUT)
    return Diagnosis(
        incident=incident.id,
        runbook=book.id,
        cause=fill(book.cause, known),
        confidence=confidence,
        evidence=tuple(run.id for run in used.values()),
        rivals=rivals,
        calls=_calls(service, book, known) if confidence >= CONFIDENT else (),
        advice=fill(book.advice, known),
    )


def call_of(service: Service, look: Look, variables: Mapping[str, JSON]) -> Call:
    """The call of a runbook's look."""
    return Call(look.tool, service.name, {name: argument(value, variables) for name, value in look.arguments.items()})


def _calls(service: Service, book: Runbook, known: Mapping[str, JSON]) -> tuple[Call, ...]:
    return tuple(
        Call(remedy.tool, service.name, {name: argument(value, known) for name, value in remedy.arguments.items()})
        for remedy in book.remedies
    )


def key(call: Call) -> str:
    """What tells a call from others on the same service."""
    return canonical({"tool": call.tool, "arguments": dict(call.arguments)})
