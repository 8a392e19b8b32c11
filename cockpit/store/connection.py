"""Connections to the log's file, and what its errors mean to an operator."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from cockpit import ownership
from cockpit.model import CockpitError

SCHEMA = 5
"""The newest schema this version knows: the number of the last migration."""

BUSY_SECONDS = 5.0
"""How long a call waits for another process that is writing."""

BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside the file while it is in use."""

FSYNC_FAILED = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)

MEANINGS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: (
        "{path} is locked by another process for more than 5 s.",
        "Nothing was written. End the process that holds it (fuser -v {path}), then do it again.",
    ),
    sqlite3.SQLITE_FULL: (
        "The disk that holds {path} is full.",
        "Nothing was written. Free some space there, then do it again.",
    ),
    sqlite3.SQLITE_READONLY: (
        "{path} cannot be written: the file or its file system is read-only.",
        "Nothing was written. Check the mount and the owner of the folder.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "{path} is damaged.",
        "Stop cockpit, look with `cockpit audit verify`, and put back a backup copy.",
    ),
    sqlite3.SQLITE_NOTADB: ("{path} is not a log of cockpit.", "Move it away or put back a backup copy."),
    sqlite3.SQLITE_CANTOPEN: ("{path} cannot be opened.", "Check that the folder exists and belongs to you."),
    sqlite3.SQLITE_PERM: ("{path} may not be opened.", "Check the owner of the file and of its folder."),
    sqlite3.SQLITE_IOERR: (
        "The disk reports an error at {path}.",
        "Look at the kernel log (dmesg). Nothing more is written until cockpit is started again.",
    ),
}


class StoreError(CockpitError):
    """The log could not be read or written; `code` is SQLite's result code, 0 where there is none."""

    def __init__(self, what: str, fix: str = "", code: int = 0) -> None:
        super().__init__(what, fix)
        self.code = code

    @property
    def lasting(self) -> bool:
        """Whether the file must not be written again by this process."""
        return self.code in FSYNC_FAILED or self.code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite raises about the file into one sentence and its remedy, as a StoreError."""
    try:
        yield
    except sqlite3.Error as error:
        raise meaning(error, path) from error
    except UnicodeDecodeError as error:  # what sqlite3 raises when a damaged name stands in its message
        raise told(sqlite3.SQLITE_CORRUPT, path) from error
    except OSError as error:
        raise unusable(path, error) from error


def unusable(path: Path, error: OSError) -> StoreError:
    """The StoreError for a file or folder that the system refuses."""
    named = error.filename if isinstance(error.filename, str) else path
    return StoreError(
        f"{named} cannot be opened: {error.strerror or error}.", "Check the owner and the free space of its folder."
    )


def meaning(error: sqlite3.Error, path: Path) -> StoreError:
    """The StoreError that says what an error of SQLite means."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF in MEANINGS:
        return told(code, path)
    return StoreError(f"The log at {path} refuses this: {error}.", "", code)


def told(code: int, path: Path) -> StoreError:
    """The StoreError for one of the result codes that have a meaning of their own."""
    what, fix = MEANINGS[code & 0xFF]
    return StoreError(what.replace("{path}", str(path)), fix.replace("{path}", str(path)), code)


def writing(path: Path) -> sqlite3.Connection:
    """A connection that writes: made with mode 0600, WAL, and every commit on the disk before it returns."""
    _make_private(path)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma trusted_schema = off")
    except BaseException:
        connection.close()
        raise
    return connection


def reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Raises CockpitError when there is no log of this schema."""
    with explained(path):
        for file in _with_those_beside(path):
            refuse_foreign(file)
    if not path.exists():
        raise StoreError(f"There is no log at {path} yet.", "It is made when cockpit runs for the first time.")
    with explained(path):
        connection = _connect_reading(path)
        try:
            connection.row_factory = sqlite3.Row
            check_schema(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file of another schema. Raises CockpitError."""
    found = schema(connection)
    refuse_newer(found, path)
    if found < SCHEMA:
        raise StoreError(
            f"{path} was written by an older version (schema {found}, this one reads {SCHEMA}).",
            "Start cockpit once: it keeps a backup copy and brings the file up to date.",
        )


def quick_check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file whose structure is damaged. Raises CockpitError."""
    found = connection.execute("pragma quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreError(
            f"{path} is damaged: {found}.", "Put back a backup copy; `cockpit audit verify` says what is wrong."
        )


def refuse_newer(found: int, path: Path, known: int = SCHEMA) -> None:
    """Raise CockpitError when a schema is newer than this version knows."""
    if found > known:
        raise StoreError(
            f"{path} was written by a newer version (schema {found}, this one knows {known}).",
            "Install that version, or put back the backup copy that lies beside the file.",
        )


def schema(connection: sqlite3.Connection) -> int:
    """The number of the last migration that was applied to the file."""
    return int(connection.execute("pragma user_version").fetchone()[0])


def _connect_reading(path: Path) -> sqlite3.Connection:
    """Read-only; on a read-only file system, where no WAL index can be made, as an unchanging file."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    for attempt in (uri, uri + "&immutable=1"):
        connection = sqlite3.connect(
            attempt, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("select count(*) from sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            code = error.sqlite_errorcode & 0xFF
            other = code not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            if attempt != uri or other or _has_wal(path):
                raise
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise AssertionError("the second attempt returns or raises")


def _has_wal(path: Path) -> bool:
    """Whether commits lie beside the file, which reading it as an unchanging one would miss."""
    wal = path.with_name(path.name + "-wal")
    return wal.exists() and wal.stat().st_size > 0


def refuse_foreign(path: Path) -> None:
    """Raise StoreError when a file that is written in place is not the operator's own."""
    if fault := ownership.of_file(path, written_in_place=True):
        raise StoreError(*fault)


def _with_those_beside(path: Path) -> list[Path]:
    return [path, *(path.with_name(path.name + ending) for ending in BESIDE)]


def _make_private(path: Path) -> None:
    """Make folder and file with modes 0700 and 0600; a file that is there already loses rights for others."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if fault := ownership.of_folder(path.parent):
            raise StoreError(*fault)
        for file in _with_those_beside(path):
            refuse_foreign(file)
        if not os.access(path.parent, os.W_OK):
            raise told(sqlite3.SQLITE_READONLY, path)
        # Closing any descriptor of an existing file would drop the locks that SQLite holds on it in this process,
        # and with them the log's commits once another process believes itself to be the last one.
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o600))
        for file in _with_those_beside(path):
            _close_to_others(file)
    except OSError as error:
        raise unusable(path, error) from error


def _close_to_others(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
