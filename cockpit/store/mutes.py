"""Mutes: what nobody is to be told of; every function works inside a transaction."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cockpit.model import JSON, CockpitError, Mute

if TYPE_CHECKING:
    from cockpit.store.transaction import Transaction

MATCHER = re.compile(r"(?:(?:tag|kind|host):\S(?:.*\S)?|[\w.-]+/\S+)")
RUNNING = "select * from mute where ended_at is null and (ends_at is null or ends_at > ?) order by id"
END = "update mute set ended_at = ? where ended_at is null and (ends_at is null or ends_at > ?) and matcher = ?"


def mute(log: Transaction, matcher: str, until: float | None, by: str, why: str, *, until_healthy: bool) -> Mute:
    """Mute what matches; a mute of the same that is running is replaced. Raises CockpitError for no matcher."""
    wanted = log.text(matcher.strip())
    if not MATCHER.fullmatch(wanted):
        raise CockpitError(f"'{wanted}' names nothing to mute.", "Write KIND/NAME, tag:NAME, kind:NAME or host:NAME.")
    if until is not None and until <= log.now:
        raise CockpitError("That mute would have ended already.", "Give it a time that is to come.")
    log.execute(END, log.now, log.now, wanted)
    row = log.insert(
        "mute",
        matcher=wanted,
        starts_at=log.now,
        ends_at=until,
        until_healthy=until_healthy,
        actor=log.text(by),
        why=log.text(why),
    )
    data: Mapping[str, JSON] = {"mute": row, "matcher": wanted, "until": until, "until_healthy": until_healthy}
    because = f": {why}" if why else "."
    log.event("mute", f"{wanted} is muted{because}", actor=by, service=_service(wanted), data=data)
    found = log.one("select * from mute where id = ?", row)
    assert found is not None
    return mute_from(found)


def unmute(log: Transaction, matcher: str, by: str, why: str) -> int:
    """End every mute that was made with exactly this matcher; returns how many there were."""
    wanted = log.text(matcher.strip())
    ended = log.execute(END, log.now, log.now, wanted)
    if ended:
        data: Mapping[str, JSON] = {"matcher": wanted, "ended": True}
        text = f"{wanted} is no longer muted" + (f": {why}" if why else ".")
        log.event("mute", text, actor=by, service=_service(wanted), data=data)
    return ended


def mute_from(row: sqlite3.Row) -> Mute:
    """A mute."""
    return Mute(
        id=row["id"],
        matcher=row["matcher"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        until_healthy=bool(row["until_healthy"]),
        by=row["actor"],
        why=row["why"],
    )


def _service(matcher: str) -> str:
    return matcher if "/" in matcher and ":" not in matcher else ""
