"""Notices: what is told over which channel, each once; decided and kept here before anything is sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from cockpit.model import JSON, Role, Severity
from cockpit.store.transaction import Transaction

Begin: TypeAlias = Callable[[], AbstractContextManager[Transaction]]

CURSOR = "notified"
"""The state that holds the last event about which it was decided who is told."""

WAITING = """
select * from notice where channel = ? and finished_at is null and state <> 'held' and not_before <= ?
order by attempts, id limit ?
"""
HELD = "select * from notice where state = 'held' order by id"
TOLD = "select distinct channel from notice where incident = ? and state <> 'dropped'"
FINISH = "update notice set state = ?, finished_at = ? where id = ? and finished_at is null"
OLD = """
delete from notice where finished_at < ? and (incident is null
or incident in (select id from incident where status = 'resolved'))
"""
UNANSWERED = "select * from unanswered order by incident"
ANSWER = """
select 1 from event where incident = ? and at >= ? and (kind in ('acknowledge', 'snooze')
or (kind = 'decision' and json_extract(data, '$.channel') not in ('policy', 'deadline'))) limit 1
"""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell over one channel."""

    id: int
    channel: str
    event: int
    incident: int | None
    service: str
    kind: str
    severity: Severity
    text: str
    state: str
    """`queued`, `sending`, `held` while its service is muted; then `sent`, `dropped` or `failed`."""
    attempts: int
    created_at: float
    not_before: float
    """When it may be sent: later than now in the channel's quiet hours."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """An incident that waits for a person, and how far its escalation has come."""

    incident: int
    since: float
    step: int
    """How many channels beyond the first were told."""


class Notices:
    """The part of the log that says what is told to whom. Made by `Store.notices`.

    Args:
        begin: opens a transaction on the log.
        rows: runs a query that only reads.
    """

    def __init__(self, begin: Begin, rows: Callable[..., list[sqlite3.Row]]) -> None:
        self._begin = begin
        self._rows = rows

    def queue(self, notices: Sequence[Notice], upto: int) -> None:
        """Keep what is to be told, together with the last event that was looked at for it."""
        with self._begin() as log:
            for notice in notices:
                log.execute(
                    "insert or ignore into notice (channel, event, incident, service, kind, severity, text, state,"
                    " created_at, not_before) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    notice.channel,
                    notice.event,
                    notice.incident,
                    log.text(notice.service),
                    notice.kind,
                    notice.severity,
                    log.text(notice.text),
                    notice.state,
                    notice.created_at,
                    notice.not_before,
                )
            log.execute("insert or replace into state (key, value) values (?, ?)", CURSOR, log.json(upto))

    def waiting(self, channel: str, now: float, limit: int = 500) -> list[Notice]:
        """What may be sent over a channel now, what was tried least first."""
        return [notice_from(row) for row in self._rows(WAITING, channel, now, limit)]

    def held(self) -> list[Notice]:
        """What is not told because its service is muted."""
        return [notice_from(row) for row in self._rows(HELD)]

    def told(self, incident: int) -> set[str]:
        """The channels that were told of an incident, or will be."""
        return {row["channel"] for row in self._rows(TOLD, incident)}

    def release(self, notices: Iterable[Notice], now: float) -> None:
        """Let what was held be sent after all."""
        with self._begin() as log:
            for notice in notices:
                log.execute(
                    "update notice set state = 'queued', not_before = ? where id = ? and state = 'held'", now, notice.id
                )

    def sending(self, notices: Iterable[Notice]) -> None:
        """Write that an attempt to send these begins: whether it arrived is unknown until it is finished."""
        with self._begin() as log:
            for notice in notices:
                log.execute("update notice set state = 'sending', attempts = attempts + 1 where id = ?", notice.id)

    def finish(self, notices: Iterable[Notice], state: str, now: float) -> None:
        """Write that nothing more happens to these: `sent`, `dropped` or `failed`."""
        with self._begin() as log:
            for notice in notices:
                log.execute(FINISH, state, now, notice.id)

    def forget(self, before: float) -> None:
        """Remove what was finished before that time, but for incidents that are still open."""
        with self._begin() as log:
            log.execute(OLD, before)

    def ticket(self, incident: int) -> int | None:
        """The number of the issue that was opened elsewhere for an incident."""
        found = self._rows("select number from ticket where incident = ?", incident)
        return int(found[0]["number"]) if found else None

    def opened_ticket(self, incident: int, number: int) -> None:
        """Keep the number of the issue that was opened elsewhere for an incident."""
        with self._begin() as log:
            log.execute("insert or replace into ticket (incident, number) values (?, ?)", incident, number)

    def unanswered(self) -> list[Unanswered]:
        """The incidents that are known to wait for a person."""
        return [Unanswered(row["incident"], row["since"], row["step"]) for row in self._rows(UNANSWERED)]

    def answered(self, incident: int, since: float) -> bool:
        """Whether a person acknowledged the incident, or decided about it, since then."""
        return bool(self._rows(ANSWER, incident, since))

    def wait_for_person(self, incident: int, since: float) -> None:
        """Begin to count for how long an incident waits for a person, unless that has begun."""
        with self._begin() as log:
            log.execute("insert or ignore into unanswered (incident, since, step) values (?, ?, 0)", incident, since)

    def stop_waiting(self, incident: int) -> None:
        """Count no longer."""
        with self._begin() as log:
            log.execute("delete from unanswered where incident = ?", incident)

    def escalate(self, incident: int, service: str, step: int, channel: str, text: str) -> None:
        """Take an escalation to its next step, and say so."""
        data: Mapping[str, JSON] = {"step": step, "channel": channel}
        with self._begin() as log:
            if log.execute("update unanswered set step = ? where incident = ? and step < ?", step, incident, step):
                log.event("escalation", text, actor=Role.COMMUNICATOR, incident=incident, service=service, data=data)


def notice_from(row: sqlite3.Row) -> Notice:
    """A notice."""
    return Notice(
        id=row["id"],
        channel=row["channel"],
        event=row["event"],
        incident=row["incident"],
        service=row["service"],
        kind=row["kind"],
        severity=Severity(row["severity"]),
        text=row["text"],
        state=row["state"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        not_before=row["not_before"],
    )
