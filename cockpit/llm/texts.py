"""The texts that are said to a model: their length in its own count, and the same change made to all within a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from cockpit.model import JSON

DEEPEST = 40
"""Levels of nesting that are followed; what is deeper is left out."""
PIECES = re.compile(r"(?P<word>[A-Za-z]+)|\d{1,3}|\s*\n\s*|(?P<signs>[^\w\s]+)|[^\x00-\x7f]|_|[ \t]{2,}")


def tokens_of(text: str) -> int:
    """About how many tokens a text is, without loading any model's dictionary.

    It splits as OpenAI's and most others' do: words, up to three digits, runs of signs; and takes one token more
    for each 8 letters of a word and each 4 signs of a run.
    """
    found = 0
    for piece in PIECES.finditer(text):
        step = {"word": 8, "signs": 4}.get(piece.lastgroup or "", 0)
        found += 1 + (piece.end() - piece.start() - 1) // step if step else 1
    return found


def each_text(value: JSON, change: Callable[[str], str], depth: int = 0) -> JSON:
    """The value with every text in it changed, those of keys not."""
    if isinstance(value, str):
        return change(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {key: each_text(item, change, depth + 1) for key, item in value.items()}
    return [each_text(item, change, depth + 1) for item in value]
