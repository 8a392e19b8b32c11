"""What the screen does when its terminal goes away."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyte
import pytest

COCKPIT = "from cockpit.cli import main; main()"
LEADS = ("setsid", "--ctty", "--wait")
"""Makes the terminal that of a session: its end is then told by SIGHUP and SIGCONT."""


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], int]]]:
    """Starts the cockpit on a terminal of its own; yields the process and our end of the terminal."""
    config = tmp_path / "cockpit" / "config.toml"
    config.parent.mkdir()
    config.write_text("[services.host.local]\n")
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "TERM": "xterm-256color"}
    started: list[subprocess.Popen[bytes]] = []

    def start(*, session: bool) -> tuple[subprocess.Popen[bytes], int]:
        ours, theirs = pty.openpty()
        argv = [*LEADS, sys.executable, "-c", COCKPIT] if session else [sys.executable, "-c", COCKPIT]
        started.append(subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env))
        os.close(theirs)
        painted(ours)
        return started[0], ours

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_terminal_that_hangs_up_without_a_signal_ends_the_cockpit(command) -> None:
    # No session of its own, so that closing the terminal sends no SIGHUP: as behind some SSH and container hosts.
    process, terminal = command(session=False)
    os.close(terminal)
    assert process.wait(timeout=60) is not None


def test_a_terminal_that_hangs_up_ends_the_cockpit(command) -> None:
    process, terminal = command(session=True)
    os.close(terminal)
    assert process.wait(timeout=60) is not None


def test_a_terminal_that_hangs_up_while_the_cockpit_ends_leaves_no_process_behind(command) -> None:
    process, terminal = command(session=True)
    os.write(terminal, b"q")
    given_back(terminal)
    os.close(terminal)
    assert process.wait(timeout=60) is not None


def test_keys_arrive_whole_and_an_escape_that_nothing_follows_is_a_key(command) -> None:
    _, terminal = command(session=True)
    os.write(terminal, b"\x0c")  # ctrl+l: all of it once more, for this screen has not seen the beginning
    screen = Shown(terminal)
    screen.until("host/local")
    for _ in range(2):
        os.write(terminal, b"?")
        screen.until("Help")
        os.write(terminal, b"\x1b")
        screen.until("host/local", gone="Help")
    os.write(terminal, b"\x1b[")  # the first half of a key that does nothing here, and what is no text at all
    os.write(terminal, b"15~\xff")
    os.write(terminal, b"3")
    screen.until("Nothing has been", gone="host/local")


class Shown:
    """What stands on a terminal of 80 by 24."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)

    def until(self, *texts: str, gone: str = "") -> None:
        """Read until these texts stand there, and that one no more."""
        deadline = time.monotonic() + 60
        while not self._holds(texts) or (gone and self._holds([gone])):
            assert time.monotonic() < deadline, self._screen.display
            if select.select([self._terminal], [], [], 0.5)[0]:
                self._stream.feed(os.read(self._terminal, 65536))

    def _holds(self, texts: Iterable[str]) -> bool:
        shown = "\n".join(self._screen.display)
        return all(text in shown for text in texts)


def given_back(terminal: int) -> None:
    """Read until the screen has gone back to what was there before."""
    seen = b""
    while b"\x1b[?1049l" not in seen:
        seen += os.read(terminal, 65536)


def painted(terminal: int) -> None:
    """Read until the screen has been painted."""
    seen, deadline = b"", time.monotonic() + 60
    while b"Services" not in seen:
        if time.monotonic() > deadline:
            pytest.fail(f"nothing was painted: {seen[-200:]!r}")
        seen += os.read(terminal, 65536)
