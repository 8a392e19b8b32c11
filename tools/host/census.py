"""Names and states of all processes, read in one pass over /proc; psutil takes ten times as long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ZOMBIE = "Z"


@dataclass(frozen=True)
class Census:
    """What the processes of this machine are called, and how many are zombies."""

    names: frozenset[str]
    """As the kernel keeps them: at most 15 characters."""
    zombies: int


def census() -> Census:
    """Count them now."""
    names, zombies = set(), 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = stat.read_text(errors="replace").partition("(")
        except OSError:
            continue
        name, _, fields = rest.rpartition(") ")
        names.add(name)
        zombies += fields.startswith(ZOMBIE)
    return Census(frozenset(names), zombies)


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since the machine did; 0 when it is gone.

    Unlike a time of day it stays the same when the clock is set, and with the pid tells a process from every other.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(") ")[2].split()[19])
