"""Finds the line of a TOML file on which a key is written; tomllib does not tell."""

from __future__ import annotations

import re
from pathlib import Path

from cockpit.settings.values import Keys

NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
KEY = re.compile(rf"\s*({NAME}(?:\s*\.\s*{NAME})*)\s*=")


def line_of(file: Path, keys: Keys) -> int:
    """The line on which the key, or the nearest table above it, is first written; 1 when none is found."""
    try:
        lines = _lines(file.read_text())
    except (OSError, UnicodeDecodeError):
        return 1
    for length in range(len(keys), 0, -1):
        if keys[:length] in lines:
            return lines[keys[:length]]
    return 1


def _lines(text: str) -> dict[Keys, int]:
    lines: dict[Keys, int] = {}
    table: Keys = ()
    for number, line in enumerate(text.splitlines(), 1):
        header, key = HEADER.match(line), KEY.match(line)
        if header:
            table = _parts(header[1])
            lines.setdefault(table, number)
        elif key:
            lines.setdefault((*table, *_parts(key[1])), number)
    return lines


def _parts(dotted: str) -> Keys:
    return tuple(part.strip("\"'") for part in re.findall(NAME, dotted))
