"""Memory of this machine: what is available, whether processes wait for it, and what was killed for it.

Sources: /proc/meminfo through psutil, /proc/pressure/memory (PSI), /proc/vmstat, the cgroups' event files.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path

PRESSURE = Path("/proc/pressure/memory")
VMSTAT = Path("/proc/vmstat")
CGROUPS = Path("/sys/fs/cgroup")
RECENT_SECONDS = 600.0
MOST_GROUPS = 2000
KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Pressure:
    """How much of the time processes wait for memory, in percent of the last ten seconds."""

    some: float
    full: float


def pressure() -> Pressure | None:
    """The kernel's pressure figures; None where it keeps none."""
    try:
        lines = PRESSURE.read_text().splitlines()
    except OSError:
        return None
    found = {line.split()[0]: float(line.split()[1].removeprefix("avg10=")) for line in lines if "avg10=" in line}
    return Pressure(found.get("some", 0.0), found.get("full", 0.0))


def kills() -> int:
    """Processes killed for memory since the machine started, in cgroups and out of them."""
    try:
        found = KILLS.search(VMSTAT.read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def group_kills() -> list[tuple[str, int]]:
    """The cgroups in which processes were killed for memory, most kills first."""
    found = []
    for name in ("memory.events", "memory.oom_control"):
        for number, file in enumerate(CGROUPS.rglob(name)):
            if number >= MOST_GROUPS:
                break
            try:
                count = KILLS.search(file.read_text())
            except OSError:
                continue
            if count and int(count[1]):
                found.append((str(file.parent.relative_to(CGROUPS)), int(count[1])))
    return sorted(found, key=lambda group: -group[1])


class Rise:
    """How much a counter rose within the last ten minutes, as far as it was watched."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, at: float, count: int) -> int:
        """Take in a reading; returns the rise since the oldest one that still counts."""
        self._seen.append((at, count))
        while self._seen[0][0] < at - RECENT_SECONDS:
            self._seen.popleft()
        return max(0, count - self._seen[0][1])
