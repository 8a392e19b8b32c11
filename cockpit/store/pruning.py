"""Removes the oldest part of the log, so that what is left can still be proven whole.

The chain of events is cut at one place: everything up to an event goes, everything after it
stays. A *checkpoint* keeps the link of the last event that went, from which the first one
that stays can be verified; and the event that tells of the pruning vouches for the
checkpoint. Nobody can make such an event without the chain's key, so nobody can pass off a
cut of their own as ours.

An incident goes with its alerts, runs, proposals, decisions and changes, or stays with all
of its events. The newest incident and the newest proposal stay, so that no number is given
twice. The triggers that forbid deleting are dropped and made again, word for word,
within the one transaction that prunes: a crash leaves all as it was.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cockpit.model import CockpitError, IncidentStatus, ProposalState
from cockpit.store.chain import SEALED
from cockpit.store.transaction import Transaction

LEAST_AGE = 86_400.0
"""Seconds: the limits on changes look back for less."""
NOT_WHOLE = "Nothing was removed. See all of it with: cockpit audit verify"
OPEN = (ProposalState.PENDING, ProposalState.APPROVED, ProposalState.EXECUTING)

EVENTS = "select id, incident, seals from event order by id"
TOO_YOUNG = "select min(id) as id from event where at >= ?"
LAST_FREEZE = "select id, data from event where kind = 'freeze' order by id desc limit 1"
TRIGGERS = "select name, sql from sqlite_master where type = 'trigger'"
TABLES = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
REFERENCES = 'select "table" as parent, "from" as child from pragma_foreign_key_list(?)'


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was, or would be, removed: everything up to an event."""

    until: int
    """The last event that goes; 0 when none does."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """How many rows go, by table."""


@dataclass(slots=True)
class _Story:
    """What belongs together: an incident with all that came of it, or a request of an operator."""

    first: int
    last: int
    stays: bool = False


def plan(log: Transaction, older_than: float) -> tuple[Pruned, Mapping[str, list[int]]]:
    """What would go if everything before a time went that has come to an end; and the rows by table.

    Raises CockpitError when the time is less than a day ago.
    """
    if older_than > log.now - LEAST_AGE:
        raise CockpitError("What is younger than a day is never removed.", "Name an age of 1d or more.")
    stories, vouched = _stories(log)
    until = _cut(log, older_than, stories.values())
    gone: dict[str, list[int]] = {}
    for (table, key), event in vouched.items():
        if event <= until:
            gone.setdefault(table, []).append(key)
    events = log.one("select count(*) as found from event where id <= ?", until)
    assert events is not None
    if not events["found"]:
        return Pruned(0), {}
    return Pruned(until, {"event": events["found"], **{table: len(keys) for table, keys in sorted(gone.items())}}), gone


def prune(log: Transaction, older_than: float, by: str) -> Pruned:
    """Remove what has come to an end before a time, and leave a checkpoint. Raises CockpitError as `plan` does."""
    pruned, gone = plan(log, older_than)
    if not pruned.until:
        return pruned
    last = log.one("select mac from event where id = ?", pruned.until)
    assert last is not None
    log.insert("checkpoint", event=pruned.until, mac=last["mac"].hex(), at=log.now, removed=log.json(dict(pruned.rows)))
    log.event(
        "prune",
        f"The log was pruned: events up to {pruned.until} and what belongs to them are removed.",
        actor=by,
        data={"until": pruned.until, "older_than": older_than, "rows": dict(pruned.rows)},
        vouches=[("checkpoint", pruned.until)],
    )
    _remove(log, pruned.until, gone)
    return pruned


def _cut(log: Transaction, older_than: float, stories: Iterable[_Story]) -> int:
    """The last event that can go: old enough, and no story begins before it and goes on after it."""
    young = log.one(TOO_YOUNG, older_than)
    last = log.one("select max(id) as id from event")
    assert young is not None and last is not None
    cut = int(last["id"] or 0) if young["id"] is None else int(young["id"]) - 1
    freeze = log.one(LAST_FREEZE)
    if freeze is not None and json.loads(freeze["data"])["by"] is not None:
        cut = min(cut, freeze["id"] - 1)
    for story in sorted(stories, key=lambda story: (story.stays, story.last), reverse=True):
        if story.first <= cut and (story.stays or story.last > cut):
            cut = story.first - 1
    return cut


def _stories(log: Transaction) -> tuple[dict[str, _Story], dict[tuple[str, int], int]]:
    """Every story with its first and last event, and for every row the last event that vouches for it."""
    member, staying = _members(log)
    stories: dict[str, _Story] = {}
    vouched: dict[tuple[str, int], int] = {}
    for row in log.all(EVENTS):
        named = {f"incident:{row['incident']}"} if row["incident"] is not None else set()
        for name in json.loads(row["seals"]):
            table, _, key = name.partition(":")
            vouched[table, int(key)] = row["id"]
            named.add(member.get(name, name))
        for name in named:
            story = stories.setdefault(name, _Story(row["id"], row["id"], name in staying))
            story.last = row["id"]
    return stories, vouched


def _members(log: Transaction) -> tuple[dict[str, str], set[str]]:
    """The story of each row that is part of a larger one, and the stories that have to stay."""
    member: dict[str, str] = {}
    staying = {f"incident:{row['id']}" for row in log.all("select id, status from incident") if _unresolved(row)}
    for table in ("alert", "run"):
        for row in log.all(f"select id, incident from {table} where incident is not null"):  # noqa: S608  our names
            member[f"{table}:{row['id']}"] = f"incident:{row['incident']}"
    for row in log.all("select id, incident, undoes, state from proposal order by id"):
        name = f"proposal:{row['id']}"
        above = f"incident:{row['incident']}" if row["incident"] is not None else f"proposal:{row['undoes']}"
        story = name if above == "proposal:None" else member.get(above, above)
        member[name] = member[f"decision:{row['id']}"] = story
        if row["state"] in OPEN:
            staying.add(story)
    for row in log.all("select id, incident, finished_at from inquiry"):
        name = f"inquiry:{row['id']}"
        member[name] = name if row["incident"] is None else f"incident:{row['incident']}"
        if row["finished_at"] is None:
            staying.add(member[name])
    for row in log.all("select id, inquiry from model_call"):
        member[f"model_call:{row['id']}"] = member[f"inquiry:{row['inquiry']}"]
    for row in log.all("select id, proposal from change"):
        member[f"change:{row['id']}"] = member[f"proposal:{row['proposal']}"]
    for table in ("incident", "proposal", "inquiry"):
        newest = log.one(f"select max(id) as id from {table}")  # noqa: S608  our names
        if newest and newest["id"] is not None:
            staying.add(member.get(f"{table}:{newest['id']}", f"{table}:{newest['id']}"))
    return member, staying


def _unresolved(incident: sqlite3.Row) -> bool:
    return bool(incident["status"] != IncidentStatus.RESOLVED)


def _remove(log: Transaction, until: int, gone: Mapping[str, list[int]]) -> None:
    triggers = log.all(TRIGGERS)
    for trigger in triggers:
        log.execute(f'drop trigger "{trigger["name"]}"')
    log.execute("pragma defer_foreign_keys = on")
    for child, column, parent in _references(log):
        if child not in SEALED and child != "event":
            keys = log.json([*gone.get(parent, [])])
            log.execute(f'delete from "{child}" where "{column}" in (select value from json_each(?))', keys)  # noqa: S608  our names
    for table, rows in gone.items():
        column = SEALED[table][0]
        log.execute(f"delete from {table} where {column} in (select value from json_each(?))", log.json([*rows]))  # noqa: S608  our names
    words = log.json([*gone.get("incident", [])])
    log.execute("delete from incident_words where rowid in (select value from json_each(?))", words)
    log.execute("delete from event where id <= ?", until)
    for trigger in triggers:
        log.execute(trigger["sql"])


def _references(log: Transaction) -> list[tuple[str, str, str]]:
    """Every table with a column that names rows of another, and that other."""
    return [
        (table["name"], row["child"], row["parent"])
        for table in log.all(TABLES)
        for row in log.all(REFERENCES, table["name"])
    ]
