"""Runbooks and conditions: YAML files, checked at start; a broken one is named and the others still load."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cockpit import ownership
from cockpit.agent.expressions import check, check_text
from cockpit.model import JSON, CockpitError, Severity

CONFIDENT = 0.6
"""Below this a runbook's diagnosis is a guess, and nothing is proposed."""

CONDITION_KEYS = {"id", "when", "for", "clear", "clear_for", "severity", "summary"}
RUNBOOK_KEYS = {
    "id",
    "title",
    "alerts",
    "look",
    "holds",
    "rivals",
    "cause",
    "confidence",
    "propose",
    "advice",
    "learned",
}


@dataclass(frozen=True)
class Condition:
    """A rule over a probe's readings that raises an alert when it holds for some time."""

    id: str
    kind: str
    when: str
    summary: str
    severity: Severity
    hold: float = 0.0
    """Seconds it must hold before the alert is raised."""
    clear: str = ""
    """What must hold for the alert to end; empty: that `when` does not."""
    clear_hold: float = 0.0


@dataclass(frozen=True)
class Look:
    """A diagnostic that a runbook runs, and the name its result goes by."""

    name: str
    tool: str
    arguments: Mapping[str, JSON]


@dataclass(frozen=True)
class RivalCause:
    """A cause that would look alike, and the reading that rules it out."""

    cause: str
    ruled_out: str
    reading: str


@dataclass(frozen=True)
class Remedy:
    """A call that mends the cause, its arguments still with expressions in them."""

    tool: str
    arguments: Mapping[str, JSON]


@dataclass(frozen=True)
class Runbook:
    """For these alerts, look at these, and if this holds, the cause is X and the call to make is Y."""

    id: str
    kind: str
    title: str
    alerts: tuple[str, ...]
    looks: tuple[Look, ...]
    holds: str
    cause: str
    confidence: float
    rivals: tuple[RivalCause, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    advice: str = ""
    learned: int = 0
    """The incident it was learned from; 0 when a person wrote it."""


@dataclass(frozen=True)
class Broken:
    """A runbook or condition that could not be used: where it stands, and why."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(frozen=True)
class Library:
    """All conditions and runbooks that could be read, and what could not."""

    conditions: dict[str, Condition] = field(default_factory=dict)
    runbooks: dict[str, Runbook] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)

    def conditions_for(self, kind: str) -> list[Condition]:
        """The conditions of that kind of service."""
        return [condition for condition in self.conditions.values() if condition.kind == kind]

    def runbooks_for(self, kind: str, alerts: Iterable[str]) -> list[Runbook]:
        """The runbooks of that kind that answer one of these alerts, the most confident first."""
        names = set(alerts)
        found = [book for book in self.runbooks.values() if book.kind == kind and names & set(book.alerts)]
        return sorted(found, key=lambda book: -book.confidence)


def load(folders: Iterable[Path], tools: Mapping[str, bool]) -> Library:
    """Read every runbook file in the folders; a later folder's runbook replaces an earlier one of the same id.

    Args:
        folders: where to look for `*.yaml`; one that does not exist is skipped.
        tools: the names of all tools, each with whether it writes.
    """
    library = Library()
    for folder in folders:
        for file in sorted(folder.glob("*.y*ml")):
            _load_file(file, library, tools)
    return library


def _load_file(file: Path, library: Library, tools: Mapping[str, bool]) -> None:
    import yaml

    try:
        if fault := ownership.of_text(file, forbidden=stat.S_IWOTH):
            library.broken.append(Broken(file, 1, fault[0]))
            return
        content = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        library.broken.append(Broken(file, 1, f"cannot be read: {error}"))
        return
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        library.broken.append(Broken(file, mark.line + 1 if mark else 1, f"{problem}"))
        return
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        library.broken.append(Broken(file, 1, "names no kind of service at its top: 'kind: postgres'"))
        return
    lines, kind = _lines(content), document["kind"]
    for index, entry in enumerate(document.get("conditions") or ()):
        with _reported(library, file, lines.get(("conditions", index), 1)):
            condition = _condition(kind, entry)
            library.conditions[condition.id] = condition
    for index, entry in enumerate(document.get("runbooks") or ()):
        with _reported(library, file, lines.get(("runbooks", index), 1)):
            book = _runbook(kind, entry, tools)
            library.runbooks[book.id] = book


@contextmanager
def _reported(library: Library, file: Path, line: int) -> Iterator[None]:
    try:
        yield
    except CockpitError as error:
        library.broken.append(Broken(file, line, error.what))


def _lines(node: Any) -> dict[tuple[str, int], int]:
    """The line on which each entry of each list at the top of the document begins."""
    return {
        (key.value, index): entry.start_mark.line + 1
        for key, value in node.value
        if hasattr(value, "value") and isinstance(value.value, list)
        for index, entry in enumerate(value.value)
        if hasattr(entry, "start_mark")
    }


def _condition(kind: str, entry: Any) -> Condition:
    fields = _fields(entry, CONDITION_KEYS, needed=("id", "when", "summary"))
    check(str(fields["when"]))
    if fields.get("clear"):
        check(str(fields["clear"]))
    check_text(str(fields["summary"]))
    return Condition(
        id=str(fields["id"]),
        kind=kind,
        when=str(fields["when"]),
        summary=str(fields["summary"]),
        severity=_severity(fields.get("severity", "warning")),
        hold=_seconds(fields, "for"),
        clear=str(fields.get("clear") or ""),
        clear_hold=_seconds(fields, "clear_for"),
    )


def _runbook(kind: str, entry: Any, tools: Mapping[str, bool]) -> Runbook:
    fields = _fields(entry, RUNBOOK_KEYS, needed=("id", "title", "alerts", "look", "holds", "cause"))
    looks = tuple(_look(name, look, tools) for name, look in fields["look"].items())
    remedies = tuple(_remedy(call, tools) for call in fields.get("propose") or ())
    rivals = tuple(_rival(rival) for rival in fields.get("rivals") or ())
    advice = str(fields.get("advice") or "")
    if not remedies and not advice:
        raise CockpitError(f"runbook '{fields['id']}' neither proposes a call nor gives advice")
    check(str(fields["holds"]))
    for text in (str(fields["cause"]), advice):
        check_text(text)
    return Runbook(
        id=str(fields["id"]),
        kind=kind,
        title=str(fields["title"]),
        alerts=tuple(str(alert) for alert in fields["alerts"]),
        looks=looks,
        holds=str(fields["holds"]),
        cause=str(fields["cause"]),
        confidence=float(fields.get("confidence", 0.8)),
        rivals=rivals,
        remedies=remedies,
        advice=advice,
        learned=_incident(fields),
    )


def _incident(fields: dict[str, Any]) -> int:
    value = fields.get("learned", 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise CockpitError(f"'learned' of '{fields['id']}' is not the number of an incident: {value}")
    return value


def _fields(entry: Any, known: set[str], needed: Iterable[str]) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise CockpitError(f"'{entry}' is not a mapping")
    name = entry.get("id", "?")
    for key in needed:
        if not entry.get(key):
            raise CockpitError(f"'{name}' has no '{key}'")
    for key in entry:
        if key not in known:
            raise CockpitError(f"'{name}' has a key '{key}' that means nothing; known: {', '.join(sorted(known))}")
    return entry


def _look(name: str, look: Any, tools: Mapping[str, bool]) -> Look:
    tool = _tool(look)
    if tools.get(tool, True):
        raise CockpitError(f"look '{name}' names no diagnostic: {tool}")
    return Look(name, tool, _arguments(look))


def _remedy(call: Any, tools: Mapping[str, bool]) -> Remedy:
    tool = _tool(call)
    if not tools.get(tool, False):
        raise CockpitError(f"'{tool}' under propose is no remediation")
    return Remedy(tool, _arguments(call))


def _tool(call: Any) -> str:
    return str(call.get("tool")) if isinstance(call, dict) else ""


def _rival(entry: Any) -> RivalCause:
    fields = _fields(entry, {"cause", "ruled_out", "reading"}, needed=("cause", "ruled_out", "reading"))
    check(str(fields["ruled_out"]))
    check_text(str(fields["reading"]))
    return RivalCause(str(fields["cause"]), str(fields["ruled_out"]), str(fields["reading"]))


def _arguments(call: dict[str, Any]) -> Mapping[str, JSON]:
    arguments = call.get("with") or {}
    if not isinstance(arguments, dict):
        raise CockpitError(f"'with' of {call.get('tool')} is not a mapping of arguments")
    for value in arguments.values():
        check_text(str(value))
    return arguments


def _severity(value: Any) -> Severity:
    try:
        return Severity(str(value))
    except ValueError:
        raise CockpitError(f"severity '{value}' is none of {', '.join(Severity)}") from None


def _seconds(fields: dict[str, Any], key: str) -> float:
    value = fields.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise CockpitError(f"'{key}' of '{fields['id']}' is not a number of seconds: {value}")
    return float(value)
