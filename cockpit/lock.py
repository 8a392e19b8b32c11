"""The lock on a log: one engine acts on it at a time."""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cockpit import ownership
from cockpit.model import CockpitError
from cockpit.settings import Settings

A_LOOK_TAKES = 0.05
"""Seconds for which somebody who only looks may be in the way of one who is to act."""
WRITTEN_WITHIN = 1.0
"""Seconds in which who takes the lock has written down that it did."""


class Held(CockpitError):
    """Another process acts on the log."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            f"Process {lock_holder(settings)} acts on {settings.data_folder / 'cockpit.db'} already.",
            "End that one first; `cockpit` beside it attaches, and can decide.",
        )


def is_free(settings: Settings) -> bool:
    """Whether no process acts on the log. Raises CockpitError when the folder or the file is not the operator's own."""
    descriptor = _open(settings)
    try:
        # Shared: those who only look do not take each other for one who acts.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def take(settings: Settings) -> int | None:
    """The lock of the acting engine as a file descriptor, or None when another process holds it.

    Raises CockpitError when the folder or the file is not the operator's own.
    """
    descriptor = _open(settings)
    if not _exclusive(descriptor):
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


@contextmanager
def locked(settings: Settings) -> Iterator[bool]:
    """Keep every engine from acting on the log meanwhile; whether that worked, for another may act already."""
    lock = take(settings)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


def lock_holder(settings: Settings) -> str:
    """The id of the process that acts on the log, as it wrote it down; `?` where it wrote none."""
    deadline = time.monotonic() + WRITTEN_WITHIN
    while not _lives(holder := _written(settings)) and time.monotonic() < deadline:
        _pause()
    return holder or "?"


def _exclusive(descriptor: int) -> bool:
    deadline = time.monotonic() + A_LOOK_TAKES
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            _pause()
        else:
            return True


def _pause() -> None:
    """Wait a moment by how long, not until when: `time.sleep` fails on a clock that jumps."""
    select.select([], [], [], 0.01)


def _written(settings: Settings) -> str:
    try:
        found = _lock_file(settings).read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
    return found if found.isdigit() else ""


def _lives(process: str) -> bool:
    """Whether there is such a process; what one that was killed wrote stays in the file."""
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    return True


def _open(settings: Settings) -> int:
    file = _lock_file(settings)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if fault := ownership.of_folder(file.parent) or ownership.of_file(file, written_in_place=True):
            raise CockpitError(*fault)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CockpitError(f"{file} cannot be opened: {error.strerror}.", "Check the owner of its folder.") from error


def _lock_file(settings: Settings) -> Path:
    return settings.data_folder / "engine.lock"
