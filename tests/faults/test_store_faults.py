"""What the log does when the disk, the file, other processes or the process itself fail."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from cockpit.model import CockpitError, ProposalState, Verdict
from cockpit.store.chain import SEALED
from cockpit.store.connection import StoreError, explained
from cockpit.store.reader import Reader
from cockpit.store.store import Store
from tests.mounts import own_mounts
from tests.stopwatch import Stopwatch
from tests.unit.store_examples import START, Log

FLIPS = 500


LOCK = """
import sqlite3, sys
raw = sqlite3.connect(sys.argv[1], isolation_level=None)
raw.execute("begin immediate")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_locked_file_is_told_after_five_seconds_and_the_same_call_works_later(log: Log) -> None:
    proposal = log.proposed()
    argv = [sys.executable, "-c", LOCK, str(log.path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin and other.stdout and other.stdout.readline() == "locked\n"
        began, watch = time.monotonic(), Stopwatch()
        with pytest.raises(CockpitError, match="locked by another process for more than 5 s"):
            log.approve(proposal)
        assert time.monotonic() - began > 4.5
        assert watch.seconds() < 8.0
        watch = Stopwatch()
        assert log.store.reader.proposal(proposal.id).state is ProposalState.PENDING
        assert watch.seconds() < 1.0, "reading does not wait for a writer"
        other.stdin.close()
    log.approve(proposal)
    assert log.store.reader.proposal(proposal.id).state is ProposalState.APPROVED
    assert log.problems() == []


def test_a_full_file_is_told_and_leaves_nothing_half_done(log: Log) -> None:
    proposal = log.proposed(log.opened())
    raw = log.store._database.conn
    raw.execute("pragma max_page_count = 1").fetchone()
    before = log.store.reader.last_event()
    with pytest.raises(CockpitError, match=r"is full.*Free some space"):
        log.store.note("ann", "note", "x" * 100_000)
    for _ in range(200):
        try:
            log.store.note("ann", "note", "x" * 1000)
        except CockpitError:
            break
    with pytest.raises(CockpitError, match="is full"):
        log.store.decide(
            proposal.id, proposal.digest, Verdict.APPROVED, by="ann", channel="keypress", at=START, reason="x" * 9000
        )
    assert log.store.reader.proposal(proposal.id).state is ProposalState.PENDING
    assert log.store.reader.decision(proposal.id) is None
    raw.execute("pragma max_page_count = 1000000").fetchone()
    log.approve(proposal)
    assert log.store.reader.last_event() > before
    assert log.problems() == []


FULL_DISK = """
import json, os, sys
from pathlib import Path
from cockpit.model import CockpitError, Decision, Proposal, ProposalState
from tests.unit.store_examples import Log

folder, told, kept = Path(sys.argv[1]), set(), 0
log = Log(folder / "data")
waiting = [log.proposed(service=f"redis/{n}") for n in range(20)]
with open(folder / "ballast", "wb", buffering=0) as ballast:
    try:
        while ballast.write(b"x" * 4096):
            pass
    except OSError:
        pass
for attempt in range(40):
    for proposal in waiting:
        try:
            log.approve(proposal)
        except CockpitError as error:
            told.add(error.what.replace(str(folder), ""))
        else:
            kept += 1
            waiting.remove(proposal)
            break
undecided = [log.store.reader.decision(p.id) for p in waiting]
try:
    os.unlink(folder / "ballast")
except OSError as error:
    told.add(str(error))
for proposal in waiting:
    log.approve(proposal)
approved = len(log.store.reader.proposals(state=ProposalState.APPROVED))
problems = [str(problem) for problem in log.store.check()]
log.store.close()
print(json.dumps({"told": sorted(told), "undecided": undecided, "approved": approved, "problems": problems}))
"""

READ_ONLY = """
import json, subprocess, sys
from pathlib import Path
from cockpit.model import CockpitError
from cockpit.store.reader import Reader
from tests.unit.store_examples import Log

folder, told = Path(sys.argv[1]), []
log = Log(folder / "data")
proposal = log.proposed()
log.store.close()
subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True, timeout=60)
try:
    Log(folder / "data")
except CockpitError as error:
    told.append(error.what)
with Reader(log.path) as reader:
    print(json.dumps({"told": told, "pending": [p.id for p in reader.proposals()]}))
"""


def on_a_small_disk(script: str, folder: Path) -> dict[str, object]:
    """What a script prints when it runs in a mount namespace of its own, with 2 MB of disk."""
    mounting = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    argv = ["unshare", "-m", "sh", "-c", mounting, "sh", str(folder), sys.executable, script]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@own_mounts
def test_a_full_disk_loses_no_decision_and_heals_by_itself(tmp_path: Path) -> None:
    found = on_a_small_disk(FULL_DISK, tmp_path)
    assert found["told"] == ["The disk that holds /data/cockpit.db is full."]
    assert set(found["undecided"]) == {None}
    assert (found["approved"], found["problems"]) == (20, [])


@own_mounts
def test_a_read_only_disk_is_told_and_can_still_be_read(tmp_path: Path) -> None:
    found = on_a_small_disk(READ_ONLY, tmp_path)
    [told] = found["told"]
    assert "read-only" in told.lower()
    assert found["pending"] == [1]


def dump(path: Path) -> list[tuple[object, ...]]:
    """Everything that the log says happened."""
    raw = sqlite3.connect(path)
    try:
        return [row for table in ("event", *SEALED) for row in raw.execute(f"select * from {table} order by 1")]
    finally:
        raw.close()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a log that was closed."""
    log = Log(tmp_path_factory.mktemp("closed") / "data")
    for number in range(6):
        log.lived_through(f"redis/{number}", after=number + 2)
    log.approved(service="redis/last", after=9)
    log.store.close()
    return log.folder


def verdict_on(folder: Path) -> str:
    """What cockpit makes of a log when it starts: refused, found, or nothing."""
    try:
        with Store.open(folder / "cockpit.db") as store:
            return "found" if store.check() else "nothing"
    except CockpitError:
        return "refused"


def flipped(closed: Path, folder: Path, offset: int, bit: int) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(closed, folder)
    with open(folder / "cockpit.db", "r+b") as file:
        file.seek(offset)
        [byte] = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))
    return folder


def test_500_flipped_bits_are_detected_or_harmless(closed: Path, tmp_path: Path) -> None:
    wanted, size = dump(closed / "cockpit.db"), (closed / "cockpit.db").stat().st_size
    made, silent = Counter[str](), []
    for seed in range(FLIPS):
        dice = random.Random(seed)
        offset = size * seed // FLIPS + dice.randrange(size // FLIPS)
        folder = flipped(closed, tmp_path / "flipped", offset, dice.randrange(8))
        verdict = verdict_on(folder)
        made[verdict] += 1
        if verdict == "nothing" and dump(folder / "cockpit.db") != wanted:
            silent.append(offset)
    assert silent == []
    assert made["refused"] > 10 and made["found"] > 10, made


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused_or_found(closed: Path, tmp_path: Path, share: float) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(closed, folder)
    path = folder / "cockpit.db"
    os.truncate(path, int(path.stat().st_size * share))
    assert verdict_on(folder) in ("refused", "found")


@pytest.mark.parametrize(
    "content", [b"not a database at all, whatever its name says" * 40, b"SQLite format 3\x00" + b"\xff" * 4096]
)
def test_a_file_that_is_no_log_is_refused_with_a_sentence_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cockpit.db"
    path.write_bytes(content)
    for door in (Store.open, Reader):
        with pytest.raises(CockpitError, match=r"not a log|damaged"):
            door(path)
    assert path.read_bytes() == content


def test_a_log_whose_wal_was_deleted_is_read_up_to_the_last_checkpoint_and_found_out(tmp_path: Path) -> None:
    log = Log(tmp_path / "data")
    log.store._database.conn.execute("pragma wal_autocheckpoint = 0").fetchone()
    log.opened()
    log.store._database.conn.execute("pragma wal_checkpoint").fetchone()
    log.store.freeze("ann")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("cockpit.db", "audit.key", "audit.head"):
        shutil.copy(log.folder / name, copy)
    log.store.close()
    assert verdict_on(copy) == "found"


def test_after_damage_was_seen_nothing_more_is_written(log: Log) -> None:
    log.opened()
    with pytest.raises(StoreError, match="is damaged") as seen, log.store._transaction(), explained(log.path):
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
    assert seen.value.lasting
    with pytest.raises(CockpitError, match="is damaged"):
        log.store.note("ann", "note", "again")
    assert log.store.reader.last_event() == 1


WRITER = """
import sys
from pathlib import Path
from tests.unit.store_examples import Log

log = Log(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(100_000):
    event = log.store.note("ann", "note", str(number))
    print(event.id, flush=True)
    log.lived_through(f"redis/{number}", after=number)
"""


def test_a_writer_killed_at_random_loses_nothing_it_was_told_is_written(tmp_path: Path) -> None:
    dice = random.Random(4)
    folder = tmp_path / "data"
    landed = 0
    for _ in range(15):
        argv = [sys.executable, "-c", WRITER, str(folder)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout and writer.stdout.readline() == "ready\n"
            acknowledged = [writer.stdout.readline() for _ in range(dice.randrange(1, 6))]
            writer.send_signal(signal.SIGKILL)
            acknowledged += writer.stdout.read().splitlines(keepends=True)
        whole = [int(told) for told in acknowledged if told.endswith("\n")]
        landed += bool(whole)
        with Store.open(folder / "cockpit.db") as store:
            assert store.check() == []
            assert store.reader.last_event() >= max(whole)
            shutil.rmtree(folder) if store.reader.last_event() > 400 else None
    assert landed == 15
