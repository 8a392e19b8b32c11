"""The door for whoever writes: every method is one transaction, on the disk when it returns."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Self

from sqlite_utils import Database

from cockpit.model import (
    JSON,
    Alert,
    Applied,
    Approval,
    Call,
    ChangeState,
    CockpitError,
    Decision,
    Event,
    Finding,
    Health,
    Incident,
    IncidentStatus,
    Mute,
    Plan,
    Proposal,
    ProposalState,
    Role,
    Run,
    Service,
    Verdict,
)
from cockpit.store import incidents, intake, journal, mutes, proposals, pruning, services, thinning
from cockpit.store.anchors import Anchors
from cockpit.store.audit import Problem, check
from cockpit.store.chain import Head, load_key
from cockpit.store.connection import StoreError, explained, quick_check, refuse_foreign, writing
from cockpit.store.heartbeats import Heartbeats
from cockpit.store.inquiries import Inquiries
from cockpit.store.migrations import migrate
from cockpit.store.notices import Notices
from cockpit.store.reader import Reader
from cockpit.store.rows import event_from
from cockpit.store.telegram import TelegramLog
from cockpit.store.transaction import Scrub, Transaction

KEY, HEAD = "audit.key", "audit.head"
"""Names of the chain's key and of the first anchor, beside the log."""


MAC_OF = "select hex(mac) as mac from event where id = ? union all select mac from checkpoint where event = ?"


class Store:
    """Writes the log. Made by `Store.open`; every method may be called from any thread.

    A call that raises has written nothing, and may be made again.
    """

    def __init__(
        self, database: Database, path: Path, key: bytes, *, scrub: Scrub, anchors: Anchors, clock: Callable[[], float]
    ) -> None:
        self.path = path
        self.anchors = anchors
        self._database = database
        self._key = key
        self._scrub = scrub
        self._clock = clock
        self._lock = threading.RLock()
        self._head: Head | None = None
        self._broken: StoreError | None = None
        self._open: Transaction | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        scrub: Scrub = lambda value: value,
        anchors: Sequence[Path] = (),
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Open the log, made or brought to the newest schema where needed.

        Args:
            path: the file; its folder is made with mode 0700, the file with 0600.
            scrub: takes secrets and control sequences out of all that is stored.
            anchors: files outside the folder that hold the head of the chain as well.
            clock: tells the time of what is stored without a time of its own.

        Raises CockpitError when the file is locked, damaged, not writable, of a newer schema or without its key.
        """
        with explained(path):
            connection = writing(path)
            try:
                database = Database(connection, execute_plugins=False)
                migrate(database, path)
                quick_check(connection, path)
                refuse_foreign(path.with_name(HEAD))
                empty = connection.execute("select 1 from event limit 1").fetchone() is None
                key = load_key(path.with_name(KEY), create=empty)
            except BaseException:
                connection.close()
                raise
        kept = Anchors([path.with_name(HEAD), *anchors])
        return cls(database, path, key, scrub=scrub, anchors=kept, clock=clock)

    @cached_property
    def reader(self) -> Reader:
        """A Reader of the same file; closed with the store."""
        return Reader(self.path)

    @cached_property
    def telegram(self) -> TelegramLog:
        """What Telegram was told and what came in from there."""
        return TelegramLog(self._transaction, self.reader.rows)

    @cached_property
    def heartbeats(self) -> Heartbeats:
        """The signs of life that others send."""
        return Heartbeats(self._transaction)

    @cached_property
    def inquiries(self) -> Inquiries:
        """What models are asked."""
        return Inquiries(self._transaction)

    @cached_property
    def notices(self) -> Notices:
        """What is told to whom, and what came of it."""
        return Notices(self._transaction, self.reader.rows)

    def close(self) -> None:
        """Write the anchors and close the file; safe to call twice."""
        with self._lock:
            if self._head is not None and self._broken is None:
                self.anchors.keep(self._head, self._mac_of, now=True)
            self._head = None
            if "reader" in self.__dict__:
                self.reader.close()
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> list[Problem]:
        """Everything that is wrong with the file, its chain and its anchors; empty when all is well."""
        return check(self.path, self._key, self.anchors.files)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all that this thread writes meanwhile one transaction: all of it is kept, or nothing.

        One inside another is a part of it, which can be taken back by itself.
        """
        with self._transaction():
            yield

    def watch(self, services_: Sequence[Service]) -> None:
        """Make these the configured services, without their options; the history of others is kept."""
        with self._transaction() as log:
            services.watch(log, services_)

    def record_health(self, service: str, health: Health, at: float) -> Health | None:
        """Keep what a probe saw; returns what was known before. A change of level appends an event."""
        with self._transaction() as log:
            return services.record_health(log, service, health, at)

    def ingest_alerts(self, alerts: Sequence[Alert], *, under: Mapping[str, str] | None = None) -> list[int]:
        """Fold firing alerts into incidents; returns the incident of each.

        Args:
            alerts: what fires; an alert that fires already is counted and makes no new row.
            under: for a service behind a dead one, that one's name: the alert joins its incident.
        """
        with self._transaction() as log:
            return incidents.ingest(log, alerts, under or {})

    def clear_alerts(self, fingerprints: Iterable[str], at: float) -> list[int]:
        """Mark alerts as cleared; returns the incidents in which nothing fires any more."""
        with self._transaction() as log:
            return incidents.clear(log, fingerprints, at)

    def take_in(self, reports: Sequence[intake.Report]) -> None:
        """Fold what others report, firing and cleared in its order, into incidents; all of it or nothing."""
        with self._transaction() as log:
            intake.take_in(log, reports)

    def record_run(
        self, incident: int | None, call: Call, finding: Finding | None, error: str, started_at: float, seconds: float,
        *, actor: str = Role.ANALYST, error_type: str = "",
    ) -> Run:  # fmt: skip
        """Keep one run of a diagnostic as evidence; without a finding it is an error, of that type."""
        with self._transaction() as log:
            return incidents.record_run(
                log, incident, call, finding, error=error, started_at=started_at, seconds=seconds, actor=actor,
                error_type=error_type,
            )  # fmt: skip

    def advance(
        self,
        incident: int,
        status: IncidentStatus,
        *,
        actor: str,
        text: str,
        cause: str = "",
        runbook: str = "",
        data: Mapping[str, JSON] | None = None,
    ) -> Incident:
        """Move an incident on, and say why. Raises CockpitError when it is resolved already."""
        with self._transaction() as log:
            return incidents.advance(
                log, incident, status, actor=actor, text=text, cause=cause, runbook=runbook, data=data or {}
            )

    def note(
        self,
        actor: str,
        kind: str,
        text: str,
        *,
        incident: int | None = None,
        service: str = "",
        data: Mapping[str, JSON] | None = None,
    ) -> Event:
        """Append an event."""
        with self._transaction() as log:
            row = log.event(kind, text, actor=actor, incident=incident, service=service, data=data)
            return event_from(row)

    def propose(
        self,
        incident: int | None,
        call: Call,
        plan: Plan,
        digest: str,
        approval: Approval,
        expires_at: float,
        *,
        reason: str,
        policy: str = "",
        needs_name: bool = False,
        undoes: int | None = None,
        at: float,
    ) -> Proposal:
        """Store a plan that waits for a decision; an older one of the incident for that service is superseded.

        Raises CockpitError when the digest is not the plan's, or when scrubbing would alter what it covers.
        """
        draft = Proposal(
            0, incident, call, plan, digest, approval, ProposalState.PENDING, at, expires_at, reason,
            undoes=undoes, policy=policy, needs_name=needs_name,
        )  # fmt: skip
        with self._transaction() as log:
            return proposals.propose(log, draft)

    def decide(
        self, proposal: int, digest: str, verdict: Verdict, *, by: str, channel: str, at: float, reason: str = ""
    ) -> Decision:
        """Approve or deny what is pending; whoever comes first decides.

        Raises CockpitError saying what it is already, that the digest differs, or that it expired.
        """
        with self._transaction() as log:
            return proposals.decide(log, Decision(proposal, verdict, by, channel, at, digest, reason))

    def expire(self, now: float) -> list[int]:
        """End what is past its deadline, pending or approved and not carried out; returns the proposals."""
        with self._transaction() as log:
            return proposals.expire(log, now)

    def supersede(self, proposal: int, why: str) -> None:
        """Withdraw a proposal that is pending or approved. Raises CockpitError when it is further on."""
        with self._transaction() as log:
            proposals.supersede(log, proposal, why)

    def claim(self, proposal: int, digest: str, now: float) -> list[Applied] | None:
        """Take an approved proposal to carry it out; None when another did, or works on the same service.

        Raises CockpitError when the digest differs from what is stored, or the deadline has passed.
        """
        with self._transaction() as log:
            return journal.claim(log, proposal, digest, now)

    def applying(self, change: int) -> None:
        """Write that the target is about to be changed. Raises CockpitError unless it is claimed."""
        with self._transaction() as log:
            journal.move(log, change, ChangeState.APPLYING)

    def verifying(self, change: int) -> None:
        """Write that the change was sent and is now looked for. Raises CockpitError unless it is applying."""
        with self._transaction() as log:
            journal.move(log, change, ChangeState.VERIFYING)

    def finish(self, change: int, state: ChangeState, outcome: str, at: float) -> None:
        """Write what came of a change. Raises CockpitError when that cannot follow its state."""
        with self._transaction() as log:
            journal.move(log, change, state, outcome, at)

    def settle(self, proposal: int, state: ProposalState, outcome: str) -> None:
        """Write what came of a proposal once each of its changes is finished. Raises CockpitError before."""
        with self._transaction() as log:
            proposals.settle(log, proposal, state, outcome)

    def freeze(self, by: str | None, *, actor: str = "operator") -> None:
        """Freeze all changes, or with None let them go on; `actor` is who let them."""
        text = f"Changes are frozen by {by}." if by else "Changes are allowed again."
        with self._transaction() as log:
            log.event("freeze", text, actor=by or actor, data={"by": by})

    def mute(self, matcher: str, until: float | None, by: str, why: str = "", *, until_healthy: bool = False) -> Mute:
        """Tell nobody of a service, `tag:X`, `kind:X` or `host:X`, until then. Raises CockpitError for any other."""
        with self._transaction() as log:
            return mutes.mute(log, matcher, until, by, why, until_healthy=until_healthy)

    def unmute(self, matcher: str, by: str, why: str = "") -> int:
        """End the mutes that were made with this matcher; returns how many there were."""
        with self._transaction() as log:
            return mutes.unmute(log, matcher, by, why)

    def remember(self, key: str, value: JSON) -> None:
        """Keep a small value under a key; Reader.state reads it."""
        with self._transaction() as log:
            log.execute("insert or replace into state (key, value) values (?, ?)", key, log.json(value))

    def thin(self, now: float) -> None:
        """Make old samples coarser: 5 minutes after a day, an hour after 30 days."""
        thinning.thin(self._transaction, now)

    def prune(self, older_than: float, by: str, *, dry_run: bool = False) -> pruning.Pruned:
        """Remove what came to an end before a time, and leave a checkpoint from which the rest is verified.

        Raises CockpitError when the log is not whole, for that would remove the evidence, or when the time is
        less than a day ago.
        """
        if not dry_run and (problems := self.check()):
            raise CockpitError(f"The log is not whole: {problems[0].row} {problems[0].what}.", pruning.NOT_WHOLE)
        with self._transaction() as log:
            if dry_run:
                return pruning.plan(log, older_than)[0]
            self.anchors.keep(log.last(), self._mac_of, now=True)
            return pruning.prune(log, older_than, by)

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with self._lock:
            if self._open is not None:
                with explained(self.path):
                    yield from self._open.part()
                return
            if self._broken is not None:
                raise self._broken
            try:
                with explained(self.path):
                    yield from self._committed()
            except StoreError as error:
                if error.lasting:
                    self._broken = error
                raise

    def _committed(self) -> Iterator[Transaction]:
        log = Transaction(self._database.conn, self._key, self._scrub, self._clock())
        self._database.execute("begin immediate")
        try:
            self._open = log
            yield log
            self._database.execute("commit")
        except BaseException:
            self._database.rollback()
            raise
        finally:
            self._open = None
        if log.head is not None:
            self._head = log.head
        if self._head is not None:
            self.anchors.keep(self._head, self._mac_of, now=log.urgent)

    def _mac_of(self, event: int) -> bytes | None:
        try:
            row = self._database.execute(MAC_OF, [event, event]).fetchone()
        except sqlite3.Error:  # the commit stands; an anchor that cannot be compared is left as it is
            return None
        return bytes.fromhex(row["mac"]) if row else None
