"""Copies of the chain's head outside the log, where someone who edits the log does not reach them."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cockpit.model import CockpitError
from cockpit.store.chain import Head

JOURNAL = Path("/run/systemd/journal/socket")
EVERY_SECONDS = 1.0
MacOf = Callable[[int], bytes | None]


class Anchors:
    """Writes the head to files and to the system journal, at most once a second unless it matters.

    A file whose head the log does not hold (any more) is evidence and is left as it is.

    Args:
        files: where the head is kept, one line each; made with mode 0600.
        journal: the socket of systemd's journal; nothing is sent when it does not exist.
    """

    def __init__(self, files: Sequence[Path], journal: Path = JOURNAL) -> None:
        self.files = tuple(files)
        self._journal = journal
        self._written: Head | None = None
        self._written_at = 0.0
        self.troubles: dict[Path, str] = {}
        """Files that could not be written, each with the reason; the log itself goes on."""

    def keep(self, head: Head, mac_of: MacOf, *, now: bool) -> None:
        """Write the head everywhere; `mac_of` looks up the log's own link of an event."""
        if head == self._written or not (now or time.monotonic() - self._written_at >= EVERY_SECONDS):
            return
        for path in self.files:
            self._keep_in(path, head, mac_of)
        self._tell_journal(head)
        self._written_at = time.monotonic()
        if not self.troubles:
            self._written = head

    def _keep_in(self, path: Path, head: Head, mac_of: MacOf) -> None:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self.troubles[path] = error.strerror or str(error)
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            kept = parse(os.pread(descriptor, 4096, 0).decode("ascii", "replace"))
            if any(mac_of(old.id) != old.mac for old in kept):
                self.troubles[path] = "it names an event that the log does not hold, and is left as it is"
                return
            if all(old.id < head.id for old in kept):
                os.pwrite(descriptor, line(head).encode(), 0)
            self.troubles.pop(path, None)
        except (OSError, ValueError) as error:
            self.troubles[path] = str(error)
        finally:
            os.close(descriptor)

    def _tell_journal(self, head: Head) -> None:
        if not self._journal.exists():
            return
        message = f"MESSAGE={line(head).strip()}\nPRIORITY=6\nSYSLOG_IDENTIFIER=cockpit-audit\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(message.encode(), str(self._journal))
            except OSError as error:
                self.troubles[self._journal] = error.strerror or str(error)
            else:
                self.troubles.pop(self._journal, None)


def line(head: Head) -> str:
    """A head as one line of fixed width, so that it is overwritten in place."""
    return f"{head.id:020d} {head.mac.hex()}\n"


def parse(text: str) -> list[Head]:
    """The heads in a file, one a line. Raises ValueError for a line that is none."""
    heads = []
    for number, words in enumerate((entry.split() for entry in text.splitlines()), start=1):
        if len(words) != 2 or len(words[1]) != 64:
            raise ValueError(f"line {number} is not a number and 64 hex digits")
        heads.append(Head(int(words[0]), bytes.fromhex(words[1])))
    return heads


def read(path: Path) -> list[Head]:
    """The heads kept in a file; also one with many lines, such as an extract of the journal. Raises CockpitError."""
    try:
        if stat.S_ISFIFO(path.lstat().st_mode):
            raise OSError("it is a pipe, which may never end")
        return parse(path.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise CockpitError(
            f"The anchor {path} cannot be read: {error}.", "Put it back from where it was copied to."
        ) from error
