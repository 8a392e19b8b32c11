"""Which values in a proposed call no reading shows: names that stand in a log line or a label alone may be planted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cockpit.model import JSON, Call, Run, RunStatus
from cockpit.safety.word import texts
from cockpit.store.rows import Raised
from cockpit.toolkit import Tool
from cockpit.toolkit.schema import schema

JOINTS = re.compile(r"[.:/@\s]+")
"""What joins names to longer ones, such as a schema and its table."""


@dataclass(frozen=True)
class Sources:
    """Where values of a call may come from.

    Args:
        runs: what was read.
        quotes: whether a diagnostic hands on what others wrote.
        alerts: the incident's alerts.
        known: texts of the operator's own: names from the config, notes.
    """

    runs: Sequence[Run]
    quotes: Callable[[str], bool]
    alerts: Sequence[Raised]
    known: Sequence[str]

    def hearsay(self, calls: Iterable[tuple[Call, Tool]]) -> dict[str, str]:
        """The values in calls that neither a reading nor the operator vouches for, each with where it stands."""
        read = {text for run in self.runs if not self.quotes(run.call.tool) for text in texts(_data(run))}
        found: dict[str, str] = {}
        for call, tool in calls:
            for value in texts(call.arguments):
                if not self._vouched(value, read) and value not in _choices(tool):
                    where = self._where(value)
                    if where or not _figure(value):
                        found[value] = where or "was read nowhere: it is the model's own"
        return found

    def _vouched(self, value: str, read: set[str]) -> bool:
        parts = [part for part in JOINTS.split(value) if part]
        return value in read or all(part in read or self._ours(part) for part in parts)

    def _ours(self, value: str) -> bool:
        return any(_holds(text, value) for text in self.known)

    def _where(self, value: str) -> str:
        """Where strangers' text holds the value, in words; empty when none does."""
        for raised in self.alerts:
            if any(_holds(text, value) for text in (raised.alert.summary, *texts(dict(raised.alert.labels)))):
                return f"stands in no reading, only in the alert {raised.alert.name}"
        for run in self.runs:
            if any(_holds(text, value) for text in (run.summary, *texts(_data(run)))):
                return f"stands in no reading, only within what {run.call.tool} quotes (run {run.id})"
        return ""


def _data(run: Run) -> JSON:
    return {} if run.status is RunStatus.ERROR else dict(run.data)


def _holds(text: str, value: str) -> bool:
    """Whether a value stands in a text as a word of its own."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def _figure(value: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", value) is not None


def _choices(tool: Tool) -> set[str]:
    """The values that the tool itself names for its arguments."""

    def named(part: JSON) -> Iterable[str]:
        if isinstance(part, Mapping):
            yield from texts(part.get("enum", ())) + texts(part.get("const"))
            for inner in part.values():
                yield from named(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from named(inner)

    return set(named(schema(tool)))
