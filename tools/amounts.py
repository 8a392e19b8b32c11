"""Amounts as a sentence shows them."""

from __future__ import annotations

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(amount: float) -> str:
    """Bytes in the largest binary unit that leaves a number of at least one: `8.4 MiB`."""
    unit = 0
    while amount >= 1024 and unit < len(UNITS) - 1:
        amount /= 1024
        unit += 1
    return f"{amount:.0f} {UNITS[unit]}" if unit == 0 or amount >= 100 else f"{amount:.1f} {UNITS[unit]}"


def duration(seconds: float) -> str:
    """Seconds in the largest unit that fits: `45 s`, `12 min`, `3 h`, `5 d`."""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def share(part: float, whole: float) -> str:
    """A part of a whole in percent; `no limit` when there is no whole."""
    return f"{part / whole * 100:.0f} %" if whole > 0 else "no limit"
