"""The daemon dies while a program carries out a change: the next one ends it before it looks, and repeats nothing.

COCKPIT_ORPHANS sets how often; `make soak` does it 50 times.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cockpit.model import ProposalState
from cockpit.toolkit.programs import FOLDER, gated
from tests.faults.daemon_world import Place, effects, until

ORPHANS = int(os.environ.get("COCKPIT_ORPHANS", "6"))
TAKES = 1.5
"""Seconds that the program takes."""
POLICY = "[policy]\nchanges_per_hour = 1000000\nfailures_before_pause = 1000000\n"
OPEN = (ProposalState.APPROVED, ProposalState.EXECUTING)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.configure(POLICY)
    (made.world() / "slow").write_text(str(TAKES))
    return made


def killed_at_work(place: Place, key: str, after: float) -> tuple[int, int]:
    """A daemon killed so long after its program began; the proposal, and the program's process."""
    child = place.world() / "child"
    child.unlink(missing_ok=True)
    made = place.command("run", "order_world_deed", f"key={key}", "--service", "world/w0", "--json")
    proposal = json.loads(made.stdout)["proposal"]
    with place.daemon() as daemon:
        place.command("approve", str(proposal["id"]), "--digest", proposal["digest"], "--wait", "0.1s")
        pid = int(until(lambda: child.exists() and child.read_text().strip()))
        time.sleep(after)  # the moment of death is what varies
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(10)
    return proposal["id"], pid


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def settled(place: Place, proposal: int) -> tuple[ProposalState, str]:
    """What the next daemon finds of a change."""
    with place.daemon(), place.reader() as reader:
        until(lambda: reader.proposal(proposal).state not in OPEN)
        found = reader.proposal(proposal)
        return found.state, found.outcome


@pytest.mark.timeout(60 + 30 * ORPHANS)
def test_a_program_that_outlives_the_daemon_is_ended_before_its_change_is_judged(place: Place) -> None:
    dice, caught = random.Random(3), 0
    for number in range(ORPHANS):
        key = f"k{number}"
        proposal, pid = killed_at_work(place, key, dice.uniform(0.0, 0.4 * TAKES))
        caught += alive(pid)
        state, outcome = settled(place, proposal)
        done = effects(place).count(f"deed {key}")
        assert not alive(pid)
        assert state is (ProposalState.DONE if done else ProposalState.FAILED), outcome
        time.sleep(TAKES if number == ORPHANS - 1 else 0.0)  # whatever lived on would have done its deed by now
        assert effects(place).count(f"deed {key}") == done
    print(f"{ORPHANS} kills, {caught} with the program at work afterwards; none worked on, none was run again")
    assert caught >= ORPHANS // 2
    assert not list((place.data / FOLDER).iterdir())
    place.check()


def test_the_twin_whose_program_is_not_written_down_acts_after_it_was_found_not_applied(place: Place) -> None:
    (place.world() / "unnoted").touch()
    (place.world() / "slow").write_text("8")
    proposal, pid = killed_at_work(place, "k", 0.0)
    assert settled(place, proposal)[0] is ProposalState.FAILED
    assert alive(pid)
    until(lambda: effects(place) == ["deed k"])
    with pytest.raises(AssertionError, match="I2/I3"):
        place.check()


def test_a_process_that_only_got_the_same_id_is_left_alone(place: Place) -> None:
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (place.data / FOLDER).mkdir(parents=True, mode=0o700)
        (place.data / FOLDER / str(bystander.pid)).write_text("another-boot 1\nsleep 60")
        with place.daemon():
            until(lambda: not list((place.data / FOLDER).iterdir()))
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def in_python(place: Place, program: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", program]
    return subprocess.run(argv, env=place.environment(), capture_output=True, text=True, timeout=30)


NOTED = """
import asyncio
from pathlib import Path
from cockpit.toolkit import programs
from tools.command import execute
with programs.noted_in(Path({folder!r})):
    print(asyncio.run(execute({argv!r}, seconds=9)))
"""


def test_a_program_that_cannot_be_written_down_never_begins(place: Place) -> None:
    program = NOTED.format(folder="/proc/nowhere", argv=["touch", str(place.folder / "begun")])
    made = in_python(place, program)
    assert "could not be written down" in made.stderr
    assert not (place.folder / "begun").exists()


def test_a_gate_that_nobody_opens_lets_nothing_begin(place: Place) -> None:
    argv = gated(["touch", str(place.folder / "begun")])
    waiting = subprocess.Popen(argv, stdin=subprocess.PIPE)
    waiting.stdin.close()  # as the kernel does when the daemon dies
    assert waiting.wait(30) == 0
    assert not (place.folder / "begun").exists()


def test_what_a_program_leaves_behind_on_purpose_stays_and_its_output_and_input_are_as_ever(place: Place) -> None:
    """A start command that puts a service into the background ends, and the service is none of ours."""
    left = place.folder / "left"
    argv = ["sh", "-c", f"cat; env; sleep 60 & echo $! > {left}; exit 3"]
    made = in_python(place, NOTED.format(folder=str(place.folder / "programs"), argv=argv))
    pid = int(left.read_text())
    try:
        assert "status=3" in made.stdout and "HOME" not in made.stdout
        assert alive(pid)
        assert not list((place.folder / "programs").iterdir())
    finally:
        os.kill(pid, signal.SIGKILL)
