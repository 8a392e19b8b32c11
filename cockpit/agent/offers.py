"""The diagnostics that a model may ask for, and the way from what it wants to a call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cockpit.agent.prompts import offer
from cockpit.llm.conversation import Offer, Wanted
from cockpit.model import JSON, Call, CockpitError, Service
from cockpit.text import clean, shorten
from cockpit.toolkit import Registry, Tool
from cockpit.toolkit.schema import checked, schema

CONCLUDE, SEARCH = "conclude", "search_tools"
ON_OFFER = 6500
"""Characters of the schemas on offer from the start; `search_tools` finds the others."""
DESCRIPTION, HELP = 170, 90
"""Characters that are told of a tool, and of one argument."""
FOUND = 6
"""Tools that one search finds at the most."""


@dataclass
class Toolbox:
    """What one inquiry may look at.

    Args:
        registry: every tool.
        services: every configured service.
        near: the services that may be looked at from the start.
        best: names of diagnostics that are offered before the others.
    """

    registry: Registry
    services: Mapping[str, Service]
    near: Sequence[str]
    best: Sequence[str] = ()
    targets: dict[str, list[str]] = field(default_factory=dict)
    """By diagnostic, the services it may be called on."""
    offered: dict[str, Offer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        room = ON_OFFER
        for tool in sorted(self._diagnostics(self.near), key=self._rank):
            self.targets[tool.name] = [name for name in self.near if name.startswith(f"{tool.kind}/")]
            described = _offer(tool, self.targets[tool.name])
            room -= size(described)
            if room > 0:
                self.offered[tool.name] = described

    def offers(self, *, conclude: bool, look: bool = True) -> tuple[Offer, ...]:
        """What is on offer now."""
        ours = (offer(CONCLUDE),) if conclude else ()
        return (*self.offered.values(), offer(SEARCH), *ours) if look else ours

    def search(self, words: str) -> str:
        """The diagnostics that fit some words best, which are on offer from now on, as text."""
        wanted = [word[:6] for word in re.findall(r"[a-z]{3,}", words.lower())][:12]
        scored = [(score, tool) for tool in self._diagnostics(self.services) if (score := _score(tool, wanted))]
        found = [tool for _, tool in sorted(scored, key=lambda pair: -pair[0])[:FOUND]]
        if not found:
            return "No diagnostic of any configured service fits these words."
        for tool in found:
            self.targets[tool.name] = [name for name in self.services if name.startswith(f"{tool.kind}/")]
            self.offered[tool.name] = _offer(tool, self.targets[tool.name])
        lines = (f"- {signature(tool)} on {' or '.join(self.targets[tool.name])}: {tool.summary}" for tool in found)
        return "On offer now:\n" + "\n".join(lines)

    def call(self, wanted: Wanted) -> tuple[Call, str]:
        """The call of a diagnostic that a model wants, and its reason.

        Raises CockpitError, for the model to read, when it may not ask for that, or an argument is wrong.
        """
        if wanted.malformed:
            raise CockpitError(f"The arguments of {clean(wanted.name)} are no JSON object.", "Write them again.")
        tool = self.registry.tools.get(wanted.name)
        if tool is None:
            raise CockpitError(f"There is no tool '{shorten(clean(wanted.name), 80)}'.", "Look with search_tools.")
        if tool.writes:
            raise CockpitError(f"{tool.name} changes things, which you cannot.", "Propose it when you conclude.")
        arguments = dict(wanted.arguments)
        why, target = str(arguments.pop("why", "")), str(arguments.pop("target", ""))
        allowed = self.targets.get(tool.name, [])
        if not target and len(allowed) == 1:
            target = allowed[0]
        if target not in allowed:
            where = f"It may be called on: {', '.join(allowed)}." if allowed else "Look with search_tools."
            raise CockpitError(f"{tool.name} may not be called on '{shorten(clean(target), 80)}'.", where)
        checked(tool, arguments)
        return Call(tool.name, target, arguments), clean(why)

    def _diagnostics(self, services: Iterable[str]) -> list[Tool]:
        kinds = dict.fromkeys(name.partition("/")[0] for name in services)
        return [tool for kind in kinds for tool in self.registry.kind(kind).tools.values() if not tool.writes]

    def _rank(self, tool: Tool) -> tuple[int, int, bool]:
        kinds = list(dict.fromkeys(name.partition("/")[0] for name in self.near))
        told = self.best.index(tool.name) if tool.name in self.best else len(self.best)
        return kinds.index(tool.kind), told, not tool.name.endswith("_health")


def size(described: Offer) -> int:
    """About how many characters an offer takes in a prompt."""
    return len(json.dumps(described.parameters)) + len(described.name) + len(described.description)


def signature(tool: Tool) -> str:
    """A tool with its arguments and their types, in one line."""
    fields = _properties(tool)
    needed = schema(tool).get("required", ())
    parts = (f"{name}{'' if name in needed else '?'}: {_type(described)}" for name, described in fields.items())
    return f"{tool.name}({', '.join(parts)})"


def _offer(tool: Tool, targets: Sequence[str]) -> Offer:
    ours: dict[str, JSON] = {"target": {"type": "string", "enum": list(targets)}, "why": {"type": "string"}}
    needed = ["target", "why", *schema(tool).get("required", ())]
    parameters: dict[str, JSON] = {"type": "object", "properties": {**ours, **_properties(tool)}, "required": needed}
    return Offer(tool.name, _described(tool), parameters)


def _described(tool: Tool) -> str:
    """The first line of what it says of itself, and when to use it."""
    when = re.search(r"Use it [^.]+\.", tool.doc)
    text = " ".join(f"{tool.summary} {when[0] if when and when[0] not in tool.summary else ''}".split())
    return shorten(text, DESCRIPTION)


def _properties(tool: Tool) -> dict[str, Any]:
    whole = schema(tool)
    return {name: _plain(part, whole.get("$defs", {})) for name, part in whole.get("properties", {}).items()}


def _plain(part: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """A property without what providers disagree about: references, alternatives with null, titles."""
    if "$ref" in part:
        part = {**part, **known[part["$ref"].rpartition("/")[2]]}
    for each in part.get("anyOf", part.get("allOf", ())):
        if each.get("type") != "null":
            part = {**part, **_plain(each, known)}
            break
    kept = {key: part[key] for key in ("type", "enum", "items", "minimum", "maximum", "description") if key in part}
    if "description" in kept:
        kept["description"] = shorten(kept["description"], HELP)
    return kept


def _type(described: Mapping[str, Any]) -> str:
    return "|".join(map(str, described["enum"])) if "enum" in described else str(described.get("type", "any"))


def _score(tool: Tool, words: Iterable[str]) -> int:
    name, doc = f"{tool.kind} {tool.name}".lower(), tool.doc.lower()
    return sum(3 * (word in name) + (word in doc) for word in words)
