"""Mounts of this machine, and how full they are for whoever is not root.

Sources: statvfs(3), /proc/self/mounts, /proc/self/mountinfo, /etc/fstab.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cockpit.model import JSON

FSTAB = Path("/etc/fstab")
MOUNTS = Path("/proc/self/mountinfo")
IMAGES = frozenset({"squashfs", "iso9660", "erofs"})
"""File systems that are full by nature."""


@dataclass(frozen=True)
class Disk:
    """One mounted file system."""

    mount: str
    kind: str
    total_bytes: int
    available_bytes: int
    """For users: without the blocks that are reserved for root."""
    reserved_bytes: int
    used_ratio: float
    """As `df` shows it: used of what users can ever have."""
    inodes_ratio: float
    read_only: bool

    def row(self) -> dict[str, JSON]:
        """As a diagnostic returns it."""
        return {
            "mount": self.mount,
            "kind": self.kind,
            "total_bytes": self.total_bytes,
            "available_bytes": self.available_bytes,
            "reserved_bytes": self.reserved_bytes,
            "used_ratio": round(self.used_ratio, 4),
            "inodes_used_ratio": round(self.inodes_ratio, 4),
            "read_only": self.read_only,
        }


def disks(also: Iterable[Path] = ()) -> list[Disk]:
    """The root file system, every disk that is mounted, and those that hold the folders in `also`."""
    import psutil

    mounted = psutil.disk_partitions(all=True)
    real = {part.mountpoint for part in psutil.disk_partitions(all=False)}
    kinds = {part.mountpoint: part.fstype for part in mounted}
    wanted = ["/", *sorted(real), *(_mount_of(folder, set(kinds)) for folder in also)]
    sealed = read_only()
    found: dict[int, Disk] = {}
    for mount in wanted:
        kind = kinds.get(mount, "")
        if kind not in IMAGES and (device := _device(mount)) is not None:
            found.setdefault(device, _disk(mount, kind, mount in sealed))
    return list(found.values())


def turned_read_only() -> list[str]:
    """Mounts that are read-only though /etc/fstab wants them writable."""
    try:
        entries = [line.split() for line in FSTAB.read_text().splitlines() if not line.lstrip().startswith("#")]
    except OSError:
        return []
    writable = {_unescaped(entry[1]) for entry in entries if len(entry) >= 4 and "ro" not in entry[3].split(",")}
    return sorted(writable & read_only())


def read_only() -> set[str]:
    """Mounts whose file system itself is read-only; those that a sandbox shows so to this process alone are not."""
    found: dict[str, bool] = {}
    for line in MOUNTS.read_text(errors="surrogateescape").splitlines():
        mount, _, file_system = line.partition(" - ")
        found[_unescaped(mount.split(" ")[4])] = "ro" in file_system.split(" ")[2].split(",")
    return {mount for mount, sealed in found.items() if sealed}  # of several in one place the last is seen


def _unescaped(mount: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda escape: chr(int(escape[1], 8)), mount)


def _mount_of(folder: Path, mounts: set[str]) -> str:
    resolved = folder.resolve()
    return next((str(parent) for parent in (resolved, *resolved.parents) if str(parent) in mounts), "/")


def _device(mount: str) -> int | None:
    try:
        return Path(mount).stat().st_dev
    except OSError:
        return None


def _disk(mount: str, kind: str, sealed: bool) -> Disk:
    state = os.statvfs(mount)
    used = state.f_blocks - state.f_bfree
    return Disk(
        mount=mount,
        kind=kind,
        total_bytes=state.f_blocks * state.f_frsize,
        available_bytes=state.f_bavail * state.f_frsize,
        reserved_bytes=(state.f_bfree - state.f_bavail) * state.f_frsize,
        used_ratio=used / (used + state.f_bavail) if used + state.f_bavail else 0.0,
        inodes_ratio=1 - state.f_favail / state.f_files if state.f_files else 0.0,
        read_only=sealed,
    )
