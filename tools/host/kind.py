"""The kind `host`: the machine that cockpit runs on, and its probe."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection
from pathlib import Path

from cockpit.model import CockpitError, Denied, Health, Level
from cockpit.toolkit import Kind, Option, counted
from tools.host.census import census
from tools.host.client import HostReader, HostWriter
from tools.host.clock import clock
from tools.host.disks import disks, turned_read_only
from tools.host.folders import used_bytes
from tools.host.memory import Rise, kills, pressure
from tools.host.sockets import ports_used_ratio

FULL = 0.95
"""From this share on a disk or folder counts as full."""

host = Kind(
    "host",
    "The Linux machine that cockpit runs on.",
    HostReader,
    HostWriter,
    (
        Option(
            "folders",
            dict,
            "Folders to watch by name: 'path', and if they have one 'quota_mb'; 'temporary' if old files may go.",
        ),
        Option("logs", dict, "Logs by name of what writes them: lists of paths, with * for any part of a name."),
        Option("units", dict, "Services of this machine by name: 'unit' or 'control', and if there is one 'pid_file'."),
    ),
)

_kills: dict[str, Rise] = {}


def recent_kills(service: str) -> int:
    """Processes killed for memory in the last ten minutes, as far as this process has watched."""
    return _kills.setdefault(service, Rise()).add(time.monotonic(), kills())


@host.health(
    cpu_ratio="share of the processors' time in use since the last probe",
    load_ratio="tasks that run or wait, per processor, over one minute",
    memory_available_ratio="share of memory that new work can have, page cache counted as free",
    memory_free_ratio="share of memory that holds nothing at all; low is normal",
    memory_pressure_percent="share of the last 10 s in which some task waited for memory, in percent",
    swap_used_ratio="share of swap in use",
    oom_kills="processes killed for memory in the last 10 minutes, as far as watched",
    disk_used_ratio="share in use of the fullest disk, as its users see it",
    inodes_used_ratio="share of inodes in use on the disk with the fewest left",
    folder_used_ratio="share in use of the fullest configured folder, of its quota or of its disk",
    folders_missing="configured folders that are not there",
    read_only_mounts="mounts that are read-only though /etc/fstab wants them writable",
    units="configured services of this machine",
    units_stopped="of these, how many do not run",
    zombies="processes that ended and that their parent has not collected",
    clock_adrift="1 when a time service runs and has found no time, else 0",
    ports_used_ratio="share of the ports for outgoing connections that TCP has in use",
)
async def check(client: HostReader) -> Health:
    """Read /proc, statvfs and the configured folders and services; no command but theirs is run."""
    machine, storage, units = await asyncio.gather(
        client.call(_machine, client.service.name), client.call(_storage, client), _stopped(client)
    )
    samples = machine | storage | {"units": float(len(client.units())), "units_stopped": float(len(units))}
    troubles = _troubles(samples, units)
    level = Level.DEGRADED if troubles else Level.UP
    return Health(level, f"{'; '.join(troubles)}." if troubles else _calm(samples), samples)


async def _stopped(client: HostReader) -> list[str]:
    names = client.units()
    running = await asyncio.gather(*(client.running(name) for name in names), return_exceptions=True)
    for one in running:
        if isinstance(one, BaseException) and not isinstance(one, CockpitError):
            raise one
    return [name for name, runs in zip(names, running, strict=True) if runs is False]


def _machine(name: str) -> dict[str, float]:
    import psutil

    memory, swap, waits, seen = psutil.virtual_memory(), psutil.swap_memory(), pressure(), census()
    samples = {
        "cpu_ratio": psutil.cpu_percent() / 100,
        "load_ratio": os.getloadavg()[0] / (os.cpu_count() or 1),
        "memory_available_ratio": memory.available / memory.total,
        "memory_free_ratio": memory.free / memory.total,
        "swap_used_ratio": swap.percent / 100,
        "oom_kills": float(recent_kills(name)),
        "zombies": float(seen.zombies),
        "ports_used_ratio": ports_used_ratio(),
    }
    return samples | _adrift(seen.names) | ({"memory_pressure_percent": waits.some} if waits else {})


def _adrift(running: Collection[str]) -> dict[str, float]:
    try:
        return {"clock_adrift": float(clock(running).adrift)}
    except Denied:  # the rest of the machine can be looked at all the same
        return {}


def _storage(client: HostReader) -> dict[str, float]:
    folders = client.folders()
    found = disks(folder.path for folder in folders)
    samples = {
        "disk_used_ratio": max(disk.used_ratio for disk in found),
        "inodes_used_ratio": max(disk.inodes_ratio for disk in found),
        "read_only_mounts": float(len(turned_read_only())),
    }
    there = [folder for folder in folders if folder.path.is_dir()]
    if there:
        samples["folder_used_ratio"] = max(folder_ratio(folder.path, folder.quota_bytes) for folder in there)
    return samples | {"folders_missing": float(len(folders) - len(there))}


def folder_ratio(path: Path, quota_bytes: int) -> float:
    """How full a folder is: of its quota, or without one of the disk it stands on. Raises Unexpected, OSError."""
    if quota_bytes:
        return used_bytes(path) / quota_bytes
    state = os.statvfs(path)
    used = state.f_blocks - state.f_bfree
    return used / (used + state.f_bavail) if used + state.f_bavail else 0.0


def _troubles(samples: dict[str, float], stopped: list[str]) -> list[str]:
    found = [f"{', '.join(stopped)} stopped"] if stopped else []
    for sample, what in (
        ("disk_used_ratio", "a disk"),
        ("folder_used_ratio", "a folder"),
        ("inodes_used_ratio", "the inodes"),
    ):
        if samples.get(sample, 0.0) >= FULL:
            found.append(f"{what} {samples[sample]:.0%} full")
    if samples["memory_available_ratio"] < 0.05:
        found.append(f"{samples['memory_available_ratio']:.1%} of memory available")
    if samples["read_only_mounts"]:
        found.append(f"{counted(samples['read_only_mounts'], 'mount')} turned read-only")
    if samples["folders_missing"]:
        found.append(f"{counted(samples['folders_missing'], 'configured folder')} missing")
    return found


def _calm(samples: dict[str, float]) -> str:
    memory, disk = samples["memory_available_ratio"], samples["disk_used_ratio"]
    return f"Load {samples['load_ratio']:.2f} per processor, {memory:.0%} of memory available, disk {disk:.0%} full."
