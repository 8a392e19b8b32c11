"""Programs that carry out a change: each is written down before it acts, so that no start misses one still at work.

A daemon that is killed leaves its programs behind, and whoever reads the target while such a
program works would call a change not applied that is applied a moment later. So a program
begins behind a gate: it is another Python, which waits for a byte on a pipe and then becomes
the program, the same process by its id and start time. Those two are in a file before the
byte is sent. A daemon that dies earlier closes the pipe, and the program never begins; one
that dies later leaves the file, and the next start ends what it names before it reads any
target. A file, and not synced: what a loss of power would take from it, it ends as well.

The kernel's parent-death signal would be shorter, and is wrong here: it comes at the end of the
*thread* that forked, is lost at a set-user-id program, and is not waited for by anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from cockpit.model import CockpitError

FOLDER = "programs"
"""Beside the log: one file for each program at work."""
GATE = """
import os, sys
if os.read(0, 1):
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        os.execvp(sys.argv[1], sys.argv[1:])
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")
"""
ENDS_WITHIN = 10.0
"""Seconds that a killed program is waited for."""

_folder: ContextVar[Path | None] = ContextVar("folder of programs", default=None)


@dataclass(frozen=True)
class Left:
    """A program that a dead process left at work."""

    pid: int
    command: str


@contextmanager
def noted_in(folder: Path | None) -> Iterator[None]:
    """Have the programs that are begun in here written down in that folder."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def wanted() -> bool:
    """Whether programs that are begun now are to be written down, and so begin behind the gate."""
    return _folder.get() is not None


def gated(argv: Sequence[str]) -> list[str]:
    """The command that waits for a byte on its standard input, and then becomes the program."""
    return [sys.executable, "-ISc", GATE, *argv]


@contextmanager
def noted(pid: int, argv: Sequence[str]) -> Iterator[None]:
    """Keep a program, the leader of its process group, written down as long as it is at work.

    Raises OSError when that is impossible; then it must not begin.
    """
    folder = _folder.get()
    if folder is None:
        yield
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / str(pid)
    try:
        file.write_text(f"{_identity(pid)}\n{shlex.join(argv)}")
        yield
    finally:
        with contextlib.suppress(OSError):  # a full or read-only disk; the process it names is gone
            file.unlink(missing_ok=True)


async def end_left(folder: Path) -> list[Left]:
    """End every program that a dead process left at work, and return once none of them acts any more.

    Raises CockpitError when one cannot be ended: nothing may be judged before it is.
    """
    ended = []
    for left, file in _written_down(folder):
        if left:
            await _end(left)
            ended.append(left)
        file.unlink(missing_ok=True)
    return ended


def _written_down(folder: Path) -> Iterator[tuple[Left | None, Path]]:
    """Each file, with the program that it names if that still lives; its id alone may be another's by now."""
    for file in folder.glob("[0-9]*"):
        identity, _, command = file.read_text().partition("\n")
        lives = identity and _identity(int(file.name)) == identity
        yield (Left(int(file.name), command) if lives else None), file


async def _end(left: Left) -> None:
    give_up = time.monotonic() + ENDS_WITHIN
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(left.pid, signal.SIGKILL)
    while _at_work(left.pid):
        if time.monotonic() > give_up:
            raise CockpitError(
                f"Process {left.pid} still carries out a change for a cockpit that died: {left.command}.",
                f"Wait for it, or type: sudo kill -KILL -- -{left.pid}",
            )
        await asyncio.sleep(0.02)


def _identity(pid: int) -> str:
    """What no other process has that gets the same id: this boot, and when it was started in it; else empty."""
    fields = stat(pid)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {fields[19]}" if fields else ""


def _at_work(group: int) -> bool:
    """Whether a process of the group can still act: one that is dead and not yet fetched cannot."""
    processes = (stat(int(entry.name)) for entry in Path("/proc").glob("[0-9]*"))
    return any(fields and fields[2] == str(group) and fields[0] not in "ZX" for fields in processes)


def stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` from the process's state on; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2].split()
    except OSError:
        return []
