"""Which kinds and tools there are, found by entry point; listing them imports no driver."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Self

from cockpit.model import CockpitError
from cockpit.toolkit.items import Action, Resource
from cockpit.toolkit.kind import Kind, Tool

GROUP = "cockpit.tools"
OURS = "tools."
"""Built-in tool modules; they win where a plug-in bears the same name."""


@dataclass(frozen=True)
class Registry:
    """Every kind of service that is known, with its tools."""

    kinds: dict[str, Kind]
    broken: dict[str, str] = field(default_factory=dict)
    """Plug-ins that could not be loaded, each with the reason."""

    @classmethod
    def discover(cls) -> Self:
        """Load every kind that is registered under the entry-point group; a broken one is kept as a warning."""
        kinds: dict[str, Kind] = {}
        broken: dict[str, str] = {}
        for entry in sorted(entry_points(group=GROUP), key=_built_in_first):
            if entry.name in kinds:
                broken[entry.value] = f"there is a kind '{entry.name}' already"
                continue
            try:
                kind = entry.load()
            except Exception as error:  # a stranger's module may raise anything at import
                broken[entry.name] = f"{type(error).__name__}: {error}"
                continue
            if isinstance(kind, Kind):
                kinds[entry.name] = kind
            else:
                broken[entry.name] = f"'{entry.value}' is not a Kind"
        return cls(kinds, broken)

    @classmethod
    def of(cls, kinds: Iterable[Kind]) -> Self:
        """A registry of just these kinds."""
        return cls({kind.name: kind for kind in kinds})

    @cached_property
    def tools(self) -> dict[str, Tool]:
        """Every tool by name."""
        return {name: tool for kind in self.kinds.values() for name, tool in kind.tools.items()}

    def kind(self, name: str) -> Kind:
        """The kind of that name. Raises CockpitError."""
        if name not in self.kinds:
            why = f" ({self.broken[name]})" if name in self.broken else ""
            raise CockpitError(
                f"There is no kind of service '{name}'{why}.", f"Known kinds: {', '.join(sorted(self.kinds))}."
            )
        return self.kinds[name]

    def tool(self, name: str) -> Tool:
        """The tool of that name. Raises CockpitError with the nearest name."""
        if name not in self.tools:
            raise CockpitError(f"There is no tool '{name}'.", _nearest(name, self.tools))
        return self.tools[name]

    def item(self, kind: str, name: str) -> Resource | Action:
        """The resource or action of that name. Raises CockpitError."""
        items = self.kind(kind).items
        if name not in items:
            raise CockpitError(f"Kind '{kind}' has nothing called '{name}' to change.", _nearest(name, items))
        return items[name]


def _built_in_first(entry: EntryPoint) -> tuple[bool, str]:
    return (not entry.value.startswith(OURS), entry.name)


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    return f"Did you mean '{close[0]}'?" if close else "List them with: cockpit tools"
