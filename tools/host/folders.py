"""Configured folders, and files below them that no link leads out of.

Everything is opened one path component at a time without following links (O_NOFOLLOW), so
that whoever may write in a folder cannot make us read or change a file elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cockpit.model import Unexpected

MOST_ENTRIES = 100_000
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""O_NONBLOCK, or opening a named pipe that somebody put there would wait for ever."""


@dataclass(frozen=True)
class Entry:
    """A regular file below a folder."""

    path: str
    """Relative to the folder."""
    size: int
    inode: int
    modified_at: float
    links: int


def entries(root: Path) -> Iterator[Entry]:
    """Every regular file below a folder on the same file system; links are neither followed nor listed.

    Raises Unexpected when the folder holds more than can be walked in a moment, or cannot be read.
    """
    try:
        device = root.stat().st_dev
        count = 0
        for folder, names, files, descriptor in os.fwalk(root, follow_symlinks=False):
            below = Path(folder).relative_to(root)
            names[:] = [name for name in names if _device(name, descriptor) == device]
            for name in files:
                count += 1
                if count > MOST_ENTRIES:
                    raise Unexpected(f"{root} holds more than {MOST_ENTRIES} files.", "Name a folder further down.")
                found = _entry(name, descriptor, below)
                if found:
                    yield found
    except OSError as error:
        raise Unexpected(f"{root} cannot be read: {error.strerror}.", "Correct its path in the config.") from error


def used_bytes(root: Path) -> int:
    """The sizes of all files below a folder together. Raises Unexpected."""
    return sum(entry.size for entry in entries(root))


@contextmanager
def opened_folder(root: Path, below: str) -> Iterator[int]:
    """A descriptor of a folder below `root`, reached without following a link. Raises OSError."""
    descriptor = os.open(root.resolve(), FOLDER)
    try:
        for part in Path(below).parts:
            if part in ("..", "/"):
                raise PermissionError(1, "leads out of its folder")
            deeper = os.open(part, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_file(folder: int, name: str, flags: int = os.O_RDONLY) -> Iterator[int]:
    """A descriptor of a regular file in an open folder. Raises OSError for a link or anything else.

    A file with a second name is refused: it may be somebody else's, linked here.
    """
    descriptor = os.open(name, flags | FILE, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise PermissionError(1, "is no file of its own")
        yield descriptor
    finally:
        os.close(descriptor)


def free_bytes(descriptor: int) -> int:
    """What users can still write on the file system of an open folder."""
    state = os.fstatvfs(descriptor)
    return state.f_bavail * state.f_frsize


def _device(name: str, folder: int) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_dev
    except OSError:
        return None


def _entry(name: str, folder: int, below: Path) -> Entry | None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Entry(str(below / name), found.st_size, found.st_ino, found.st_mtime, found.st_nlink)
