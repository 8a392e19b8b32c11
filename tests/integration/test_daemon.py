"""The daemon as a process: it acts, takes signals, and leaves nothing half done."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from cockpit.cli.exits import CONFIG, IO, OK, TEMPORARY
from cockpit.lab import ports
from cockpit.model import ChangeState, ProposalState
from cockpit.store.store import Store
from tests.faults.daemon_world import Place, effects, end, timed_end, until
from tests.unit.test_imports import loaded

OK_HTTP = 200


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_it_mends_what_is_approved_beside_it_and_the_command_waits_for_the_outcome(place: Place) -> None:
    with place.daemon() as daemon, place.reader() as reader:
        place.trouble()
        proposal = place.waiting(reader)
        done = place.approve(proposal)
        assert (done.returncode, "is done" in done.stderr) == (OK, True), done.stderr
        assert daemon.poll() is None
        until(lambda: not reader.incidents(unresolved_only=True))
        decision = reader.decision(proposal.id)
        assert decision and (decision.by, decision.channel) == ("ada", "command line")
    assert effects(place) == ["set a mended"]
    place.check()


def test_a_second_one_leaves_at_once_and_says_who_acts(place: Place) -> None:
    with place.daemon() as first:
        began = time.monotonic()
        second = place.command("--daemon")
        took = time.monotonic() - began
        assert second.returncode == TEMPORARY
        assert f"Process {first.pid} acts on {place.data / 'cockpit.db'} already" in second.stderr
        assert took < 10.0
        assert first.poll() is None
    assert place.command("service", "status").returncode == 1


def test_of_several_that_start_at_once_one_acts_and_the_others_leave(place: Place) -> None:
    daemons = [place.spawn() for _ in range(4)]
    try:
        until(lambda: sum(daemon.poll() == TEMPORARY for daemon in daemons) == 3)
        [left] = [daemon for daemon in daemons if daemon.poll() is None]
        until(lambda: f"Process {left.pid} acts" in place.said())
        assert place.said().count(f"Process {left.pid} acts on {place.data / 'cockpit.db'} already") == 3
    finally:
        for daemon in daemons:
            end(daemon)
    place.check()


def test_a_wrong_config_is_told_with_the_status_that_systemd_does_not_restart(place: Place) -> None:
    place.configure("[policy]\ndeadlin = 5")
    done = place.command("--daemon")
    assert done.returncode == CONFIG
    assert "deadline" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_when_told_to(place: Place, number: int) -> None:
    with place.daemon() as daemon:
        status, seconds = timed_end(daemon, number)
        assert status == OK and seconds < 2.0
    assert place.said().rstrip().endswith("Ended.")
    place.check()


def approved_while_slow(place: Place, seconds: float, stack: contextlib.ExitStack) -> tuple[subprocess.Popen[str], int]:
    """A daemon that is writing to its target, and the proposal it carries out."""
    (place.world() / "slow").write_text(str(seconds))
    daemon = stack.enter_context(place.daemon())
    reader = stack.enter_context(place.reader())
    place.trouble()
    proposal = place.waiting(reader)
    place.decide(proposal)
    until(lambda: [applied for applied in reader.applied(proposal.id) if applied.state is ChangeState.APPLYING])
    return daemon, proposal.id


def test_a_change_that_is_being_applied_is_finished_before_it_ends(place: Place) -> None:
    with contextlib.ExitStack() as stack:
        daemon, proposal = approved_while_slow(place, 1.5, stack)
        status, seconds = timed_end(daemon)
        assert status == OK and seconds < 5.0
    with place.reader() as reader:
        assert reader.proposal(proposal).state is ProposalState.DONE
    assert effects(place) == ["set a mended"]
    place.check()


def test_a_change_that_takes_too_long_stays_in_the_journal_and_is_looked_at_by_the_next(place: Place) -> None:
    with contextlib.ExitStack() as stack:
        daemon, proposal = approved_while_slow(place, 60.0, stack)
        status, seconds = timed_end(daemon)
        assert status == OK and seconds < 5.0
    with place.reader() as reader:
        assert [applied.state for applied in reader.applied(proposal)] == [ChangeState.APPLYING]
    (place.world() / "slow").unlink()
    with place.daemon(), place.reader() as reader:
        until(lambda: reader.proposal(proposal).state is ProposalState.FAILED)
        assert "not applied" in reader.proposal(proposal).outcome
    assert effects(place) == []
    place.check()


def test_that_nothing_is_watched_is_said(place: Place) -> None:
    place.config.write_text('operator = "ada"\n')
    with place.daemon():
        until(lambda: "No service is configured" in place.said())


@pytest.mark.parametrize("seconds", ["1.0", "30.0"])
def test_it_ends_within_five_seconds_even_when_a_probe_blocks_the_process(place: Place, seconds: str) -> None:
    (place.world() / "block").write_text(seconds)
    with place.daemon() as daemon:
        status, seconds_taken = timed_end(daemon)
        assert status == OK and seconds_taken < 5.0


def test_it_may_be_told_to_end_again_and_again_until_it_is_gone(place: Place) -> None:
    with place.daemon() as daemon:
        while daemon.poll() is None:
            daemon.terminate()
        assert daemon.returncode == OK
    assert place.said().rstrip().endswith("Ended.")


def reload(daemon: subprocess.Popen[str], place: Place, word: str) -> None:
    already = place.said().count(word)
    daemon.send_signal(signal.SIGHUP)
    until(lambda: place.said().count(word) > already)


def test_sighup_takes_the_new_services_policy_and_runbooks(place: Place) -> None:
    with place.daemon() as daemon, place.reader() as reader:
        assert [watched.service.name for watched in reader.services()] == ["world/w0"]
        place.worlds = 2
        place.world(1).mkdir()
        (place.world(1) / "value-a").write_text("older")
        place.configure('[policy.levels]\nset_world_value = "soft"')
        reload(daemon, place, "The config was read again")
        assert [watched.service.name for watched in reader.services()] == ["world/w0", "world/w1"]
        place.trouble(1)
        until(lambda: (place.world(1) / "value-a").read_text() == "mended")
        until(lambda: not reader.incidents(unresolved_only=True))
    place.check(1)


@pytest.mark.parametrize(
    ("config", "runbook", "why"),
    [
        ("[policy]\ndeadlin = 5", "", "deadline"),
        ("= not toml", "", "is not TOML"),
        ('data_folder = "elsewhere"', "", "Start cockpit again"),
        ("", "kind: world\nrunbooks: [{id: broken}]", "runbook is wrong"),
    ],
)
def test_a_wrong_new_config_keeps_the_old_one_and_says_so(place: Place, config: str, runbook: str, why: str) -> None:
    with place.daemon() as daemon, place.reader() as reader:
        place.configure()
        place.config.write_text(f"{config}\n{place.config.read_text()}" if config else place.config.read_text())
        if runbook:
            (place.runbooks / "own.yaml").write_text(runbook)
        reload(daemon, place, "the old one holds")
        assert why in place.said()
        place.configure()
        place.trouble()
        assert place.approve(place.waiting(reader)).returncode == OK
        assert effects(place) == ["set a mended"]


def test_a_change_is_not_interrupted_by_a_new_config(place: Place) -> None:
    with contextlib.ExitStack() as stack:
        daemon, proposal = approved_while_slow(place, 4.0, stack)
        reload(daemon, place, "The config was read again")
        with place.reader() as reader:
            assert reader.proposal(proposal).state is ProposalState.DONE
    assert effects(place) == ["set a mended"]
    place.check()


def healthy(port: int) -> bool:
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/-/healthy", timeout=60) as answer,
    ):
        return bool(answer.status == OK_HTTP)
    return False


def test_a_channel_that_fails_is_told_once_tried_again_and_stops_nothing(place: Place) -> None:
    port = ports.reserve()
    with socket.create_server(("127.0.0.1", port)) as taken:
        place.configure(f'[http]\nbind = "127.0.0.1:{port}"')
        with place.daemon(), place.reader() as reader:
            until(lambda: "The channel http failed and is started again" in place.said())
            place.trouble()
            assert place.approve(place.waiting(reader)).returncode == OK
            taken.close()
            until(lambda: healthy(port))
            assert place.said().count("The channel http failed") == 1
    assert effects(place) == ["set a mended"]
    place.check()


def test_sighup_opens_and_closes_channels_as_the_new_config_says(place: Place) -> None:
    port = ports.reserve()
    with place.daemon() as daemon:
        assert not healthy(port)
        place.configure(f'[http]\nbind = "127.0.0.1:{port}"')
        reload(daemon, place, "The config was read again")
        until(lambda: healthy(port))
        place.configure()
        reload(daemon, place, "The config was read again")
        until(lambda: not healthy(port))


def test_it_loads_no_textual(place: Place, tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, threading, time; sys.argv = ['cockpit', '--daemon']\n"
        "def end():\n"
        "    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL: time.sleep(0.05)\n"
        "    time.sleep(1.0)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "threading.Thread(target=end).start()\n"
        "from cockpit.cli import main\ntry: main()\nexcept SystemExit: pass"
    )
    modules = loaded(program, tmp_path)
    assert "cockpit.serve.daemon" in modules and "cockpit.agent.loop" in modules
    assert modules.isdisjoint({"textual", "rich", "cockpit.app", "widgets"})


def test_a_damaged_log_ends_it_with_a_clear_line_and_status_74(place: Place) -> None:
    with place.daemon() as daemon:
        log = place.data / "cockpit.db"
        with Store.open(log) as store:
            store.note("ada", "note", "so that others read the file anew")
            store._database.conn.execute("pragma wal_checkpoint(truncate)").fetchone()
            with log.open("r+b") as file:
                file.seek(4096)
                file.write(os.urandom(log.stat().st_size - 4096))
            place.trouble()
        assert daemon.wait(60) == IO
    assert "is damaged" in place.said()
    assert "Traceback" not in place.said()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_disk_that_fails_to_keep_what_it_was_given_ends_it_and_nothing_is_tried_again(place: Place) -> None:
    tracing = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]
    tracing += ["-e", "inject=fsync,fdatasync:error=EIO:when=40+"]
    daemon = place.spawn(under=tracing)
    try:
        for attempt in range(200):
            with contextlib.suppress(OSError):
                (place.world() / "trouble").unlink() if attempt % 2 else place.trouble()
            if daemon.poll() is not None:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(0.3)
        assert daemon.poll() == IO
    finally:
        end(daemon, signal.SIGKILL)
    assert "The disk reports an error" in place.said()
    assert effects(place) == []
    place.check()


DISK_FULL = """
import sys, time
from pathlib import Path
from tests.faults.daemon_world import Place, effects, until

folder = Path(sys.argv[1])
place = Place(folder / "home", {"XDG_DATA_HOME": str(folder / "small")})
place.__class__.data = folder / "small/cockpit"
with place.daemon() as daemon, place.reader() as reader:
    place.trouble()
    proposal = place.waiting(reader)
    with open(folder / "small/ballast", "wb", buffering=0) as ballast:
        try:
            while ballast.write(b"x" * 4096):
                pass
        except OSError:
            pass
    until(lambda: "is full" in place.said())
    time.sleep(2.0)
    assert daemon.poll() is None, "it lives on"
    assert effects(place) == []
    (folder / "small/ballast").unlink()
    freed = time.monotonic()
    assert place.approve(proposal).returncode == 0
    until(lambda: not reader.incidents(unresolved_only=True))
    print(f"recovered {time.monotonic() - freed:.1f}")
    assert place.said().count("is full") < 5, place.said()
assert effects(place) == ["set a mended"]
place.check()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a mount namespace of its own")
def test_a_full_disk_is_told_once_changes_nothing_and_is_recovered_from_without_a_hand(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    mounting = 'mount -t tmpfs -o size=3m tmpfs "$1/small" && exec "$2" -c "$3" "$1"'
    argv = ["unshare", "-m", "sh", "-c", mounting, "sh", str(tmp_path), sys.executable, DISK_FULL]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "recovered" in done.stdout
