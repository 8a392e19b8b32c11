"""The operator's notes: Markdown files, each with the incidents it is for in its front matter.

    ---
    kinds: [redis]
    alerts: [redis-memory-full]
    ---
    The cache may lose keys at any time; never raise its limit beyond 512 MiB.

Of `services`, `kinds`, `alerts` and `tags`, every one that is given has to fit; a note without any is for all.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit import ownership
from cockpit.model import CockpitError

KEYS = ("services", "kinds", "alerts", "tags")
LARGEST = 64 * 1024
"""Bytes a note may have."""


@dataclass(frozen=True)
class Note:
    """One note, and what it is for."""

    file: Path
    text: str
    wanted: Mapping[str, frozenset[str]]
    """By key, what an incident has to have one of."""

    def fits(self, facts: Mapping[str, Iterable[str]]) -> bool:
        """Whether it is for an incident with these services, kinds, alerts and tags."""
        return all(names & set(facts.get(key, ())) for key, names in self.wanted.items())


def notes_for(folder: Path, facts: Mapping[str, Iterable[str]]) -> tuple[list[Note], list[str]]:
    """The notes that are for an incident, those that say so most exactly first; and what is wrong with others."""
    notes, wrong = read(folder)
    fitting = [note for note in notes if note.fits(facts)]
    return sorted(fitting, key=lambda note: -len(note.wanted)), wrong


def read(folder: Path) -> tuple[list[Note], list[str]]:
    """Every note that can be read, and for each other file why it cannot."""
    notes: list[Note] = []
    wrong: list[str] = []
    for file in sorted(folder.glob("*.md")):
        try:
            notes.append(_note(file))
        except CockpitError as error:
            wrong.append(f"The note {file} is left out: {error.what}")
    return notes, wrong


def _note(file: Path) -> Note:
    try:
        if fault := ownership.of_text(file, forbidden=stat.S_IWOTH):
            raise CockpitError(*fault)
        if file.stat().st_size > LARGEST:
            raise CockpitError(f"it is larger than {LARGEST // 1024} KiB.")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CockpitError(f"it cannot be read: {error}.") from None
    if not text.startswith("---\n"):
        return Note(file, text.strip(), {})
    head, found, body = text[3:].partition("\n---")
    if not found:
        raise CockpitError("its front matter has no end, a line '---'.")
    return Note(file, body.partition("\n")[2].strip(), _wanted(head))


def _wanted(head: str) -> dict[str, frozenset[str]]:
    import yaml

    try:
        given: Any = yaml.safe_load(head) or {}
    except yaml.YAMLError as error:
        raise CockpitError(f"its front matter is no YAML: {str(error).splitlines()[0]}.") from None
    if not isinstance(given, dict):
        raise CockpitError("its front matter is no mapping, such as 'kinds: [redis]'.")
    for key in given:
        if key not in KEYS:
            raise CockpitError(f"its front matter has a key '{key}' that means nothing; known: {', '.join(KEYS)}.")
    return {key: frozenset(map(str, _many(value))) for key, value in given.items() if value}


def _many(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
