"""Numbers with units, as PostgreSQL's settings have them."""

from __future__ import annotations

import re

QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z]*)\s*")
BYTES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
MICROSECONDS = {"us": 1, "ms": 1000, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
UNIT = re.compile(r"(\d*)([A-Za-z]+)")


def in_base_unit(text: str, unit: str) -> float | None:
    """The quantity in the setting's own unit, or None where the text is no such quantity.

    Args:
        text: what stands in the file, such as `64MB` or `8192`.
        unit: `pg_settings.unit`, such as `8kB`, `ms`, or empty.
    """
    found = QUANTITY.fullmatch(text)
    if not found:
        return None
    number, written = float(found[1]), found[2]
    if not written:
        return number
    base = UNIT.fullmatch(unit)
    for scale in (BYTES, MICROSECONDS):
        if base and base[2] in scale and written in scale:
            return number * scale[written] / (scale[base[2]] * int(base[1] or 1))
    return None
