"""The screen, started from the command line in a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.account import MAIN
from tests.unit.cli_world import Home, home_in

CRASH = """
from cockpit.app import CockpitApp
def broken(self, name):
    secret = "hunter2hunter"
    raise RuntimeError("\\x1b]0;it was " + secret)
CockpitApp.action_view = broken
from cockpit.cli import crash
crash.redactor.add("hunter2hunter")
"""


class Terminal:
    """A program in a pseudo-terminal of 120 by 40."""

    def __init__(self, home: Home, program: str, *argv: str) -> None:
        self.mine, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 120))
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *argv],
            env={**home.environment(), "TERM": "xterm-256color"}, stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        self.written = b""

    def until(self, text: str, within: float = 60.0) -> None:
        """Read until the text was written."""
        deadline = time.monotonic() + within
        while text.encode() not in self.written:
            assert time.monotonic() < deadline, self.written[-500:]
            assert self._read(), f"it ended without {text!r}: {self.written[-500:]!r}"

    def press(self, keys: str) -> None:
        os.write(self.mine, keys.encode())

    def end(self) -> int:
        """Read to the end; the exit status."""
        while self._read():
            pass
        os.close(self.mine)
        return self.process.wait(60)

    def _read(self) -> bytes:
        if not select.select([self.mine], [], [], 60)[0]:
            return b""
        try:
            chunk = os.read(self.mine, 65536)
        except OSError:  # the program has closed its end
            chunk = b""
        self.written += chunk
        return chunk


@pytest.fixture
def home(tmp_path, capsys, monkeypatch) -> Iterator[Home]:
    return home_in(tmp_path, capsys, monkeypatch)


def test_the_screen_opens_probes_and_is_left_with_a_key(home):
    terminal = Terminal(home, MAIN)
    terminal.until("well")
    terminal.press("q")
    assert terminal.end() == 0
    assert home.json("services")["services"][0]["health"]["level"] == "up"
    assert terminal.written.endswith(b"l") and b"\x1b[?1049l" in terminal.written


def test_a_readonly_screen_shows_what_is_recorded_and_looks_at_nothing(home):
    home.incident("a thing of the past")
    terminal = Terminal(home, MAIN, "--readonly")
    terminal.until("a thing of the past")
    terminal.press("q")
    assert terminal.end() == 0
    assert home.json("services")["services"][0]["checked_at"] is None


def test_a_screen_that_crashes_leaves_one_sentence_and_no_secret(home):
    terminal = Terminal(home, CRASH + MAIN)
    terminal.until("well")
    terminal.press("3")
    assert terminal.end() == 1
    left = terminal.written.rpartition(b"\x1b[?1049l")[2]
    assert b"cockpit met an error of its own (RuntimeError)." in left
    assert b"Traceback" not in terminal.written and b"hunter2" not in terminal.written
    (log,) = (home.folder / "state/cockpit").glob("crash-*.log")
    written = Path(log).read_text()
    assert "RuntimeError: ␛]0;it was ‹secret:1›" in written and "\x1b" not in written


def test_a_wrong_config_ends_the_screen_with_its_sentence(home):
    home.configure("intervall = 3")
    terminal = Terminal(home, MAIN)
    assert terminal.end() == 78
    assert b"Did you mean 'interval'?" in terminal.written.rpartition(b"\x1b[?1049l")[2]


def test_without_services_the_screen_does_not_open(home):
    home.config.write_text("")
    status, _, said = home()
    assert status == 1 and "cockpit init" in said and "cockpit --demo" in said


@pytest.mark.parametrize("argv", [["--chaos", "60s"], ["--demo", "--readonly"]])
def test_options_that_exclude_each_other_are_refused(home, argv):
    assert home(*argv)[0] == 2


def test_a_person_approves_exactly_what_is_shown(home):
    proposal = home.proposal()
    terminal = Terminal(home, MAIN, "approve", "1")
    terminal.until("Type yes to approve exactly this:")
    assert proposal["digest"].encode() in terminal.written and b"+ new" in terminal.written
    terminal.press("yes\n")
    assert terminal.end() == 0
    assert (home.world / "effects").read_text() == "set a new\n"


@pytest.mark.parametrize("answer", ["\n", "y\n", "no\n", "YES\n"])
def test_anything_but_yes_approves_nothing(home, answer):
    home.proposal()
    terminal = Terminal(home, MAIN, "approve", "1")
    terminal.until("Type yes to approve exactly this:")
    terminal.press(answer)
    assert terminal.end() == 1
    assert not (home.world / "effects").exists()
    assert home.json("changes")["changes"][0]["state"] == "pending"


def test_what_is_approved_beside_an_open_screen_is_carried_out_by_its_agent(home):
    screen = Terminal(home, MAIN)
    screen.until("well")
    proposal = home.proposal()
    status, _, said = home("approve", "1", "--digest", proposal["digest"])
    assert (status, said) == (0, "Proposal 1 is done. Applied and verified.\n")
    screen.press("q")
    assert screen.end() == 0
    assert (home.world / "effects").read_text() == "set a new\n"
