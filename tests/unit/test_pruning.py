"""Pruning: old stories go whole, what is left is proven, and nobody else's cut passes for ours."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cockpit.model import CockpitError, Finding, IncidentStatus, canonical
from cockpit.store.audit import check
from cockpit.store.chain import SEALED, seal
from tests.unit.store_examples import START, Kept, Log, call_of
from tests.unit.test_audit import NO_KEY, Vandal

DAY = 86_400.0
FORGERIES = 120


def aged(folder: Path, incidents: int = 6) -> Log:
    """A log in which one incident a day was lived through."""
    log = Log(folder)
    for number in range(incidents):
        log.clock.now += DAY
        log.lived_through(f"redis/{number}", after=number + 2)
    return log


def day(number: float) -> float:
    """The middle of the night before the incident of a day."""
    return START + (number + 0.5) * DAY


def rows(log: Log, table: str) -> list[int]:
    raw = sqlite3.connect(log.path)
    found = [row[0] for row in raw.execute(f"select {SEALED[table][0]} from {table} order by 1")]
    raw.close()
    return found


def test_old_incidents_go_whole_and_the_rest_is_proven(tmp_path: Path) -> None:
    log = aged(tmp_path / "data")
    first = min(event.id for event in log.store.reader.events(incident=4))
    pruned = log.store.prune(day(3), "ann")
    assert pruned.until == first - 1
    assert [incident.id for incident in log.store.reader.incidents()] == [6, 5, 4]
    for table in ("alert", "run", "proposal", "decision", "change"):
        assert len(rows(log, table)) == 3, table
    assert log.store.reader.events()[0].id == first
    assert log.store.check() == []
    assert log.store.anchors.troubles == {}


def test_the_log_goes_on_after_it_was_pruned_and_can_be_pruned_again(tmp_path: Path) -> None:
    log = aged(tmp_path / "data")
    log.store.prune(day(2), "ann")
    log.clock.now += 2 * DAY
    newest = log.lived_through("redis/main")
    assert newest == 7
    again = log.store.prune(day(5), "bob")
    assert again.rows["incident"] == 3
    log.store.close()
    assert Kept(log.folder).problems() == []


def test_all_may_go_but_the_newest_so_that_no_number_is_given_twice(tmp_path: Path) -> None:
    log = aged(tmp_path / "data", incidents=3)
    log.clock.now += 100 * DAY
    log.store.prune(log.clock.now - 2 * DAY, "ann")
    assert rows(log, "incident") == rows(log, "proposal") == [3]
    assert (log.lived_through("redis/main"), rows(log, "proposal")) == (4, [3, 4])


def test_what_has_not_ended_stays_with_all_that_came_after_it(tmp_path: Path) -> None:
    log = aged(tmp_path / "data", incidents=2)
    open_ = log.opened("redis/open")
    log.clock.now += DAY
    log.lived_through("redis/after")
    log.clock.now += 50 * DAY
    log.lived_through("redis/late")
    log.store.prune(log.clock.now - 10 * DAY, "ann")
    assert rows(log, "incident") == [open_, open_ + 1, open_ + 2]


def test_a_freeze_that_holds_is_not_lifted_by_pruning(tmp_path: Path) -> None:
    log = aged(tmp_path / "data", incidents=2)
    log.store.freeze("ann")
    log.clock.now += 50 * DAY
    log.lived_through("redis/late")
    log.store.prune(log.clock.now - 10 * DAY, "ann")
    assert log.store.reader.frozen() == "ann"
    assert rows(log, "incident") == [3]


def test_requests_without_an_incident_go_with_their_undo(tmp_path: Path) -> None:
    log = aged(tmp_path / "data", incidents=1)
    request = log.approved(service="redis/main")
    log.carried_out(request)
    log.store.record_run(None, call_of(), Finding("looked", {}), "", log.clock.now, 0.1)
    log.clock.now += 5 * DAY
    undo = log.store.propose(
        None, request.call, request.plan, request.digest, request.approval, log.clock.now + 300,
        reason="Undo.", undoes=request.id, at=log.clock.now,
    )  # fmt: skip
    log.clock.now += 50 * DAY
    log.store.expire(log.clock.now)
    log.lived_through("redis/late")
    before = log.store.prune(START + 4 * DAY, "ann")
    assert undo.id in rows(log, "proposal") and request.id in rows(log, "proposal"), before
    log.store.prune(log.clock.now - 2 * DAY, "ann")
    assert undo.id in rows(log, "proposal"), "it ended today"
    log.clock.now += 50 * DAY
    log.lived_through("redis/later")
    log.store.prune(log.clock.now - 2 * DAY, "ann")
    assert rows(log, "proposal") == [5]
    assert log.store.check() == []


def test_what_is_younger_than_a_day_is_never_removed(tmp_path: Path) -> None:
    log = aged(tmp_path / "data")
    with pytest.raises(CockpitError, match="younger than a day"):
        log.store.prune(log.clock.now - DAY + 1, "ann")


def test_a_dry_run_and_a_log_with_nothing_old_remove_nothing(tmp_path: Path) -> None:
    log = aged(tmp_path / "data")
    last = log.store.reader.last_event()
    assert log.store.prune(day(3), "ann", dry_run=True).rows["incident"] == 3
    assert log.store.prune(START - DAY, "ann").until == 0
    assert log.store.reader.last_event() == last
    assert len(rows(log, "incident")) == 6


def test_a_log_that_was_tampered_with_is_not_pruned_for_that_would_remove_the_evidence(tmp_path: Path) -> None:
    log = aged(tmp_path / "data")
    log.store.close()
    vandal = Vandal(Kept(log.folder), random.Random(1))
    vandal.raw.execute("update run set summary = 'all is well' where id = 1")
    vandal.close()
    again = Log(log.folder, log.clock)
    with pytest.raises(CockpitError, match=r"not whole.*run:1"):
        again.store.prune(day(3), "ann")
    assert len(rows(again, "incident")) == 6


def test_rows_of_other_tables_that_name_what_goes_go_as_well(tmp_path: Path) -> None:
    log = aged(tmp_path / "data")
    with log.store._transaction() as transaction:
        transaction.insert("ticket", incident=1, number=17)
        transaction.insert("ticket", incident=6, number=18)
    log.store.prune(day(3), "ann")
    raw = sqlite3.connect(log.path)
    assert raw.execute("select number from ticket").fetchall() == [(18,)]
    raw.close()


DIES = """
import os, signal, sys
from pathlib import Path
from cockpit.store.store import Store
from cockpit.store.transaction import Transaction

left, execute = [int(sys.argv[2])], Transaction.execute
def dying(self, sql, *parameters):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, sql, *parameters)
store = Store.open(Path(sys.argv[1]) / "cockpit.db", clock=lambda: float(sys.argv[3]) + 10 * 86400)
Transaction.execute = dying
store.prune(float(sys.argv[3]), "ann")
"""


def test_pruning_that_dies_half_way_leaves_all_as_it_was(tmp_path: Path) -> None:
    log = aged(tmp_path / "data")
    log.store.close()
    killed = 0
    for step in range(1, 200, 6):
        argv = [sys.executable, "-c", DIES, str(log.folder), str(step), str(day(3))]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        problems = Kept(log.folder).problems()
        if done.returncode == 0:
            break
        assert (done.returncode, problems, len(rows(log, "incident"))) == (-9, [], 6), (step, done.stderr)
        killed += 1
    assert killed > 5
    assert (problems, len(rows(log, "incident"))) == ([], 3)


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A log that was pruned once, and went on."""
    log = aged(tmp_path_factory.mktemp("pruned") / "data", incidents=8)
    log.store.prune(day(3), "ann")
    log.clock.now += DAY
    log.lived_through("redis/last")
    log.store.close()
    return Kept(log.folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A log that was never pruned."""
    log = aged(tmp_path_factory.mktemp("whole") / "data", incidents=8)
    log.store.close()
    return Kept(log.folder)


def cut_at(vandal: Vandal, until: int) -> str:
    """Remove events up to one, and every row that no event after it vouches for; returns the link of the last."""
    mac = vandal.raw.execute("select mac from event where id = ?", [until]).fetchone()
    after = vandal.raw.execute("select seals from event where id > ?", [until]).fetchall()
    kept = {name for row in after for name in json.loads(row["seals"])}
    for table, columns in SEALED.items():
        for (key,) in vandal.raw.execute(f"select {columns[0]} from {table}").fetchall():
            if f"{table}:{key}" not in kept and table != "checkpoint":
                vandal.raw.execute(f"delete from {table} where {columns[0]} = ?", [key])
    vandal.raw.execute("delete from event where id <= ?", [until])
    return str(mac["mac"].hex()) if mac else "00" * 32


def place(vandal: Vandal) -> int:
    events = [row["id"] for row in vandal.raw.execute("select id from event order by id")]
    return int(vandal.dice.choice(events[2:-25]))


def cut_and_leave_it(vandal: Vandal) -> None:
    cut_at(vandal, place(vandal))


def cut_and_move_the_checkpoint(vandal: Vandal) -> None:
    until = place(vandal)
    mac = cut_at(vandal, until)
    vandal.raw.execute("update checkpoint set event = ?, mac = ?", [until, mac])
    insert_checkpoint(vandal, until, mac)


def insert_checkpoint(vandal: Vandal, until: int, mac: str) -> None:
    vandal.raw.execute("insert or replace into checkpoint values (?, ?, ?, '{}')", [until, mac, START])


def cut_and_add_a_checkpoint(vandal: Vandal) -> None:
    until = place(vandal)
    insert_checkpoint(vandal, until, cut_at(vandal, until))


def cut_and_vouch_in_the_last_event(vandal: Vandal, key: bytes = NO_KEY) -> None:
    """A checkpoint, and a seal for it in an event that is there, linked anew with a made-up key."""
    until = place(vandal)
    insert_checkpoint(vandal, until, cut_at(vandal, until))
    last = vandal.raw.execute("select * from event order by id desc limit 1").fetchone()
    row = vandal.raw.execute("select * from checkpoint where event = ?", [until]).fetchone()
    seals = json.loads(last["seals"]) | {f"checkpoint:{until}": seal("checkpoint", row)}
    vandal.raw.execute("update event set seals = ? where id = ?", [canonical(seals), last["id"]])
    vandal.relink(key, last["id"])


def cut_and_invent_the_event(vandal: Vandal) -> None:
    """A checkpoint, and an event that tells of it, with a made-up link."""
    until = place(vandal)
    insert_checkpoint(vandal, until, cut_at(vandal, until))
    last = vandal.raw.execute("select * from event order by id desc limit 1").fetchone()
    row = vandal.raw.execute("select * from checkpoint where event = ?", [until]).fetchone()
    seals = canonical({f"checkpoint:{until}": seal("checkpoint", row)})
    vandal.write({
        **dict(last), "id": last["id"] + 1, "kind": "prune", "seals": seals, "mac": vandal.dice.randbytes(32),
    })  # fmt: skip


def remove_the_checkpoint(vandal: Vandal) -> None:
    """As if nothing had been pruned: what stays is made the beginning, or renumbered to look like one."""
    vandal.raw.execute("delete from checkpoint")
    if vandal.dice.random() < 0.5:
        vandal.raw.execute("delete from event where kind = 'prune'")
    if vandal.dice.random() < 0.5:
        first = vandal.raw.execute("select min(id) from event").fetchone()[0]
        for (event,) in vandal.raw.execute("select id from event order by id").fetchall():
            vandal.raw.execute("update event set id = ? where id = ?", [event - first + 1, event])


def edit_the_checkpoint(vandal: Vandal) -> None:
    vandal.edit("checkpoint", ("event", "mac", "at", "removed"))


def remove_more_rows(vandal: Vandal) -> None:
    table = vandal.dice.choice(["alert", "run", "decision", "change"])
    row = vandal.any(table)
    vandal.raw.execute(f"delete from {table} where {SEALED[table][0]} = ?", [row[0]])


ON_WHOLE: tuple[Callable[[Vandal], None], ...] = (
    cut_and_leave_it, cut_and_add_a_checkpoint, cut_and_vouch_in_the_last_event, cut_and_invent_the_event,
)  # fmt: skip
ON_PRUNED = (*ON_WHOLE, cut_and_move_the_checkpoint, remove_the_checkpoint, edit_the_checkpoint, remove_more_rows)


def test_120_forged_cuts_are_all_found(pruned: Kept, whole: Kept, tmp_path: Path) -> None:
    assert pruned.problems() == [] and whole.problems() == []
    missed: list[tuple[int, str]] = []
    for seed in range(FORGERIES):
        log, forgeries = ((pruned, ON_PRUNED), (whole, ON_WHOLE))[seed % 2]
        copy = log.copy(tmp_path / "copy")
        forge = forgeries[seed // 2 % len(forgeries)]
        vandal = Vandal(copy, random.Random(seed))
        forge(vandal)
        vandal.close()
        if not copy.problems():
            missed.append((seed, forge.__name__))
    assert missed == []


def test_the_broken_twin_with_a_key_that_all_know_lets_a_forged_cut_pass(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "audit.key").write_text(NO_KEY.hex())
    (folder / "audit.key").chmod(0o600)
    aged(folder).store.close()
    passed = 0
    for seed in range(10):
        copy = Kept(folder).copy(tmp_path / "copy")
        vandal = Vandal(copy, random.Random(seed))
        cut_and_vouch_in_the_last_event(vandal, NO_KEY)
        vandal.close()
        passed += check(copy.path, NO_KEY, []) == []
    assert passed > 0, "so it is the key that the forgeries above fail at"


def test_a_journal_extract_from_before_the_cut_is_still_an_anchor_for_what_is_left(tmp_path: Path) -> None:
    log = aged(tmp_path / "data")
    raw = sqlite3.connect(log.path)
    heads = raw.execute("select id, mac from event").fetchall()
    raw.close()
    log.store.prune(day(3), "ann")
    log.store.close()
    extract = tmp_path / "extract"
    extract.write_text("".join(f"{number:020d} {mac.hex()}\n" for number, mac in heads))
    key = bytes.fromhex((log.folder / "audit.key").read_text())
    assert check(log.path, key, [extract]) == []
    number, mac = heads[-1]
    extract.write_text(f"{number:020d} {mac[::-1].hex()}\n")
    assert [problem.row for problem in check(log.path, key, [extract])] == [f"event:{number}"]


def test_an_open_incident_is_still_found_and_moved_on_after_pruning(tmp_path: Path) -> None:
    log = aged(tmp_path / "data")
    open_ = log.opened("redis/open")
    log.store.prune(day(3), "ann")
    assert log.store.advance(open_, IncidentStatus.ESCALATED, actor="ann", text="Look.").status == "escalated"
    assert log.store.check() == []
