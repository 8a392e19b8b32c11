"""Whether a file or folder is the operator's own: nobody else can have put it there, or can change it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TypeAlias

Fault: TypeAlias = tuple[str, str]
"""What is wrong with a file, and how to mend it: the two sentences of a CockpitError."""


def of_file(path: Path, *, written_in_place: bool = False) -> Fault | None:
    """What keeps a file from being used that only cockpit writes; None also where there is none yet.

    The file itself is looked at, never what a link leads to: whoever can make a link could have
    cockpit write into a file of somebody else. So could a second name, where it is written in place.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        return f"{path} is a link.", "Put the file itself in its place."
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is no regular file.", "Move it away: cockpit makes one of its own."
    if written_in_place and found.st_nlink > 1:
        return f"{path} has a second name, a hard link.", f"Find it with: find / -xdev -samefile '{path}'"
    return _of_another(path, found)


def of_text(path: Path, forbidden: int = 0o022) -> Fault | None:
    """What keeps a text from being read that cockpit acts by; a link to it is as good as the text.

    Raises OSError where it cannot be looked at.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is no regular file.", "Put the text itself in its place."
    if found.st_mode & forbidden:
        return f"{path} can be changed by others, and cockpit acts by it.", f"Type: chmod go-w '{path}'"
    return None


def of_folder(path: Path) -> Fault | None:
    """What keeps a folder from holding what only cockpit writes: others who can write into it, or replace it.

    Raises OSError where it cannot be looked at.
    """
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is no folder.", "Move it away, or name another data_folder."
    if fault := _of_another(path, path.lstat()) or _of_another(path, found):
        return fault
    if found.st_mode & 0o022:
        return f"Others can write into {path}.", f"Type: chmod 700 '{path}'"
    for above in path.resolve().parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return f"Others can replace {path}: all can write into {above}.", f"Type: chmod o-w '{above}'"
    return None


def _of_another(path: Path, found: os.stat_result) -> Fault | None:
    if found.st_uid in (0, os.geteuid()):
        return None
    return f"{path} belongs to another account.", f"Type: sudo chown -h {os.geteuid()} '{path}'"
