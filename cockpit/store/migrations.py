"""Brings a log's file to the newest schema, one numbered SQL file at a time, each whole or not at all."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.files import data_file
from cockpit.store.connection import refuse_newer, schema

if TYPE_CHECKING:
    from sqlite_utils import Database


def migrate(database: Database, path: Path, folder: Path | None = None) -> None:
    """Apply every migration of `folder` that the file lacks, after a backup copy if it holds anything.

    A migration's number is what its file's name begins with. A process that dies on the way
    leaves the file as it was before the step. Raises CockpitError for a file of a newer schema.
    """
    scripts = {int(script.name[:4]): script for script in (folder or data_file("migrations")).glob("[0-9]*.sql")}
    found = schema(database.conn)
    refuse_newer(found, path, max(scripts))
    if 0 < found < max(scripts):
        back_up(database.conn, path, found)
    for number, script in sorted(scripts.items()):
        if number > found:
            _apply(database, number, script.read_text())


def _apply(database: Database, number: int, script: str) -> None:
    database.execute("begin immediate")
    try:
        if schema(database.conn) < number:
            database.executescript(script)
            database.execute(f"pragma user_version = {number}")
        database.execute("commit")
    except BaseException:
        database.rollback()
        raise


def back_up(connection: sqlite3.Connection, path: Path, number: int) -> Path:
    """Copy the file as it is to `<name>.schema<number>` beside it, mode 0600."""
    copy = path.with_name(f"{path.name}.schema{number}")
    part = copy.with_name(copy.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
    target = sqlite3.connect(part, isolation_level=None)
    try:
        connection.backup(target)
    finally:
        target.close()
    part.replace(copy)
    return copy
