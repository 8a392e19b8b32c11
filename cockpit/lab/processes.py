"""Processes of a lab by pid and start time, so that a reused pid is never touched."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import psutil

from cockpit.lab.parts import Launch
from cockpit.toolkit import programs

Identity: TypeAlias = "Mapping[str, float]"
"""`pid`, and `started` in clock ticks since the machine did, which setting its clock does not move."""

MARK = "COCKPIT_LAB"
"""Set in the environment of every process of a lab, with the lab's folder."""

GONE = ("Z", "X")
"""States of a process that has ended and was not collected yet."""

_children: list[subprocess.Popen[bytes]] = []
_collecting = threading.Lock()


def identity(pid: int) -> dict[str, float]:
    """What tells a process from a later one with the same pid. Raises ProcessLookupError when it has ended."""
    state, started = _stat(pid)
    if state in GONE:
        raise ProcessLookupError(pid)
    return {"pid": pid, "started": started}


def _stat(pid: int) -> tuple[str, int]:
    """A process's state, and when it was started."""
    fields = programs.stat(pid)
    if not fields:
        raise ProcessLookupError(pid)
    return fields[0], int(fields[19])


def alive(which: Identity) -> bool:
    """Whether the process that was written down still runs; a zombie or a reused pid does not count."""
    _reap()
    try:
        return identity(int(which["pid"]))["started"] == which["started"]
    except ProcessLookupError:
        return False


def spawn(launch: Launch, log: Path, folder: Path) -> dict[str, float]:
    """Start a process in a session of its own, its output appended to the log; it carries the lab's mark."""
    account = pwd.getpwnam(launch.user) if launch.user and os.geteuid() == 0 else None
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the lab's own modules make the arguments
            list(launch.argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=launch.cwd or folder,
            env={**os.environ, **launch.env, MARK: str(folder)},
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
    _, started = _stat(process.pid)  # also of one that has ended already: nobody collects it before it is listed
    _begun(process.pid)
    with _collecting:
        _children.append(process)
    return {"pid": process.pid, "started": started}


def _begun(pid: int) -> None:
    """Wait until a process has its environment: for an instant after it was started, Linux shows none."""
    with contextlib.suppress(OSError):  # another account's, or one that has ended
        while not Path(f"/proc/{pid}/environ").read_bytes() and _stat(pid)[0] not in GONE:
            time.sleep(0.001)


def end(which: Iterable[tuple[Identity, str]], patience: float = 5.0) -> None:
    """Send each process its signal, wait for all and their children, and kill what is left when patience ends.

    Args:
        which: processes, each with the name of the signal that stops it.
        patience: seconds until SIGKILL.
    """
    family: list[dict[str, float]] = []
    for one, how in which:
        if alive(one):
            family += [dict(one), *_children_of(int(one["pid"]))]
            _signal(one, getattr(signal, how))
            if how == "SIGKILL":
                _kill(family)
    if not _gone(family, patience):
        _kill(family)
        _gone(family, patience)


def marked(folder: Path) -> list[dict[str, float]]:
    """Every process that carries the lab's mark, written down or not."""
    wanted = f"{MARK}={folder}".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in environment.read_bytes().split(b"\0"):
                found.append(identity(int(environment.parent.name)))
        except OSError:
            continue
    return [one for one in found if one["pid"] != os.getpid()]


def _children_of(pid: int) -> list[dict[str, float]]:
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(ProcessLookupError):
                found.append(identity(child.pid))
    return found


def _kill(family: Iterable[Identity]) -> None:
    for one in family:
        _signal(one, signal.SIGKILL)


def _signal(one: Identity, number: int) -> None:
    if alive(one):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(one["pid"]), number)


def _gone(family: Iterable[Identity], patience: float) -> bool:
    deadline = time.monotonic() + patience
    left = list(family)
    while left := [one for one in left if alive(one)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _reap() -> None:
    """Collect our own children that ended, or they stay zombies that look alive to others."""
    with _collecting:
        _children[:] = [child for child in _children if child.poll() is None]
