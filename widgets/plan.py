"""A plan as text: each change as a diff, its steps as commands, and the way back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from cockpit.model import JSON, Change, Plan
from cockpit.model.values import BEWARE
from cockpit.text import counted
from widgets.line import Ink, Line, block, line, wrap

INDENT = 11
CONTEXT = 2
"""Unchanged lines that stand around a changed one of a long text."""


def plan_lines(plan: Plan, room: int) -> Iterator[Line]:
    """Everything an approval of the plan covers, and its risk."""
    many = len(plan.changes) > 1
    for position, change in enumerate(plan.changes, 1):
        if many:
            yield line()
            yield line((f" Change {position} of {len(plan.changes)}", Ink.STRONG))
        yield from change_lines(change, room)
    if not plan.changes:
        yield from block("Nothing", f"to do: {plan.summary}", room)
    if plan.risk:
        yield from block("Risk", plan.risk, room, Ink.WARN)


def change_lines(change: Change, room: int) -> Iterator[Line]:
    """One change: what it touches, before and after, steps, verification and the way back."""
    bare = "" if isinstance(change.key, Mapping) else text_of(change.key)
    yield from block("Target", f"{change.service}  {change.item}  {bare}".rstrip(), room)
    if isinstance(change.key, Mapping):
        yield from _labelled("", _entries(change.key, room - INDENT, Ink.PLAIN))
    before = None if _stands_in(change.before, change.key) else change.before
    yield from _labelled("Diff", diff_lines(before, change.after, room - INDENT))
    yield from _labelled("Steps", (part for step in change.steps for part in _step(step, room - INDENT)))
    yield from block("Verify", change.verification, room)
    if change.reversible:
        yield from block("Way back", change.undo, room, Ink.CODE)
    else:
        yield from block("Way back", f"none: {change.no_undo}", room, Ink.BAD)
    seen = ", ".join(f"{name} {_figure(value)}" for name, value in change.observed.items() if name != BEWARE)
    if seen:
        yield from block("Observed", seen, room, Ink.DIM)
    for warning in change.warnings:
        yield from block("Beware", warning, room, Ink.BAD)
    for warning in look_alikes(" ".join((text_of(change.key), *change.steps))):
        yield from block("Beware", warning, room, Ink.BAD)


def diff_lines(before: JSON, after: JSON, room: int) -> Iterator[Line]:
    """What differs: changed keys of a mapping, changed lines of a text, or the two values."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _entry_diffs(before, after, room)
    elif isinstance(before, Mapping) and isinstance(after, str):
        yield from _entries(before, room, Ink.DIM)
        yield (("  must still hold", Ink.DIM),)
        yield from _pair(None, after, room)
    elif _has_lines(before) or _has_lines(after):
        yield from _unified(_as_text(before), _as_text(after), room)
    else:
        yield from _pair(_as_text(before), _as_text(after), room)


def text_of(value: JSON) -> str:
    """A value as a reader expects it: texts bare, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return " ".join(f"{key}={text_of(part)}" for key, part in value.items())
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _entries(value: JSON, room: int, ink: Ink) -> Iterator[Line]:
    """A value over as many lines as it has entries; records of one shape stand under their names, told once."""
    parts = value.items() if isinstance(value, Mapping) else (("", value),)
    for name, part in parts:
        if records := _records(part):
            yield from _piece(f"{name}: {', '.join(records[0])}", room, Ink.DIM)
            for record in records:
                yield from _piece("  ".join(text_of(field) for field in record.values()), room, ink)
        else:
            yield from _piece(f"{name} {text_of(part)}", room, ink)


def _piece(text: str, room: int, ink: Ink) -> Iterator[Line]:
    yield from (((piece, ink),) for piece in wrap(text.strip(), room))


def _records(value: JSON) -> list[Mapping[str, JSON]]:
    """The entries of a list of mappings that all have the same names; empty for anything else."""
    entries = value if isinstance(value, list | tuple) else ()
    records = [entry for entry in entries if isinstance(entry, Mapping)]
    alike = len(records) == len(entries) and all(list(entry) == list(records[0]) for entry in records)
    return records if alike else []


def _figure(value: JSON) -> str:
    return counted(len(rows), "row") if (rows := _records(value)) else text_of(value)


def _stands_in(before: JSON, key: JSON) -> bool:
    """Whether what must still hold is already told by the target itself."""
    if not isinstance(before, Mapping) or not isinstance(key, Mapping):
        return False
    return all(name in key and key[name] == part for name, part in before.items())


def look_alikes(text: str) -> Iterator[str]:
    """A warning for each word that mixes Latin letters with look-alikes of another alphabet."""
    if text.isascii():
        return
    import unicodedata

    for word in dict.fromkeys(text.split()):
        strange = [
            letter for letter in word if letter.isalpha() and not unicodedata.name(letter, "?").startswith("LATIN")
        ]
        if strange and len(strange) < sum(letter.isalpha() for letter in word):
            yield f"'{word}' holds {unicodedata.name(strange[0], 'a letter without a name').lower()}."


def _labelled(label: str, lines: Iterator[Line]) -> Iterator[Line]:
    for index, each in enumerate(lines):
        yield ((f" {label}" if index == 0 else "").ljust(INDENT), Ink.LABEL), *each


def _step(step: str, room: int) -> Iterator[Line]:
    for index, piece in enumerate(wrap(step, room - 2)):
        yield ("$ " if index == 0 else "  ", Ink.DIM), (piece, Ink.CODE)


def _entry_diffs(before: Mapping[str, JSON], after: Mapping[str, JSON], room: int, above: str = "") -> Iterator[Line]:
    """Each entry that differs, down to the innermost; `above` names the mappings that these are entries of."""
    for key in sorted({*before, *after}):
        old, new, name = before.get(key), after.get(key), f"{above}{key}"
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _entry_diffs(old, new, room, f"{name}.")
        elif key in before and key in after and (_has_lines(old) or _has_lines(new)):
            yield from _piece(f"{name}:", room, Ink.DIM)
            yield from _unified(_as_text(old), _as_text(new), room)
        else:
            yield from _pair(_keyed(name, key, before), _keyed(name, key, after), room)


def _pair(before: str | None, after: str | None, room: int) -> Iterator[Line]:
    for sign, text, ink in (("- ", before, Ink.REMOVED), ("+ ", after, Ink.ADDED)):
        yield from _signed(sign, () if text is None else (text,), ink, room)


def _keyed(name: str, key: str, values: Mapping[str, JSON]) -> str | None:
    if key not in values:
        return None
    return f"{name}: {'not set' if values[key] is None else _as_text(values[key])}"


def _as_text(value: JSON) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) if value else "empty"
    return json.dumps(value)


def _has_lines(value: JSON) -> bool:
    return "\n" in (_as_text(value) or "")


def _unified(before: str | None, after: str | None, room: int) -> Iterator[Line]:
    from difflib import SequenceMatcher

    old, new = (before or "").splitlines(), (after or "").splitlines()
    for hunk in SequenceMatcher(None, old, new).get_grouped_opcodes(CONTEXT):
        if start := hunk[0][1]:
            yield ((f"@ line {start + 1}", Ink.DIM),)
        for what, old_from, old_to, new_from, new_to in hunk:
            if what == "equal":
                yield from _signed("  ", old[old_from:old_to], Ink.DIM, room)
            else:
                yield from _signed("- ", old[old_from:old_to], Ink.REMOVED, room)
                yield from _signed("+ ", new[new_from:new_to], Ink.ADDED, room)


def _signed(sign: str, rows: Sequence[str], ink: Ink, room: int) -> Iterator[Line]:
    for row in rows:
        for index, piece in enumerate(wrap(row, room - 2)):
            yield (((sign if index == 0 else "  ") + piece, ink),)
