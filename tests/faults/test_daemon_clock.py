"""The wall clock jumps under a running daemon: deadlines hold, nothing runs late, probes go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit.cli.exits import DENIED, OK
from cockpit.model import ProposalState
from tests.faults.daemon_world import Place, effects, until
from tests.stopwatch import Stopwatch

HOUR, DAY = 3600, 86_400
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
SLEEP = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds)[0]\n"
"""Python sleeps by clock_nanosleep(2) until a moment, which libfaketime refuses once its clock was set."""
needs_faketime = pytest.mark.skipif(FAKETIME is None, reason="needs Debian's libfaketime")


class Shifted(Place):
    """A place whose processes read a wall clock that the test sets; their monotonic clock is left alone."""

    def jump(self, seconds: int) -> None:
        """Set the clock so far from the real one, for every process from now on."""
        part = self.folder / "clock.part"
        part.write_text(f"{seconds:+d}s\n")
        part.replace(self.folder / "clock")


@pytest.fixture
def place(tmp_path: Path) -> Shifted:
    environ = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    made = Shifted(tmp_path, environ)
    (made.plugins / "sitecustomize.py").write_text(SLEEP)
    made.jump(0)
    return made


@needs_faketime
@pytest.mark.parametrize("jump", [HOUR, DAY])
def test_a_clock_set_forward_ends_what_waited_and_nothing_of_it_runs(place: Shifted, jump: int) -> None:
    with place.daemon() as daemon, place.reader() as reader:
        place.trouble()
        proposal = place.waiting(reader)
        watch = Stopwatch(daemon.pid)
        place.jump(jump)
        until(lambda: reader.proposal(proposal.id).state is ProposalState.EXPIRED)
        assert watch.seconds() < 5.0
        assert place.approve(proposal).returncode == DENIED
        (place.world() / "trouble").unlink()
        until(lambda: not reader.incidents(unresolved_only=True))
    assert effects(place) == []
    place.check()


@needs_faketime
@pytest.mark.parametrize("jump", [-HOUR, -DAY])
def test_a_clock_set_back_does_not_give_a_proposal_more_time(place: Shifted, jump: int) -> None:
    place.configure("[policy]\ndeadline = 4")
    with place.daemon() as daemon, place.reader() as reader:
        place.trouble()
        proposal = place.waiting(reader)
        watch = Stopwatch(daemon.pid)
        place.jump(jump)
        until(lambda: reader.proposal(proposal.id).state is ProposalState.EXPIRED)
        assert watch.seconds() < 6.0, "its own four seconds, whatever the wall says"
        assert place.approve(proposal).returncode == DENIED
    assert effects(place) == []
    place.check()


@needs_faketime
def test_a_clock_set_back_while_an_incident_is_open_brings_one_new_proposal_and_no_flood(place: Shifted) -> None:
    with place.daemon(), place.reader() as reader:
        place.trouble()
        first = place.waiting(reader)
        place.jump(-HOUR)
        (place.world() / "value-a").write_text("moved")
        assert "superseded" in place.approve(first).stderr
        assert place.approve(place.waiting(reader)).returncode == OK
        until(lambda: not reader.incidents(unresolved_only=True))
        assert len(reader.proposals()) == 2
    assert effects(place) == ["set a mended"]
    place.check()


@needs_faketime
@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY, -DAY])
def test_after_a_jump_probes_go_on_and_an_incident_is_mended(place: Shifted, jump: int) -> None:
    with place.daemon() as daemon, place.reader() as reader:
        until(lambda: reader.services()[0].health)
        place.jump(jump)
        place.trouble()
        proposal = place.waiting(reader)
        assert place.approve(proposal).returncode == OK
        until(lambda: not reader.incidents(unresolved_only=True))
        assert daemon.poll() is None
    assert effects(place) == ["set a mended"]
    place.check()


@needs_faketime
@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_while_a_change_is_applied_neither_stops_nor_repeats_it(place: Shifted, jump: int) -> None:
    (place.world() / "slow").write_text("1.5")
    with place.daemon(), place.reader() as reader:
        place.trouble()
        proposal = place.waiting(reader)
        place.decide(proposal)
        until(reader.unsettled)
        place.jump(jump)
        until(lambda: reader.proposal(proposal.id).state is ProposalState.DONE)
    assert effects(place) == ["set a mended"]
    place.check()
