"""The dossier: all that is known of an incident, as the first prompt of its investigation tells it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cockpit.agent.notes import Note, notes_for
from cockpit.agent.offers import signature
from cockpit.agent.prompts import prompt
from cockpit.agent.quoting import quoted, quoted_data
from cockpit.agent.topology import dependants, depended_on, near
from cockpit.model import (
    Incident,
    ProposalState,
    Role,
    Run,
    RunStatus,
    Service,
    Watched,
)
from cockpit.store.asked import ToolRecord
from cockpit.store.reader import Reader
from cockpit.store.rows import Raised
from cockpit.text import clean, shorten
from cockpit.toolkit import Registry, Tool

DAY, HOUR = 86_400.0, 3600.0
ALERTS, EVENTS, RUNS, CHANGES, SIMILAR, NOTES = 8, 12, 10, 6, 3, 3
"""Entries of each part at the most."""
RUN, NOTE = 700, 1500
"""Characters of one run's data, and of one note."""
ROOMS = {
    "alerts": 2000,
    "samples": 2200,
    "timeline": 1500,
    "runs": 5000,
    "changes": 900,
    "similar": 1200,
    "notes": 3000,
}
"""Characters of each part that can grow; all of them shrink alike where the whole is too long."""
REMEDIES = 2600
"""Characters of the list of remediations."""
SMALLER = (1.0, 0.75, 0.5, 0.33, 0.2)
NOISE = ("run", "model", "choice", "inquiry")
"""Kinds of event that other parts of the dossier tell better."""


@dataclass(frozen=True)
class Dossier:
    """Writes up incidents from the log, the config and the operator's notes."""

    reader: Reader
    registry: Registry
    services: Mapping[str, Service]
    notes_folder: Path
    clock: Callable[[], float] = time.time

    def incident(self, incident: Incident, runs: Sequence[Run], room: int) -> str:
        """The first prompt about an incident, with the runs that were made for it already, in so many characters."""
        parts = self._parts(incident, runs)
        for share in SMALLER:
            fitted = {name: _fitted(parts[name], round(size * share)) for name, size in ROOMS.items()}
            text = prompt("incident", **{**parts, **fitted})
            if len(text) <= room:
                break
        return text

    def _parts(self, incident: Incident, runs: Sequence[Run]) -> dict[str, str]:
        """What there is to tell, by the name it has in the prompt."""
        alerts = self.reader.alerts(incident=incident.id, firing_only=True)
        service = self.services[incident.service]
        seen = {watched.service.name: watched for watched in self.reader.services()}
        names = near(self.services, service.name)
        return {
            "id": str(incident.id),
            "service": service.name,
            "severity": incident.severity,
            "age": age(self.clock() - incident.opened_at),
            "title": quoted(incident.title),
            "alerts": bullets(self._alert(raised) for raised in _worst(alerts)),
            "health": _health(seen.get(service.name)),
            "samples": bullets(self._samples(service, seen.get(service.name))),
            "topology": bullets(self._topology(service, seen)),
            "owner": told(service.note),
            "timeline": bullets(self._timeline(incident)),
            "runs": bullets(told_run(run, self.clock()) for run in reversed(runs[-RUNS:])),
            "changes": bullets(self.changes(names)),
            "similar": bullets(self._similar(incident, alerts)),
            "record": bullets(_record(record) for record in self.record(incident, alerts)[:5]),
            "notes": _notes(self.notes(incident, alerts)[0]),
            "remedies": _fitted(bullets(self._remedies(names)), REMEDIES),
        }

    def record(self, incident: Incident, alerts: Iterable[Raised]) -> list[ToolRecord]:
        """What diagnostics were worth in past incidents like this one, the best first."""
        kind = incident.service.partition("/")[0]
        names = {raised.alert.name for raised in alerts}
        return [each for each in self.reader.asked.tools_for(kind, names, incident.id) if each.told]

    def notes(self, incident: Incident, alerts: Iterable[Raised]) -> tuple[list[Note], list[str]]:
        """The operator's notes for an incident, and what is wrong with others."""
        names = near(self.services, incident.service)
        facts = {
            "services": names,
            "kinds": {name.partition("/")[0] for name in names},
            "alerts": {raised.alert.name for raised in alerts},
            "tags": self.services[incident.service].tags,
        }
        return notes_for(self.notes_folder, facts)

    def changes(self, names: Iterable[str]) -> Iterable[str]:
        """The changes of the last day, those of some services first, with who let them happen."""
        since = self.clock() - DAY
        late = [applied for applied in self.reader.changes(limit=50) if applied.claimed_at > since]
        wanted = set(names)
        for applied in sorted(late, key=lambda each: each.change.service not in wanted)[:CHANGES]:
            decision = self.reader.decision(applied.proposal)
            summary = self.reader.proposal(applied.proposal).plan.summary
            by = f"approved by {quoted(decision.by, 60)}" if decision else "by nobody"
            when = age(self.clock() - applied.claimed_at)
            yield f"{when} ago on {applied.change.service}, {by}: {quoted(summary)}: {applied.state}"

    def _alert(self, raised: Raised) -> str:
        alert = raised.alert
        labels = f" labels {quoted_data(dict(alert.labels), 400)}" if alert.labels else ""
        where = "" if alert.source == "condition" else f", from {quoted(alert.source, 60)}"
        when = f"{alert.severity}, for {age(self.clock() - alert.starts_at)}{where}"
        return f"{quoted(alert.name, 80)} on {quoted(alert.service, 80)}, {when}: {quoted(alert.summary)}{labels}"

    def _samples(self, service: Service, watched: Watched | None) -> Iterable[str]:
        """Each reading of the last probe, with how it moved in the last hour, and what it means."""
        help = self.registry.kind(service.kind).samples
        now = self.clock()
        for name, value in (watched.health.samples if watched else {}).items():
            past = [reading for _, reading in self.reader.samples(service.name, name, now - HOUR, now)]
            moved = past and max(past) - min(past) > 0.02 * max(abs(value), abs(max(past)), 1e-9)
            span = f" (in the last hour from {past[0]:.4g}, {min(past):.4g} to {max(past):.4g})" if moved else ""
            yield f"{clean(name)} {value:.5g}{span}: {shorten(help.get(name, ''), 90)}"

    def _topology(self, service: Service, seen: Mapping[str, Watched]) -> Iterable[str]:
        for words, names in (
            ("It depends on", depended_on(self.services, service.name)),
            ("It is needed by", dependants(self.services, service.name)),
        ):
            for name in names:
                yield f"{words} {name}: {_health(seen.get(name))}"

    def _timeline(self, incident: Incident) -> Iterable[str]:
        events = self.reader.events(incident=incident.id, before=sys.maxsize, limit=4 * EVENTS)
        told = [event for event in events if event.kind not in NOISE][-EVENTS:]
        for event in reversed(told):
            actor = event.actor if event.actor in set(Role) else quoted(event.actor, 40)
            yield f"{age(self.clock() - event.at)} ago, {actor}: {quoted(event.text, 200)}"

    def _similar(self, incident: Incident, alerts: Iterable[Raised]) -> Iterable[str]:
        words = incident.title.split()[:20] + [raised.alert.name for raised in alerts][:5]
        for past in self.reader.asked.similar(words, incident.id, SIMILAR):
            done = self.reader.proposals(state=ProposalState.DONE, incident=past.id)
            helped = ", ".join(f"{proposal.call.tool}" for proposal in done)
            cause = f" Cause: {quoted(past.cause)}." if past.cause else ""
            yield f"{past.service}, {age(self.clock() - past.opened_at)} ago: {quoted(past.title, 150)}.{cause}" + (
                f" Ended after {helped}{self._said(past)}." if done else ""
            )

    def _said(self, past: Incident) -> str:
        """What a person said of how an incident ended."""
        said = [
            event
            for event in self.reader.events(incident=past.id, before=sys.maxsize, limit=200)
            if event.kind == "feedback"
        ]
        if not said:
            return ""
        return ", and a person said it worked" if said[-1].data.get("worked") else ", and a person said it did not help"

    def _remedies(self, names: Sequence[str]) -> Iterable[str]:
        for kind in dict.fromkeys(name.partition("/")[0] for name in names):
            targets = [name for name in names if name.startswith(f"{kind}/")]
            for tool in self.registry.kind(kind).tools.values():
                if tool.writes:
                    yield remedy(tool, targets)


def remedy(tool: Tool, targets: Sequence[str]) -> str:
    """A remediation in one line: its arguments, what it may be called on, and what it does."""
    return f"{signature(tool)} on {' or '.join(targets)}: {shorten(tool.summary, 120)}"


def told_run(run: Run, now: float) -> str:
    """A run of a diagnostic, as a model reads it."""
    arguments = f" {quoted_data(dict(run.call.arguments), 200)}" if run.call.arguments else ""
    what = f"run {run.id}, {age(now - run.started_at)} ago: {run.call.tool} on {run.call.service}{arguments}"
    if run.status is RunStatus.ERROR:
        return f"{what} failed: {quoted(run.summary)}"
    return f"{what}: {quoted(run.summary)} {quoted_data(dict(run.data), RUN)}"


def age(seconds: float) -> str:
    """A span of time in one figure."""
    for unit, size in (("d", DAY), ("h", HOUR), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def bullets(lines: Iterable[str]) -> str:
    """Each on a line of its own."""
    return "\n".join(f"- {line}" for line in lines)


def _fitted(text: str, room: int) -> str:
    """As many whole lines as fit, at least one: one that is cut would leave its marks open."""
    lines = text.split("\n")
    while len(lines) > 1 and sum(map(len, lines)) + len(lines) > room:
        lines.pop()
    return "\n".join(lines)


def _health(watched: Watched | None) -> str:
    return f"{watched.health.level}: {quoted(watched.health.summary)}" if watched else "never probed"


def _worst(alerts: Sequence[Raised]) -> list[Raised]:
    return sorted(alerts, key=lambda raised: -raised.alert.severity.rank)[:ALERTS]


def _record(record: ToolRecord) -> str:
    return f"{record.tool}: {record.told} of {record.incidents} times it was run"


def _notes(notes: Sequence[Note]) -> str:
    return "\n\n".join(told(note.text, NOTE) for note in notes[:NOTES])


def told(text: str, limit: int = NOTE) -> str:
    """What the operator wrote: to be believed, but it cannot pass for the end of data either."""
    return shorten(clean(text, lines=True).replace("⟦", "[").replace("⟧", "]"), limit)
