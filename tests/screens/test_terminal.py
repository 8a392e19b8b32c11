"""What the screen does when its terminal goes away."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest


def test_a_terminal_that_hangs_up_without_a_signal_ends_the_cockpit(tmp_path: Path) -> None:
    config = tmp_path / "cockpit" / "config.toml"
    config.parent.mkdir()
    config.write_text("[services.host.local]\n")
    ours, theirs = pty.openpty()
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "TERM": "xterm-256color"}
    argv = [sys.executable, "-c", "from cockpit.cli import main; main()"]
    # No session of its own, so that closing the terminal sends no SIGHUP: as behind some SSH and container hosts.
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    try:
        assert os.read(ours, 1)
        painted(ours)
        os.close(ours)
        assert process.wait(timeout=60) is not None
    finally:
        process.kill()
        process.wait()


def painted(terminal: int) -> None:
    """Read until the screen has been painted."""
    seen, deadline = b"", time.monotonic() + 60
    while b"Services" not in seen:
        if time.monotonic() > deadline:
            pytest.fail(f"nothing was painted: {seen[-200:]!r}")
        seen += os.read(terminal, 65536)
