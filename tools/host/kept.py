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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from cockpit.model import Unexpected
from tools.host.folders import free_bytes, opened_file, opened_folder

HEAD = 4096
"""Bytes at the beginning of a log that tell its old content from its new."""
CHUNK = 1 << 20
CATCHING_UP = 256
"""Megabytes written while it is copied, before we say that it grows too fast."""
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
    try:
        with opened_folder(Path(place.root), place.folder) as folder, opened_file(folder, place.name) as log:
            state = os.fstat(log)
            return Identity(state.st_dev, state.st_ino, _digest(os.pread(log, HEAD, 0)), state.st_size)
    except FileNotFoundError:
        return None


def kept_head(place: Place) -> str:
    """How the kept copy begins; empty when there is none, or it is no whole gzip file."""
    try:
        with opened_folder(Path(place.root), place.folder) as folder, opened_file(folder, place.kept) as copy:
            return _digest(next(_chunks(copy), b"")[:HEAD])
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
                read, digest = _compress(log, copy, 0)
                os.fsync(copy)
                _compare(copy, read, digest)
                read += _compress(log, copy, read)[0]
                os.rename(part, place.kept, src_dir_fd=folder, dst_dir_fd=folder)
                _append(copy, _cut(log, read))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part, dir_fd=folder)
            raise
        os.fsync(folder)


def empty(place: Place) -> None:
    """Cut the log to nothing, with no copy kept. Raises OSError."""
    with opened_folder(Path(place.root), place.folder) as folder, opened_file(folder, place.name, os.O_RDWR) as log:
        os.ftruncate(log, 0)


def put_back(place: Place) -> None:
    """Put the kept copy back in front of what the log holds by now, and remove the copy.

    Raises OSError, and Unexpected when there is no room, or the new log is too long to be moved.
    """
    with opened_folder(Path(place.root), place.folder) as folder:
        with opened_file(folder, place.name, os.O_RDWR) as log, opened_file(folder, place.kept) as copy:
            length = sum(len(chunk) for chunk in _chunks(copy))
            if free_bytes(folder) < length:
                raise Unexpected(f"There is no room for the {length} bytes of the kept copy.", "Make room first.")
            tail = _tail(log)
            os.ftruncate(log, length + len(tail))
            # Lines written between the last two statements; what is written from here on goes behind.
            late = os.pread(log, min(CHUNK, length), len(tail)).rstrip(b"\0")
            os.pwrite(log, tail, length)
            at = 0
            for chunk in _chunks(copy):
                at += os.pwrite(log, chunk, at)
            with opened_file(folder, place.name, os.O_WRONLY | os.O_APPEND) as end:
                os.write(end, late)
            os.fsync(log)
        os.unlink(place.kept, dir_fd=folder)


@contextlib.contextmanager
def _created(folder: int, name: str, like: int) -> Iterator[int]:
    """A new file that whoever may read the log may read, and nobody else."""
    owner = os.fstat(like)
    copy = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        if os.geteuid() == 0:
            os.fchown(copy, owner.st_uid, owner.st_gid)
        os.fchmod(copy, owner.st_mode & 0o777)
        yield copy
    finally:
        os.close(copy)


def _compress(log: int, copy: int, start: int) -> tuple[int, str]:
    """Append the log from `start` on to the copy; returns how many bytes that were, and their SHA-256."""
    read, digest = start, hashlib.sha256()
    enough = os.fstat(log).st_size + CATCHING_UP * CHUNK
    os.lseek(copy, 0, os.SEEK_END)
    with _stream(copy, "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", compresslevel=5, mtime=0) as packed:
        while chunk := os.pread(log, CHUNK, read):
            if read > enough:
                raise Unexpected(
                    "The log grows faster than it can be copied.", "Stop the service that writes it first."
                )
            packed.write(chunk)
            digest.update(chunk)
            read += len(chunk)
    return read - start, digest.hexdigest()


def _cut(log: int, read: int) -> bytes:
    """Cut the log to nothing; returns what it held beyond the bytes that were read. A line written between the
    last look and the cut is lost, so nothing stands between them, and the last look finds nothing to read."""
    late = b""
    while len(late) < LARGEST_TAIL and (chunk := os.pread(log, CHUNK, read + len(late))):
        late += chunk
    os.ftruncate(log, 0)
    return late


def _append(copy: int, content: bytes) -> None:
    os.lseek(copy, 0, os.SEEK_END)
    with _stream(copy, "wb") as file:
        file.write(gzip.compress(content, mtime=0))
    os.fsync(copy)


def _compare(copy: int, read: int, digest: str) -> None:
    length, again = 0, hashlib.sha256()
    for chunk in _chunks(copy):
        length += len(chunk)
        again.update(chunk)
    if (length, again.hexdigest()) != (read, digest):
        raise Unexpected("The kept copy is not what was read from the log.", "Check that disk before anything else.")


def _chunks(copy: int) -> Iterator[bytes]:
    os.lseek(copy, 0, os.SEEK_SET)
    with _stream(copy, "rb") as file, gzip.GzipFile(fileobj=file, mode="rb") as packed:
        while chunk := packed.read(CHUNK):
            yield chunk


def _tail(log: int) -> bytes:
    size = os.fstat(log).st_size
    if size > LARGEST_TAIL:
        raise Unexpected(f"The log holds {size} new bytes by now, too many to be moved.", "Rotate it again first.")
    content = b""
    while chunk := os.pread(log, CHUNK, len(content)):
        content += chunk
    return content


def _stream(descriptor: int, mode: str) -> BinaryIO:
    return cast(BinaryIO, os.fdopen(os.dup(descriptor), mode))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
