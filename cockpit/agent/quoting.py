"""Strangers' text as a model is handed it: cleaned, shortened, and between signs that nothing inside can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from cockpit.model import JSON
from cockpit.text import clean, shorten

OPEN, CLOSE = "⟦", "⟧"
INNER = {ord(OPEN): "[", ord(CLOSE): "]"}
LONGEST_TEXT = 300
"""Characters of one text within data."""
ENTRIES = 12
"""Entries of a list within data; of a list of records, so many records."""
DIGITS = 6
"""Digits of a number within data: what a reader can tell apart, for fewer tokens."""


def quoted(text: str, limit: int = LONGEST_TEXT) -> str:
    """A stranger's text between the signs that mark data, on one line."""
    inside = clean(" ".join(text.split())).translate(INNER)
    return f"{OPEN}{shorten(inside, limit)}{CLOSE}"


def quoted_data(value: JSON, limit: int) -> str:
    """Data as JSON between the signs; lists and texts are cut until all of it fits."""
    entries, longest = ENTRIES, LONGEST_TEXT
    inside = _compact(value, entries, longest)
    while len(inside) > limit and entries > 1:
        entries, longest = entries // 2, max(longest // 2, 40)
        inside = _compact(value, entries, longest)
    return f"{OPEN}{shorten(inside, limit)}{CLOSE}"


def _compact(value: JSON, entries: int, longest: int) -> str:
    text = json.dumps(_cut(value, entries, longest), ensure_ascii=False, separators=(",", ":"))
    return clean(text).translate(INNER)


def _cut(value: JSON, entries: int, longest: int) -> JSON:
    if isinstance(value, str):
        return shorten(clean(value, lines=True), longest)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {shorten(str(key), longest): _cut(part, entries, longest) for key, part in value.items()}
    if isinstance(value, Sequence):
        kept = [_cut(part, entries, longest) for part in value[:entries]]
        return [*kept, f"… {len(value) - entries} more"] if len(value) > entries else kept
    return value
