"""What can be asked of this machine's disks, folders and logs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from cockpit.model import JSON, Finding, RunStatus
from cockpit.toolkit import counted
from tools.host.client import Folder, HostReader, LogFile
from tools.host.disks import disks, turned_read_only
from tools.host.folders import Entry, entries
from tools.host.kind import folder_ratio, host

MOST = 20
"""Rows in a finding."""


@host.diagnostic()
async def check_disk_usage(client: HostReader) -> Finding:
    """How full each disk is for its users, and each configured folder of its quota or disk (statvfs).

    Free blocks that are reserved for root are not counted as free: services get "No space left on device"
    while `df` still shows some.
    """
    found = await client.call(lambda: disks(folder.path for folder in client.folders()))
    fullest = max(found, key=lambda disk: disk.used_ratio)
    folders = await client.call(_fullest, client.folders())
    data: dict[str, JSON] = {
        "fullest_mount": fullest.mount,
        "fullest_total_bytes": fullest.total_bytes,
        "fullest_ratio": fullest.used_ratio,
        "fullest_available_bytes": fullest.available_bytes,
        "fullest_reserved_bytes": fullest.reserved_bytes,
        "read_only": ", ".join(await client.call(turned_read_only)),
        "folder": folders[0][0].name if folders else "",
        "folder_ratio": folders[0][1] if folders else 0.0,
        "rows": [disk.row() for disk in found[:MOST]],
        "folders": [{"folder": folder.name, "used_ratio": round(ratio, 4)} for folder, ratio in folders[:MOST]],
    }
    said = f"; folder {data['folder']} {folders[0][1]:.0%}" if folders else ""
    return Finding(f"{fullest.mount} is {fullest.used_ratio:.0%} full{said}.", data)


@host.diagnostic()
async def check_inodes(client: HostReader) -> Finding:
    """How many inodes each disk has left; without any, no file can be made though there is space (statvfs)."""
    found = await client.call(lambda: disks(folder.path for folder in client.folders()))
    worst = max(found, key=lambda disk: disk.inodes_ratio)
    rows: list[JSON] = [
        {"mount": disk.mount, "inodes_used_ratio": round(disk.inodes_ratio, 4)} for disk in found[:MOST]
    ]
    data: dict[str, JSON] = {"mount": worst.mount, "used_ratio": worst.inodes_ratio, "rows": rows}
    return Finding(f"{worst.mount} has {1 - worst.inodes_ratio:.0%} of its inodes left.", data)


@host.diagnostic(timeout=60.0)
async def check_large_files(client: HostReader, folder: str = "", limit: int = 10) -> Finding:
    """The largest files below a configured folder, and how much of it old temporary files take.

    Use it when a folder or its disk is full.

    Args:
        folder: the folder's name in the config; empty for the fullest one.
        limit: how many files, at most 20.
    """
    chosen = client.folder(folder) if folder else await client.call(_fullest_folder, client.folders())
    if chosen is None:
        return Finding("No folder is configured.", {"files": 0, "rows": []}, RunStatus.NOTHING)
    found = sorted(await client.call(lambda: list(entries(chosen.path))), key=lambda entry: -entry.size)
    logs = {str(log.path) for log in await client.call(client.logs)}
    total = sum(entry.size for entry in found)
    data: dict[str, JSON] = {
        "folder": chosen.name,
        "quota_bytes": chosen.quota_bytes,
        "temporary": chosen.temporary,
        "files": len(found),
        "total_bytes": total,
        "log_bytes": sum(entry.size for entry in found if str(chosen.path / entry.path) in logs),
        "largest": found[0].path if found else "",
        "largest_bytes": found[0].size if found else 0,
        "largest_ratio": found[0].size / total if total else 0.0,
        "largest_is_log": bool(found) and str(chosen.path / found[0].path) in logs,
        "old_bytes": _old(found, 7.0),
        "rows": [_row(entry) for entry in found[: max(1, min(limit, MOST))]],
    }
    if not found:
        return Finding(f"{chosen.path} is empty.", data, RunStatus.NOTHING)
    share = f"{found[0].size:,} of {counted(total, 'byte')}"
    return Finding(f"{found[0].path} takes {share} in {chosen.path}.", data)


@host.diagnostic()
async def check_log_growth(client: HostReader, service: str = "", seconds: float = 1.0) -> Finding:
    """How large the logs are, and how fast they grow, by looking twice.

    Args:
        service: the name of one log set in the config; empty for all.
        seconds: how long to wait between the looks, at most 10.
    """
    first = await client.call(_sizes, await client.call(client.logs, service))
    started = time.monotonic()
    await asyncio.sleep(min(max(seconds, 0.1), 10.0))
    second = await client.call(_sizes, await client.call(client.logs, service))
    passed = time.monotonic() - started
    speed = {log: (size - first.get(log, size)) / passed for log, size in second.items()}
    largest = sorted(second, key=lambda log: -second[log])
    data: dict[str, JSON] = {
        "files": len(second),
        "total_bytes": sum(second.values()),
        "total_mb": sum(second.values()) / 1e6,
        "bytes_per_second": sum(speed.values()),
        "largest_log": largest[0].set if largest else "",
        "largest_file": str(largest[0].path) if largest else "",
        "largest_bytes": second[largest[0]] if largest else 0,
        "rows": [
            {"log": log.set, "file": str(log.path), "bytes": second[log], "bytes_per_second": speed[log]}
            for log in largest[:MOST]
        ],
    }
    if not largest:
        return Finding("There is no log file.", data, RunStatus.NOTHING)
    said = f"{largest[0].path} has {counted(second[largest[0]], 'byte')}"
    return Finding(f"{said}; all logs grow {counted(round(sum(speed.values())), 'byte')} a second.", data)


def _fullest(folders: Iterable[Folder]) -> list[tuple[Folder, float]]:
    there = [folder for folder in folders if folder.path.is_dir()]
    found = [(folder, folder_ratio(folder.path, folder.quota_bytes)) for folder in there]
    return sorted(found, key=lambda pair: -pair[1])


def _fullest_folder(folders: Iterable[Folder]) -> Folder | None:
    found = _fullest(folders)
    return found[0][0] if found else None


def _sizes(logs: Iterable[LogFile]) -> dict[LogFile, int]:
    return {log: log.path.stat().st_size for log in logs if log.path.exists()}


def _old(found: Iterable[Entry], days: float) -> int:
    return sum(entry.size for entry in found if entry.modified_at < time.time() - days * 86_400)


def _row(entry: Entry) -> dict[str, JSON]:
    return {"file": entry.path, "bytes": entry.size, "days_old": round((time.time() - entry.modified_at) / 86_400, 1)}
