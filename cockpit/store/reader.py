"""The door for whoever only looks: the log read-only, with nothing but the standard library."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cockpit.model import (
    JSON,
    Applied,
    CockpitError,
    Decision,
    Event,
    Incident,
    Mute,
    Proposal,
    ProposalState,
    Run,
    Watched,
)
from cockpit.store import rows, samples
from cockpit.store.connection import explained, reading
from cockpit.store.rows import Raised

if TYPE_CHECKING:  # what no command lists is loaded by the methods that read it
    from cockpit.store.asked import Asked
    from cockpit.store.chain import Head
    from cockpit.store.figures import Queue, Standing, Step
    from cockpit.store.heartbeats import Beat

Value = TypeVar("Value")

UNRESOLVED = """
select * from incident where status <> 'resolved'
order by status in ('waiting', 'escalated') desc,
  case severity when 'critical' then 2 when 'warning' then 1 else 0 end desc, opened_at desc, id desc
limit ?
"""
RESOLVED = "select * from incident where status = 'resolved' order by id desc limit ?"

EVENTS = "select * from event where id > ? order by id limit ?"
EVENTS_OF = "select * from event where incident = ? and id > ? order by id limit ?"
EVENTS_BEFORE = "select * from event where id > ? and id < ? order by id desc limit ?"
EVENTS_OF_BEFORE = "select * from event where incident = ? and id > ? and id < ? order by id desc limit ?"
EARLIER = "select count(*) from event where incident = ? and id < ?"

PROPOSALS = "select * from proposal order by id desc limit ?"
PROPOSALS_IN = "select * from proposal where state = ? order by id desc limit ?"
PROPOSALS_OF = "select * from proposal where incident = ? order by id desc limit ?"
PROPOSALS_OF_IN = "select * from proposal where incident = ? and state = ? order by id desc limit ?"

CHANGES = "select * from change where id < ? order by id desc limit ?"
CHANGES_OF = "select * from change where proposal = ? order by position"
UNSETTLED = "select * from change where state in ('claimed', 'applying', 'verifying') order by id"
FAILURES = """
select count(distinct proposal.id) from change join proposal on proposal.id = change.proposal
where change.service = ? and change.finished_at >= ?
and (change.state in ('failed', 'unknown') or (change.state = 'undone' and proposal.state = 'failed'))
"""
CHANGES_SINCE = "select count(*) from change where claimed_at >= ? and state <> 'skipped'"

ALERTS = "select * from alert where ? or resolved_at is null order by id"
ALERTS_OF = "select * from alert where incident = ? and (? or resolved_at is null) order by id"
FIRING_IN = "select fingerprint from alert where incident = ? and resolved_at is null"
FIRES = "select 1 from alert where incident = ? and resolved_at is null limit 1"
ASKS = "select 1 from inquiry where finished_at is null and state = 'asking' limit 1"
FREEZE = "select data from event where kind = 'freeze' order by id desc limit 1"
NAMES = """
select series.name from series join service on service.id = series.service where service.name = ? order by series.name
"""


class Reader:
    """Reads the log through one read-only connection, from any thread.

    Args:
        path: the log's file. Raises CockpitError when it is missing, damaged or of another schema.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = reading(path)

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def version(self) -> int:
        """A number that changes whenever anybody committed something; compare it for equality only."""
        return int(self._fetch("pragma data_version")[0][0])

    def services(self) -> list[Watched]:
        """The configured services in the order of the config, each with the last that is known of it."""
        return self._values(rows.service_from, "select * from service where configured order by position")

    def incidents(self, *, unresolved_only: bool = False, limit: int = 200) -> list[Incident]:
        """Incidents: those that wait for a person first, then the worst, the newest; resolved ones last."""
        found = self._values(rows.incident_from, UNRESOLVED, limit)
        if not unresolved_only and len(found) < limit:
            found += self._values(rows.incident_from, RESOLVED, limit - len(found))
        return found

    def incident(self, id: int) -> Incident:
        """One incident. Raises CockpitError when there is none of that number."""
        found = self._values(rows.incident_from, "select * from incident where id = ?", id)
        return self._only(found, f"incident {id}", "List them with: cockpit incidents")

    def alerts(self, *, incident: int | None = None, firing_only: bool = False) -> list[Raised]:
        """Alerts, oldest first; of one incident, or only those that fire now."""
        if incident is None:
            return self._values(rows.alert_from, ALERTS, not firing_only)
        return self._values(rows.alert_from, ALERTS_OF, incident, not firing_only)

    def firing(self, incident: int) -> frozenset[str]:
        """The fingerprints of an incident's alerts that fire now, without reading the alerts."""
        return frozenset(row["fingerprint"] for row in self._fetch(FIRING_IN, incident))

    def fires(self, incident: int) -> bool:
        """Whether any alert of an incident fires now."""
        return bool(self._fetch(FIRES, incident))

    def events(
        self, *, after: int = 0, before: int | None = None, incident: int | None = None, limit: int = 500
    ) -> list[Event]:
        """Events in ascending order: the first ones after an id, or with `before` the last ones before that id."""
        if before is None:
            if incident is None:
                return self._values(rows.event_from, EVENTS, after, limit)
            return self._values(rows.event_from, EVENTS_OF, incident, after, limit)
        if incident is None:
            found = self._values(rows.event_from, EVENTS_BEFORE, after, before, limit)
        else:
            found = self._values(rows.event_from, EVENTS_OF_BEFORE, incident, after, before, limit)
        return found[::-1]

    def earlier(self, event: Event) -> int:
        """How many events of its incident came before an event."""
        return int(self._fetch(EARLIER, event.incident, event.id)[0][0])

    def last_event(self) -> int:
        """The id of the newest event; 0 when there is none."""
        return int(self._fetch("select coalesce(max(id), 0) from event")[0][0])

    def head(self) -> Head | None:
        """The last event with its link, which shows elsewhere that the log was cut off or rebuilt; None when empty."""
        from cockpit.store.chain import Head  # hashes, which no command that lists needs

        found = self._fetch("select id, mac from event order by id desc limit 1")
        return Head(found[0]["id"], found[0]["mac"]) if found else None

    def pruned(self) -> int:
        """The id of the last event that was removed by age; 0 when none was."""
        return int(self._fetch("select coalesce(max(event), 0) from checkpoint")[0][0])

    def runs(self, incident: int) -> list[Run]:
        """The diagnostics that were run for an incident, oldest first."""
        return self._values(rows.run_from, "select * from run where incident = ? order by id", incident)

    def run(self, id: int) -> Run:
        """One run. Raises CockpitError when there is none of that number."""
        found = self._values(rows.run_from, "select * from run where id = ?", id)
        return self._only(found, f"run {id}", "The runs of an incident are listed with: cockpit show ID")

    def proposal(self, id: int) -> Proposal:
        """One proposal. Raises CockpitError when there is none of that number."""
        found = self._values(rows.proposal_from, "select * from proposal where id = ?", id)
        return self._only(found, f"proposal {id}", "List them with: cockpit changes")

    def proposals(
        self, *, state: ProposalState | None = None, incident: int | None = None, limit: int = 200
    ) -> list[Proposal]:
        """Proposals, newest first; in one state, of one incident."""
        if state is None:
            if incident is None:
                return self._values(rows.proposal_from, PROPOSALS, limit)
            return self._values(rows.proposal_from, PROPOSALS_OF, incident, limit)
        if incident is None:
            return self._values(rows.proposal_from, PROPOSALS_IN, state, limit)
        return self._values(rows.proposal_from, PROPOSALS_OF_IN, incident, state, limit)

    def decision(self, proposal: int) -> Decision | None:
        """What was decided about a proposal; None while it is open."""
        found = self._values(rows.decision_from, "select * from decision where proposal = ?", proposal)
        return found[0] if found else None

    def changes(self, *, before: int | None = None, limit: int = 200) -> list[Applied]:
        """The changes that were carried out, newest first, those before an id."""
        return self._values(rows.applied_from, CHANGES, 2**62 if before is None else before, limit)

    def applied(self, proposal: int) -> list[Applied]:
        """The changes of one proposal in their order; none before it was claimed."""
        return self._values(rows.applied_from, CHANGES_OF, proposal)

    def unsettled(self) -> list[Applied]:
        """Changes that were claimed and have no outcome yet: after a crash, those to look into."""
        return self._values(rows.applied_from, UNSETTLED)

    def failures(self, service: str, since: float) -> int:
        """How many proposals had a change of the service that failed or ended unknown since then."""
        return int(self._fetch(FAILURES, service, since)[0][0])

    def changes_since(self, since: float) -> int:
        """How many changes were begun since then, on any service."""
        return int(self._fetch(CHANGES_SINCE, since)[0][0])

    def samples(self, service: str, name: str, since: float, until: float) -> list[tuple[float, float]]:
        """Time and value of a sample, each part of the span at the finest resolution that is kept."""
        return samples.between(self._fetch, service, name, since, until)

    def sample_names(self, service: str) -> list[str]:
        """The names of all samples that were ever kept of a service."""
        return [row["name"] for row in self._fetch(NAMES, service)]

    def recent(self, service: str, name: str, points: int = 40) -> list[float]:
        """The last raw values of a sample, oldest first."""
        return samples.recent(self._fetch, service, name, points)

    def frozen(self) -> str | None:
        """Who froze all changes; None when they are not frozen."""
        found = self._fetch(FREEZE)
        by: str | None = json.loads(found[0]["data"])["by"] if found else None
        return by

    def standing(self) -> Standing:
        """How many incidents and proposals stand where, at one moment."""
        from cockpit.store import figures

        return figures.standing(self._fetch)

    def queues(self, now: float) -> list[Queue]:
        """What waits to be told, by channel and state."""
        from cockpit.store import figures

        return self._values(figures.queue_from, figures.QUEUES, now, now)

    def steps(self, after: int, until: int, limit: int = 1000) -> list[Step]:
        """The first events after one id and up to another that running totals are made of, oldest first."""
        from cockpit.store import figures

        return self._values(figures.step_from, figures.STEPS, after, until, limit)

    def mutes(self, now: float) -> list[Mute]:
        """The mutes that are in force, oldest first."""
        from cockpit.store.mutes import RUNNING, mute_from

        return self._values(mute_from, RUNNING, now)

    def beats(self) -> list[Beat]:
        """The last sign of life of everyone that is waited for."""
        from cockpit.store.heartbeats import KNOWN, beat_from

        return self._values(beat_from, KNOWN)

    def asks(self) -> bool:
        """Whether models may be asked something once a person says so; told without loading all that `asked` needs."""
        return bool(self._fetch(ASKS))

    @cached_property
    def asked(self) -> Asked:
        """What models were asked."""
        from cockpit.store.asked import Asked

        return Asked(self._fetch)

    def rows(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        """The rows of a query, for the doors of the store to its own tables."""
        return self._fetch(sql, *parameters)

    def state(self, key: str) -> JSON:
        """What was remembered under a key; None when nothing was."""
        found = self._fetch("select value from state where key = ?", key)
        value: JSON = json.loads(found[0]["value"]) if found else None
        return value

    def _fetch(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        # `Any` is what sqlite3 itself takes as a parameter.
        with self._lock, explained(self.path):
            return self._connection.execute(sql, parameters).fetchall()

    def _values(self, value: Callable[[sqlite3.Row], Value], sql: str, *parameters: Any) -> list[Value]:
        try:
            return [value(row) for row in self._fetch(sql, *parameters)]
        except (ValueError, KeyError, TypeError) as error:
            raise CockpitError(
                f"{self.path} holds a row that cannot be read ({error}).", "Run: cockpit audit verify"
            ) from error

    def _only(self, found: list[Value], what: str, fix: str) -> Value:
        if not found:
            raise CockpitError(f"There is no {what}.", fix)
        return found[0]
