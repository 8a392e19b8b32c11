"""Emptying a log that a service goes on writing, with a compressed copy kept, and putting it back in front.

The file stays the same file, because the service has it open: it is copied, then cut to
nothing (what logrotate calls copytruncate).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cockpit.model import Unexpected
from tools.host.folders import opened_file, opened_folder

HEAD = 4096
"""Bytes at the beginning of a log that tell its old content from its new."""
CHUNK = 1 << 20
CATCHING_UP = 20
"""Times that lines written meanwhile are copied too, before we say that it grows too fast."""
LARGEST_TAIL = 64 << 20
"""Bytes of new log that can be kept when the old ones are put back in front."""


@dataclass(frozen=True)
class Place:
    """A log and the copy that is kept of it."""

    root: str
    """The folder that the config spells out."""
    below: str
    """The log's path from there."""
    kept: str
    """The copy's name, in the same folder."""

    @property
    def folder(self) -> str:
        """The log's folder, from the root."""
        return str(Path(self.below).parent)

    @property
    def name(self) -> str:
        """The log's name in its folder."""
        return Path(self.below).name


@dataclass(frozen=True)
class Identity:
    """Which file a log is, and how it begins."""

    device: int
    inode: int
    head: str
    """SHA-256 of its first bytes."""
    size: int


def identity(place: Place) -> Identity | None:
    """Which file the log is now; None when there is none of its own. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        with opened_folder(Path(place.root), place.folder) as folder, opened_file(folder, place.name) as log:
            state = os.fstat(log)
            return Identity(state.st_dev, state.st_ino, _digest(os.pread(log, HEAD, 0)), state.st_size)
    return None


def kept_head(place: Place) -> str:
    """How the kept copy begins; empty when there is none, or it is no whole gzip file."""
    try:
        with opened_folder(Path(place.root), place.folder) as folder, opened_file(folder, place.kept) as copy:
            with gzip.open(os.fdopen(os.dup(copy), "rb")) as content:
                return _digest(content.read(HEAD))
    except (FileNotFoundError, EOFError, zlib.error, gzip.BadGzipFile):
        return ""


def estimate(place: Place) -> int:
    """Bytes that the kept copy will take, by how well the log's beginning and end compress. Raises OSError."""
    with opened_folder(Path(place.root), place.folder) as folder, opened_file(folder, place.name) as log:
        size = os.fstat(log).st_size
        sample = os.pread(log, CHUNK, 0) + os.pread(log, CHUNK, max(0, size - CHUNK))
    return int(len(zlib.compress(sample, 1)) / max(1, len(sample)) * size * 1.2) + HEAD


def rotate(place: Place) -> None:
    """Copy the log, compressed and checked, then cut it to nothing.

    Raises OSError, and Unexpected when the copy is not what was read or the log grows faster than it is copied;
    the log is whole in either case.
    """
    part = f"{place.kept}.part"
    with opened_folder(Path(place.root), place.folder) as folder, opened_file(folder, place.name, os.O_RDWR) as log:
        try:
            with _created(folder, part, log) as copy:
                read, digest = _compress(log, copy)
                _compare(copy, read, digest)
            os.rename(part, place.kept, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part, dir_fd=folder)
            raise
        os.ftruncate(log, 0)
        os.fsync(folder)


def empty(place: Place) -> None:
    """Cut the log to nothing, with no copy kept. Raises OSError."""
    with opened_folder(Path(place.root), place.folder) as folder, opened_file(folder, place.name, os.O_RDWR) as log:
        os.ftruncate(log, 0)


def put_back(place: Place) -> None:
    """Put the kept copy back in front of what the log holds by now, and remove the copy.

    Raises OSError, and Unexpected when the new log is too long to be moved.
    """
    with opened_folder(Path(place.root), place.folder) as folder:
        with opened_file(folder, place.name, os.O_RDWR) as log, opened_file(folder, place.kept) as copy:
            length = sum(len(chunk) for chunk in _chunks(copy))
            tail = _whole(log)
            os.posix_fallocate(log, length, len(tail) or 1)
            os.ftruncate(log, length + len(tail))
            late = os.pread(log, CHUNK, len(tail)).rstrip(b"\0") if len(tail) < length else b""
            os.pwrite(log, tail, length)
            at = 0
            for chunk in _chunks(copy):
                at += os.pwrite(log, chunk, at)
            # Lines that were written between our reading and our making room.
            os.pwrite(log, late, os.fstat(log).st_size)
            os.fsync(log)
        os.unlink(place.kept, dir_fd=folder)


@contextlib.contextmanager
def _created(folder: int, name: str, like: int):  # type: ignore[no-untyped-def]  # see below
    raise NotImplementedError


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
