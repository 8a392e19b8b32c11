"""Deleting old files in the folders that the config declares temporary."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cockpit.model import JSON, Approval, Change, Plan, Refused
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.host.client import Folder, HostReader, HostWriter
from tools.host.folders import entries, opened_file, opened_folder
from tools.host.kind import host

MOST = 500
"""Files that one plan deletes; the largest first."""
DAY = 86_400


def _files(key: JSON) -> list[dict[str, Any]]:
    return list(key["files"]) if isinstance(key, Mapping) else []  # type: ignore[arg-type]  # we wrote the key


def _root(client: HostReader, key: JSON) -> Path:
    return client.folder(str(key["folder"]) if isinstance(key, Mapping) else "").path


async def _read(client: HostReader, key: JSON) -> JSON:
    """How many of exactly these files are still there, unchanged."""
    return {"files": len(await client.call(_unchanged, _root(client, key), _files(key)))}


async def _delete(client: HostWriter, change: Change) -> None:
    await client.call(_remove, _root(client, change.key), _files(change.key))


async def _deleted(client: HostReader, change: Change) -> bool:
    return not await client.call(_unchanged, _root(client, change.key), _files(change.key))


temp_file_deletion = host.action(
    "old temporary files",
    read=_read,
    do=_delete,
    check=_deleted,
    steps=lambda key, before, after: [f"rm -- {entry['file']!r}" for entry in _files(key)],
    verification="None of these files is left.",
    no_undo="Deleted files are gone.",
)


@host.remediation(approval=Approval.SOFT, uses=(temp_file_deletion,), timeout=60.0)
async def clean_temp_files(client: HostReader, folder: str, older_than_days: float = 7.0) -> Plan:
    """Delete files that nobody changed for some days in a folder that the config declares temporary.

    Args:
        folder: its name under `folders` in the config; it must be marked `temporary`.
        older_than_days: only files whose content is older than this many days, 1 at least.
    """
    chosen = client.folder(folder)
    if not chosen.temporary:
        raise Refused(
            f"The folder {chosen.name} is not marked as temporary.", "Set 'temporary = true' if its files may go."
        )
    if not older_than_days >= 1:
        raise Refused("Files of the last day are never deleted.", "Ask for 1 day or more.")
    old = await client.call(_old, chosen, older_than_days)
    if not old:
        return nothing_to_do(f"No file in {chosen.path} is older than {counted(older_than_days, 'day')}.")
    kept = sorted(old[:MOST], key=lambda entry: str(entry["file"]))
    total = sum(entry["bytes"] for entry in kept)
    change = temp_file_deletion.change(
        client.service.name,
        {"folder": chosen.name, "files": [{"file": entry["file"], "inode": entry["inode"]} for entry in kept]},
        {"files": len(kept)},
        "these files are gone",
        why=f"Older than {counted(older_than_days, 'day')}, {counted(total, 'byte')} in all.",
        observed={"bytes": total},
    )
    return plan_of(
        f"Delete {counted(len(kept), 'old file')} in {chosen.path}",
        change,
        risk="A program that still wants one of them does not find it.",
    )


def _old(folder: Folder, days: float) -> list[dict[str, Any]]:
    limit = time.time() - days * DAY
    found = [entry for entry in entries(folder.path) if entry.modified_at < limit and entry.links == 1]
    found.sort(key=lambda entry: -entry.size)
    return [{"file": entry.path, "inode": entry.inode, "bytes": entry.size} for entry in found]


def _unchanged(root: Path, files: Iterable[dict[str, Any]]) -> list[str]:
    return [entry["file"] for entry in files if _inode(root, Path(entry["file"])) == entry["inode"]]


def _inode(root: Path, below: Path) -> int:
    try:
        with opened_folder(root, str(below.parent)) as folder, opened_file(folder, below.name) as file:
            return os.fstat(file).st_ino
    except OSError:
        return 0


def _remove(root: Path, files: Iterable[dict[str, Any]]) -> None:
    for entry in files:
        below = Path(entry["file"])
        with contextlib.suppress(FileNotFoundError), opened_folder(root, str(below.parent)) as folder:
            with opened_file(folder, below.name) as file:
                same = os.fstat(file).st_ino == entry["inode"]
            if same:
                os.unlink(below.name, dir_fd=folder)
