"""The daemon under load, killed at random: every alert is there, every change happened once or not at all.

COCKPIT_KILLS sets how often it is killed; `make soak` does it 200 times.
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

from cockpit.cli.exits import TEMPORARY
from cockpit.model import ProposalState, Verdict
from tests.account import ROOT
from tests.faults.daemon_world import Place, effects, until

KILLS = int(os.environ.get("COCKPIT_KILLS", "12"))
SERVICES = 6
LONGEST = 1.2
"""Seconds that a daemon lives at the most after it has begun to act."""
CHANGE_TAKES = "0.25"
OPEN = (ProposalState.PENDING, ProposalState.APPROVED, ProposalState.EXECUTING)
POLICY = "[policy]\nchanges_per_hour = 1000000\nfailures_before_pause = 1000000\ndeadline = 3600\n"


class Busy(Place):
    """Several services in one world, so that changes run at the same time."""

    def configure(self, more: str = "") -> None:
        tables = "".join(
            f'[services.world.w{number}]\nfolder = "{self.world()}"\ninterval = 1\n' for number in range(SERVICES)
        )
        self.config.write_text(f'operator = "ada"\n{POLICY}{tables}{more}')


def acting(place: Place) -> subprocess.Popen[str]:
    """A daemon that acts; a command line that holds the log's lock is waited for."""
    while not started(place, process := place.spawn()):
        assert process.returncode == TEMPORARY, place.said()
    return process


def started(place: Place, process: subprocess.Popen[str]) -> bool:
    until(lambda: f"Process {process.pid} acts" in place.said() or process.poll() is not None)
    return process.poll() is None


@pytest.mark.timeout(60 + 20 * KILLS)
def test_kills_at_random_lose_no_alert_and_no_decision_and_double_no_change(tmp_path: Path) -> None:
    place = Busy(tmp_path)
    (place.world() / "slow").write_text(CHANGE_TAKES)
    argv = [sys.executable, "-m", "tests.faults.daemon_load", str(place.data), str(place.world()), str(SERVICES)]
    dice = random.Random(11)
    caught, by_hand = 0, []
    acting(place).kill()
    with (tmp_path / "told").open("w") as told:
        load = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=told, cwd=ROOT)
    with place.reader() as reader:
        for number in range(KILLS):
            daemon = acting(place)
            if number % 10 == 9:
                by_hand.append(asked(place))
            time.sleep(dice.uniform(0.0, LONGEST))
            daemon.send_signal(signal.SIGKILL)
            daemon.wait(60)
            caught += bool(reader.unsettled())
        assert load.poll() is None, "the load went on"
        assert load.stdin
        load.stdin.close()
        assert load.wait(60) == 0
        (place.world() / "slow").unlink()
        last = acting(place)
        until(lambda: not [one for one in reader.proposals(limit=5000) if one.state in OPEN], 120)
        assert reader.unsettled() == []
        last.send_signal(signal.SIGTERM)
        assert last.wait(60) == 0
        lines = (tmp_path / "told").read_text().splitlines()
        for verdict, id in (line.split() for line in lines if not line.startswith("alert ")):
            decision = reader.decision(int(id))
            assert decision and decision.verdict == verdict, f"proposal {id} was {verdict}"
            denied = reader.proposal(int(id)).state is ProposalState.DENIED
            assert denied == (decision.verdict is Verdict.DENIED)
        assert all(reader.decision(id) for id in by_hand)
    place.check(accepted=[line.split()[1] for line in lines if line.startswith("alert ")])
    done = len(effects(place))
    print(f"{KILLS} kills, {caught} while a change was being applied; {len(lines)} answers, {done} effects, none twice")
    assert caught >= KILLS // 4, f"only {caught} kills landed where it hurts"
    assert done > KILLS // 4


def asked(place: Place) -> int:
    """A change that is asked for and approved by the command line; returns its proposal."""
    made = place.command("run", "do_world_deed", f"key=hand{time.monotonic_ns()}", "--service", "world/w0", "--json")
    proposal = json.loads(made.stdout)["proposal"]
    place.command("approve", str(proposal["id"]), "--digest", proposal["digest"], "--wait", "0.2s")
    return int(proposal["id"])
