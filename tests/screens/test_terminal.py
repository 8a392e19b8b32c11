"""What the screen does when its terminal goes away."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

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
