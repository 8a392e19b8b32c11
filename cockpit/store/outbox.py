"""Messages that go out, one row each: what one should say, and what was sent of it.

A message is put with what it should say now. While that is newer than what was sent, it is
due: sent the first time, edited from then on. So nothing is lost by an outage, and twenty
changes during one become a single edit.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

from cockpit.model import JSON
from cockpit.store.transaction import Transaction

Begin: TypeAlias = Callable[[], AbstractContextManager[Transaction]]
Fetch: TypeAlias = Callable[..., list[sqlite3.Row]]

KEPT = 30 * 86_400.0
"""Seconds a message that is not touched any more is kept, so that it can still be edited."""
MINUTE = 60.0
TRIES = 2
"""Times a message is sent when nobody knows whether it arrived."""

PUT = """
insert into outbox (subject, incident, proposal, rank, body, parent, state, put_at, next_at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (subject) do update set
  version = version + (outbox.body <> excluded.body),
  put_at = case when outbox.body <> excluded.body then excluded.put_at else outbox.put_at end,
  next_at = case when outbox.body <> excluded.body then min(excluded.next_at,
    case when outbox.version > outbox.sent and outbox.state = 'waiting' then outbox.next_at else excluded.next_at end)
    else outbox.next_at end,
  state = case when outbox.body <> excluded.body and outbox.state = 'dropped' then 'waiting' else outbox.state end,
  body = excluded.body
"""
# `put_at > ?`: the clock was set back since, and the times in the row mean nothing any more.
DUE = """
select * from outbox where state = 'waiting' and version > sent and (next_at <= ? or put_at > ?)
and (? or message is not null or rank not in (1, 2)) order by rank, next_at, id limit 1
"""
NEXT = "select min(next_at) from outbox where state = 'waiting' and version > sent"
FRESH = "select count(*) from outbox where rank in (1, 2) and sent_at > ? and sent_at <= ?"
SENT = """
update outbox set sent = ?, message = coalesce(?, message), attempts = 0, unsure = 0, sent_at = coalesce(sent_at, ?)
where id = ?
"""
AGAIN = "update outbox set state = 'waiting', attempts = 0, unsure = 0, next_at = ? where state = 'unsure'"
QUEUE = """
select case when version > sent then state else 'sent' end as state, count(*) as number, min(put_at) as oldest
from outbox group by 1
"""
PRUNE = "delete from outbox where put_at < ? and (version = sent or state <> 'waiting')"


class Rank(IntEnum):
    """Which message goes first."""

    ANSWER = 0
    """Answers a command or a press."""
    QUESTION = 1
    """A proposal that waits for a decision."""
    INCIDENT = 2
    GATHERED = 3


@dataclass(frozen=True)
class Message:
    """One message as the outbox holds it."""

    id: int
    subject: str
    """What it is about, such as `incident:7`; there is one message to a subject."""
    incident: int | None
    proposal: int | None
    rank: int
    body: Mapping[str, Any]
    version: int
    sent: int
    """The version that was sent last; 0 when none was."""
    message: int | None
    """Its number in the chat, once it was sent."""
    state: str
    """`waiting`, `dropped`, `folded` into another one, `unsure` whether it arrived, or `refused`."""
    attempts: int
    unsure: int
    """How often it was sent without an answer since it last arrived for certain."""
    parent: int | None
    notes: Mapping[str, Any]
    """What people did about it, such as who acknowledged its incident."""
    put_at: float
    next_at: float
    sent_at: float | None
    """When it went out the first time."""

    @property
    def unsent(self) -> bool:
        """Whether nothing of it ever went out."""
        return self.sent == 0 and self.unsure == 0


@dataclass(frozen=True)
class Draft:
    """What a message should say."""

    subject: str
    body: Mapping[str, JSON]
    rank: Rank
    incident: int | None = None
    proposal: int | None = None
    parent: int | None = None
    """The message that stands for this one; this one is then never sent."""


class Outbox:
    """The messages. Every method that writes is a transaction, or part of the one that is open."""

    def __init__(self, begin: Begin, fetch: Fetch) -> None:
        self._begin = begin
        self._fetch = fetch

    def put(self, draft: Draft, *, now: float, at: float | None = None) -> Message:
        """Let a message say this, sent not before `at`; nothing happens when it says so already."""
        state = "folded" if draft.parent else "waiting"
        with self._begin() as log:
            body = log.json(draft.body)
            log.execute(
                PUT, draft.subject, draft.incident, draft.proposal, int(draft.rank), body, draft.parent, state,
                now, now if at is None else at,
            )  # fmt: skip
            row = log.one("select * from outbox where subject = ?", draft.subject)
        assert row is not None
        return _message(row)

    def find(self, subject: str) -> Message | None:
        """The message about a subject, also as the open transaction left it; None when there is none."""
        with self._begin() as log:
            row = log.one("select * from outbox where subject = ?", subject)
        return _message(row) if row else None

    def get(self, id: int) -> Message | None:
        """A message by its number in the outbox."""
        with self._begin() as log:
            row = log.one("select * from outbox where id = ?", id)
        return _message(row) if row else None

    def newest_like(self, pattern: str) -> Message | None:
        """The newest message whose subject is like a pattern."""
        with self._begin() as log:
            row = log.one("select * from outbox where subject like ? order by id desc limit 1", pattern)
        return _message(row) if row else None

    def folded(self, parent: int) -> list[int]:
        """The incidents that one message stands for."""
        with self._begin() as log:
            rows = log.all("select incident from outbox where parent = ? and incident is not null", parent)
        return [row["incident"] for row in rows]

    def due(self, now: float, *, fresh: int) -> Message | None:
        """The message to send or edit next; new ones only while fewer than `fresh` went out within a minute."""
        room = int(self._fetch(FRESH, now - MINUTE, now)[0][0]) < fresh
        found = self._fetch(DUE, now, now + 1.0, room)
        return _message(found[0]) if found else None

    def next_at(self) -> float | None:
        """When the next message is due; None when none waits."""
        at: float | None = self._fetch(NEXT)[0][0]
        return at

    def sent(self, message: Message, number: int | None, now: float) -> None:
        """Write that this version arrived, under its number in the chat."""
        with self._begin() as log:
            log.execute(SENT, message.version, number, now, message.id)

    def trying(self, message: Message) -> bool:
        """Write that a message is about to be sent; False when it may have arrived twice already.

        Written before the request, so that also a process that dies meanwhile does not send it a third time.
        """
        with self._begin() as log:
            if message.message is None and message.unsure >= TRIES:
                self._move(log, message, "unsure")
                return False
            log.execute("update outbox set attempts = attempts + 1, unsure = unsure + 1 where id = ?", message.id)
        return True

    def not_sent(self, message: Message) -> None:
        """Write that the last attempt certainly did nothing; the message stays due."""
        with self._begin() as log:
            log.execute("update outbox set unsure = max(unsure - 1, 0) where id = ?", message.id)

    def again(self, now: float) -> int:
        """Send what may not have arrived once more, for somebody asks for it; returns how many messages that are."""
        with self._begin() as log:
            return log.execute(AGAIN, now)

    def postpone(self, message: Message, at: float) -> None:
        """Look at a message again at that time."""
        with self._begin() as log:
            log.execute("update outbox set next_at = ? where id = ?", at, message.id)

    def set_state(self, message: Message, state: str) -> None:
        """End a message: it is `dropped` or `refused`, and not sent any more."""
        with self._begin() as log:
            self._move(log, message, state)

    def vanished(self, message: Message) -> None:
        """Write that the message is gone from the chat, so that it is sent anew."""
        with self._begin() as log:
            log.execute("update outbox set message = null where id = ?", message.id)

    def replace(self, message: Message, body: Mapping[str, JSON]) -> None:
        """Let a message say something else at once, whatever its subject says later."""
        with self._begin() as log:
            log.execute("update outbox set body = ?, version = version + 1 where id = ?", log.json(body), message.id)

    def refresh(self, subject: str, now: float) -> None:
        """Send a message's buttons anew, for one of them was used."""
        with self._begin() as log:
            log.execute("update outbox set version = version + 1, next_at = ? where subject = ?", now, subject)

    def annotate(self, message: Message, **notes: JSON) -> None:
        """Keep notes with a message, such as who acknowledged its incident."""
        with self._begin() as log:
            log.execute("update outbox set notes = ? where id = ?", log.json({**message.notes, **notes}), message.id)

    def fold(self, message: Message, parent: int | None) -> None:
        """Let another message stand for this one, or with None let it stand for itself again."""
        state = "folded" if parent else "waiting"
        with self._begin() as log:
            log.execute("update outbox set parent = ?, state = ? where id = ?", parent, state, message.id)

    def pass_on(self, message: Message, subject: str, proposal: int) -> None:
        """Let a message speak of another proposal from now on, instead of sending a new one."""
        with self._begin() as log:
            log.execute("update outbox set subject = ?, proposal = ? where id = ?", subject, proposal, message.id)

    def prune(self, now: float) -> None:
        """Forget messages that nobody touched for long."""
        with self._begin() as log:
            log.execute(PRUNE, now - KEPT)

    def queue(self) -> dict[str, tuple[int, float]]:
        """How many messages are in each state, and when the oldest of them was put."""
        return {row["state"]: (row["number"], row["oldest"]) for row in self._fetch(QUEUE)}

    def _move(self, log: Transaction, message: Message, state: str) -> None:
        log.execute("update outbox set state = ? where id = ?", state, message.id)


def _message(row: sqlite3.Row) -> Message:
    fields: dict[str, Any] = {name: row[name] for name in Message.__dataclass_fields__}  # plain columns of our own
    return Message(**{**fields, "body": json.loads(row["body"]), "notes": json.loads(row["notes"])})
