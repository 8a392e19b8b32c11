"""How times, durations and numbers are written on the screen."""

from __future__ import annotations

import time
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
SCALE = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
BY_THE_SECOND = 120
"""Seconds before the end at which a countdown begins to tell each one; what ticks on for minutes hurries a reader."""


def clock(at: float) -> str:
    """A moment of today, to the second, in local time."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def moment(at: float, now: float) -> str:
    """A moment in local time: the time alone within a day of now, else with its date."""
    shape = "%H:%M" if abs(now - at) < 43200 else "%d %b %H:%M"
    return time.strftime(shape, time.localtime(at))


def age(seconds: float) -> str:
    """A duration in one coarse unit, which changes rarely: `now`, `12 min`, `3 h`, `2 d`."""
    if seconds < 60:
        return "now"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "now"


def lasted(seconds: float) -> str:
    """How long something took, in seconds up to two minutes, then coarser: `41 s`, `12 min`."""
    return f"{seconds:.0f} s" if seconds < 120 else age(seconds)


def countdown(seconds: float) -> str:
    """Time that is left: `4 min`, and by the second towards the end, `1:59`."""
    left = max(int(seconds), 0)
    return f"{left // 60} min" if left >= BY_THE_SECOND else f"{left // 60}:{left % 60:02d}"


def duration(seconds: float | None) -> str:
    """A short duration with three digits at the most: `2.1 ms`, `340 ms`, `1.2 s`."""
    if seconds is None:
        return "–"
    for unit, size in SCALE:
        if seconds >= size or unit == "µs":
            value = seconds / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return "0 s"


def number(value: float) -> str:
    """A reading with four digits at the most, large ones with a prefix: `12`, `0.35`, `1.2 G`."""
    size = abs(value)
    for prefix, factor in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if size >= factor:
            return f"{value / (1e3 if prefix == 'k' else factor):.3g} {prefix}"
    return f"{value:.4g}"


def dollars(value: float) -> str:
    """What something costs: to a hundredth of a cent where that is all there is, `$0.0021`, else `$1.20`."""
    return f"${value:.4f}" if 0 < value < 0.1 else f"${value:.2f}"


def spark(values: Sequence[float], room: int) -> str:
    """The last values as blocks. A steady series stays low, so that what stands out is a change."""
    shown = values[-room:]
    if not shown:
        return " " * room
    usual = sorted(shown)[len(shown) // 2]
    top = max(*shown, usual * 4, 1e-9) if len(shown) > 1 else max(shown[0] * 4, 1e-9)
    blocks = "".join(BLOCKS[min(int(max(value, 0.0) / top * len(BLOCKS)), len(BLOCKS) - 1)] for value in shown)
    return blocks.rjust(room)
