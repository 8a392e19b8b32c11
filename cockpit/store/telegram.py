"""What came in from Telegram: updates that were acted on, buttons that may be pressed, votes, and who was refused."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cockpit.model import JSON, CockpitError, Decision, Role, Verdict
from cockpit.store import proposals
from cockpit.store.outbox import Begin, Fetch, Outbox
from cockpit.store.transaction import Transaction
from cockpit.text import counted

INVITATION = "telegram invitation"
"""Under which the reader tells whom a code was made for, and who sent it."""
DAY = 86_400.0
CHANNEL = "telegram"
TELL_EVERY = 600.0
"""Seconds between two events about refusals for the same reason."""

LAST_UPDATE = "select max(id) as id, max(at) as at from telegram_update"
USE = "update button set used_at = ? where hash = ? and used_at is null and expires_at > ?"
QUESTION = """
select button.*, proposal.service from button join proposal on proposal.id = button.proposal
where action = 'name' and chat = ? and persons = ? and used_at is null and button.expires_at > ?
order by button.expires_at desc limit 1
"""
COUNT = """
insert into refusal (reason, times, told, told_at) values (?, 1, 0, 0)
on conflict (reason) do update set times = times + 1 returning times, told, told_at
"""


@dataclass(frozen=True)
class Button:
    """What pressing a button means; the button itself carries nothing but a random token."""

    action: str
    permission: str
    """The right that whoever presses it must have."""
    persons: tuple[int, ...]
    """Telegram's numbers of those who may press it."""
    chat: int
    expires_at: float
    incident: int | None = None
    proposal: int | None = None
    digest: str = ""
    people: int = 1
    """How many different people must approve."""


@dataclass(frozen=True)
class Person:
    """Somebody on the allowlist, with the rights they have now."""

    id: int
    name: str
    rights: frozenset[str]


class Denial(CockpitError):
    """A press that does not count; `reason` is one of a few words, for counting."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"This press does not count: {reason}.")
        self.reason = reason


class TelegramLog:
    """What came in. Every method that writes is a transaction, or part of the one that is open."""

    def __init__(self, begin: Begin, fetch: Fetch) -> None:
        self._begin = begin
        self._fetch = fetch
        self.outbox = Outbox(begin, fetch)

    def first_time(self, update: int, now: float) -> bool:
        """Write that an update is acted on; False when it was before. Its effect belongs in the same transaction."""
        with self._begin() as log:
            done = log.execute("insert or ignore into telegram_update (id, at) values (?, ?)", update, now)
            log.execute("delete from telegram_update where at < ? and id <> ?", now - 7 * DAY, update)
        return done == 1

    def offset(self, now: float) -> int:
        """From which update on to ask; 0 for all that wait.

        After a quiet week Telegram begins to number anew, so an old number says nothing.
        """
        row = self._fetch(LAST_UPDATE)[0]
        return int(row["id"]) + 1 if row["id"] is not None and now - row["at"] < DAY else 0

    def offer(self, buttons: Iterable[tuple[str, Button]], now: float) -> None:
        """Keep buttons under the tokens they carry, hashed."""
        with self._begin() as log:
            for token, button in buttons:
                _insert(log, hashed(token), button)
            log.execute("delete from button where expires_at < ?", now - 7 * DAY)

    def press(self, token: str, person: Person, chat: int, now: float) -> Button:
        """Use up a button; what it decides belongs in the same transaction.

        Raises Denial when it was forged, used, is too old, or is another person's or chat's.
        """
        with self._begin() as log:
            row = log.one("select * from button where hash = ?", hashed(token))
            if row is None:
                raise Denial("forged")
            button = _button(row)
            _use(log, row, button, person, chat, now)
        return button

    def ask_name(self, button: Button, person: Person, now: float, within: float) -> None:
        """Wait for the person to type the name of the target, for so many seconds."""
        asked = replace(button, action="name", persons=(person.id,), expires_at=now + within)
        with self._begin() as log:
            log.execute("delete from button where action = 'name' and persons = ?", json.dumps([person.id]))
            _insert(log, hashed(f"name:{button.chat}:{person.id}:{button.proposal}:{now}"), asked)

    def typed(self, text: str, person: Person, chat: int, now: float) -> tuple[Button, bool] | None:
        """The question that a typed text answers, used up, and whether it is the right name; None without a question.

        Raises Denial when the person lost the right to approve meanwhile.
        """
        with self._begin() as log:
            row = log.one(QUESTION, chat, json.dumps([person.id]), now)
            if row is None:
                return None
            _use(log, row, _button(row), person, chat, now)
            return _button(row), text.strip() == row["service"]

    def decide(self, button: Button, verdict: Verdict, person: Person, now: float) -> Decision | None:
        """Decide as the button says; None when more people have to approve. Raises CockpitError as `Store.decide`."""
        assert button.proposal is not None
        told = f"Telegram user {person.id}"
        with self._begin() as log:
            if verdict is Verdict.APPROVED and button.people > 1:
                others = _vote(log, button.proposal, person, now)
                if len(others) + 1 < button.people:
                    return None
                told += f", with {', '.join(others)}"
            decision = Decision(button.proposal, verdict, person.name, CHANNEL, now, button.digest, told)
            return proposals.decide(log, decision)

    def asked_for(self, proposal: int, person: Person, now: float) -> None:
        """Write who asked for a proposal: where two people are needed, it is approved by others."""
        with self._begin() as log:
            _note_vote(log, proposal, person, "asked", now)

    def votes(self, proposal: int) -> list[str]:
        """Who approved a proposal that more people have to approve."""
        with self._begin() as log:
            rows = log.all("select name from vote where proposal = ? and part = 'approved' order by at", proposal)
        return [row["name"] for row in rows]

    def invite(self, code: str, by: str, until: float) -> None:
        """Let whoever sends this code become known; one that was made before is void."""
        with self._begin() as log:
            _remember(log, {"hash": hashed(code).hex(), "by": by, "until": until})
            log.event("note", f"{by} made an enrolment code for Telegram.", actor=by)

    def redeem(self, code: str, person: int, named: str, now: float) -> bool:
        """Write down who sent a code, and use it up; False when it is not the code, or it came too late."""
        with self._begin() as log:
            row = log.one("select value from state where key = ?", INVITATION)
            made = (json.loads(row["value"]) if row else None) or {}
            right = hmac.compare_digest(str(made.get("hash", "")), hashed(code).hex())
            if not right or "person" in made or now >= made["until"]:
                return False
            _remember(log, {**made, "person": person, "named": named})
            text = f"Telegram user {person}, who goes by {named}, sent the enrolment code that {made['by']} made."
            log.event("note", text, actor=Role.COMMUNICATOR, data={"person": person})
        return True

    def refuse(self, reason: str, detail: str, now: float) -> None:
        """Count a refusal; one event every ten minutes at the most says so, and how many there were."""
        with self._begin() as log:
            row = log.one(COUNT, log.text(reason))
            assert row is not None
            if now - row["told_at"] >= TELL_EVERY or now < row["told_at"]:
                log.execute("update refusal set told = times, told_at = ? where reason = ?", now, log.text(reason))
                number = row["times"] - row["told"]
                text = f"Telegram: refused {counted(number, 'time')}, {reason}. {detail}".strip()
                log.event("note", text, actor=Role.COMMUNICATOR, data={"refused": reason, "times": number})

    def refusals(self) -> dict[str, int]:
        """How often something was refused, by reason."""
        return {row["reason"]: row["times"] for row in self._fetch("select reason, times from refusal")}


def hashed(token: str) -> bytes:
    """The SHA-256 of a token, which is all that is kept of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _remember(log: Transaction, invitation: JSON) -> None:
    log.execute("insert or replace into state (key, value) values (?, ?)", INVITATION, log.json(invitation))


def _use(log: Transaction, row: sqlite3.Row, button: Button, person: Person, chat: int, now: float) -> None:
    if button.chat != chat:
        raise Denial("foreign")
    if button.permission not in person.rights:
        raise Denial("without the right")
    if person.id not in button.persons:
        raise Denial("foreign")
    if log.execute(USE, now, row["hash"], now) != 1:
        raise Denial("used already" if row["used_at"] is not None else "too old")


def _vote(log: Transaction, proposal: int, person: Person, now: float) -> Sequence[str]:
    """Add a person's approval; returns the names of the others who approved."""
    if log.one("select 1 from vote where proposal = ? and person = ? and part = 'asked'", proposal, person.id):
        raise Denial("asked for by the same person")
    _note_vote(log, proposal, person, "approved", now)
    rows = log.all(
        "select name from vote where proposal = ? and part = 'approved' and person <> ?", proposal, person.id
    )
    return [row["name"] for row in rows]


def _note_vote(log: Transaction, proposal: int, person: Person, part: str, now: float) -> None:
    statement = "insert or ignore into vote (proposal, person, name, part, at) values (?, ?, ?, ?, ?)"
    log.execute(statement, proposal, person.id, log.text(person.name), part, now)


def _insert(log: Transaction, key: bytes, button: Button) -> None:
    log.insert(
        "button",
        hash=key,
        action=button.action,
        permission=button.permission,
        incident=button.incident,
        proposal=button.proposal,
        digest=button.digest,
        people=button.people,
        persons=json.dumps(list(button.persons)),
        chat=button.chat,
        expires_at=button.expires_at,
    )


def _button(row: sqlite3.Row) -> Button:
    fields: dict[str, Any] = {name: row[name] for name in Button.__dataclass_fields__}  # plain columns of our own
    return Button(**{**fields, "persons": tuple(json.loads(row["persons"]))})
