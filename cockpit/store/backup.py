"""Copies of the log with its key: made while it is in use, checked before they count, put back whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cockpit import ownership
from cockpit.model import CockpitError
from cockpit.store.audit import verify
from cockpit.store.chain import load_key
from cockpit.store.connection import BESIDE, BUSY_SECONDS, StoreError, explained, reading, writing
from cockpit.store.reader import Reader
from cockpit.store.store import HEAD, KEY, Store


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that was checked."""

    events: int
    """The last event in it."""
    aside: Path | None = None
    """Where what it replaces is kept."""


def key_of(copy: Path) -> Path:
    """Where the key lies that belongs to a backup copy."""
    return copy.with_name(copy.name + ".key")


def back_up(log: Path, copy: Path) -> Copied:
    """Copy a log that may be in use, and its key, then check the copy; both get mode 0600.

    Args:
        log: the log's file.
        copy: where to; a file that is there is replaced, once the new one is found whole.

    Raises CockpitError when the log cannot be read, the copy cannot be written, or the copy is not whole.
    """
    load_key(log.with_name(KEY), create=False)
    if copy.resolve() in (log.resolve(), log.with_name(KEY).resolve()):
        raise StoreError(f"{copy} is the log itself.", "Name another file.")
    with explained(copy):
        _refuse_foreign(copy)
    with explained(copy), _private(copy) as part, _private(key_of(copy)) as key:
        shutil.copyfile(log.with_name(KEY), key)
        _copy(log, part)
        _require_whole(part, key, copy)
        with Reader(part) as reader:
            events = reader.last_event()
        _sync(part, key)
        key.replace(key_of(copy))
        part.replace(copy)
        _sync(copy.parent)
    return Copied(events)


def restore(copy: Path, log: Path, by: str) -> Copied:
    """Put a backup copy in the log's place; whoever calls holds the engine's lock.

    What is there is kept in a folder of its own beside it, with its key and its anchor. The copy
    is checked first, brought to this version's schema, and told that it was put back.

    Args:
        copy: the copy, with its key beside it.
        log: the log's file.
        by: who asked for it.

    Raises CockpitError, with everything as it was, when the copy is not whole or the log is in use.
    """
    with explained(log):
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix="restore-", dir=log.parent))
    try:
        with explained(copy):
            _refuse_foreign(copy)
            for source, name in ((copy, log.name), (key_of(copy), KEY)):
                shutil.copyfile(source, staged / name)
                (staged / name).chmod(0o600)
        events = _told(staged / log.name, copy, by)
        with explained(log):
            return Copied(events, _swap(staged, log))
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _told(staged: Path, copy: Path, by: str) -> int:
    """Bring the copy to this schema, check it, and write into it that it was put back; the last event it held."""
    with Store.open(staged) as store:
        _require_whole(staged, staged.with_name(KEY), copy)
        events = store.reader.last_event()
        store.note(by, "note", f"The log was put back from a copy that ends at event {events}.")
    return events


def _swap(staged: Path, log: Path) -> Path | None:
    there = log.exists() or log.with_name(KEY).exists()
    aside = _set_aside(log) if there else None
    for name in (KEY, HEAD, log.name):
        (staged / name).replace(log.with_name(name))
    _sync(log, log.parent)
    return aside


def _set_aside(log: Path) -> Path:
    """Keep what is there in a folder of its own; the log itself stays in its place until it is replaced."""
    if log.exists():
        _let_nobody_write(log)
    aside = Path(tempfile.mkdtemp(prefix=time.strftime("before-restore-%Y%m%d-%H%M%S-"), dir=log.parent))
    for name in (KEY, HEAD, log.name):
        if log.with_name(name).exists():
            os.link(log.with_name(name), aside / name)
    for ending in BESIDE:
        if log.with_name(log.name + ending).exists():
            log.with_name(log.name + ending).replace(aside / (log.name + ending))
    return aside


def _let_nobody_write(log: Path) -> None:
    """Fold what lies beside the file into it, which works only while nobody else has it open.

    A damaged file, the reason to restore one, is set aside with all that lies beside it instead.
    """
    try:
        with explained(log):
            connection = writing(log)
            try:
                connection.execute("pragma busy_timeout = 0")
                connection.execute("pragma journal_mode = delete")
            finally:
                connection.close()
    except StoreError as error:
        if error.code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreError(
                f"{log} is open in another process.", "Close every screen of cockpit first.", error.code
            ) from error


def _copy(log: Path, part: Path) -> None:
    source = reading(log)
    target = sqlite3.connect(part, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        source.backup(target)
        target.execute("pragma journal_mode = delete")
    finally:
        target.close()
        source.close()


def _require_whole(part: Path, key: Path, copy: Path) -> None:
    if problems := verify(part, key, ()):
        raise CockpitError(
            f"{copy} is not whole: {problems[0].row} {problems[0].what}.",
            "See what is wrong with the log: cockpit audit verify",
        )


@contextmanager
def _private(path: Path) -> Iterator[Path]:
    """An empty file of mode 0600 beside a path, to be renamed to it; gone afterwards if it was not."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _refuse_foreign(copy: Path) -> None:
    """Raise StoreError when a copy, or its key, is not the operator's own: it is neither replaced nor put back."""
    for path in (copy, key_of(copy)):
        if fault := ownership.of_file(path):
            raise StoreError(*fault)


def _sync(*paths: Path) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
