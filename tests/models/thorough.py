"""A model that asks ten diagnostics in three rounds, then concludes with readings that stand there.

It understands nothing: it stands for the length and the shape of an investigation, not for its wit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.models.script import Asked, Wants

ROUNDS = (4, 3, 3)
OURS = ("conclude", "search_tools")
RESULT = re.compile(r"^run (\d+), [^:]*: (\w+) on (\S+?)(?: ⟦[^⟧]*⟧)?: ⟦([^⟧]*)⟧ ⟦([^⟧]*)⟧$", re.MULTILINE)


def thorough(asked: Asked) -> Wants:
    """What it does next."""
    done = [call["function"]["name"] for message in asked.messages for call in message.get("tool_calls") or ()]
    rounds = sum(bool(message.get("tool_calls")) for message in asked.messages)
    left = [tool["function"] for tool in asked.body["tools"] if _askable(tool["function"], done)]
    if rounds < len(ROUNDS) and left:
        return Wants(*(_call(tool) for tool in left[: ROUNDS[rounds]]))
    return Wants(("conclude", _conclusion("\n".join(asked.results))))


def _askable(tool: Mapping[str, Any], done: list[str]) -> bool:
    needed = set(tool["parameters"].get("required", ())) - {"target", "why"}
    return tool["name"] not in (*OURS, *done) and not needed


def _call(tool: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    target = tool["parameters"]["properties"]["target"]["enum"][0]
    return tool["name"], {"target": target, "why": f"Whether {tool['name']} shows anything out of the ordinary."}


def _conclusion(results: str) -> dict[str, Any]:
    """Two readings of different runs as evidence, and a third that rules a rival out."""
    readings = list(_readings(results))[:3]
    evidence = [{**reading, "against": "high"} for reading in readings[:2]]
    rival = {
        "cause": "Something that a third reading speaks against.",
        "ruled_out": True,
        "reading": "It is quiet there.",
    }
    return {
        "cause": "The first two readings are out of the ordinary, and the third is not; that is what was found.",
        "evidence": evidence,
        "rivals": [{**rival, **reading} for reading in readings[2:]],
        "proposals": [],
        "guesses": ["A load that is higher than usual.", "A client that does not give back what it took."],
        "next_look": "Compare the readings with those of yesterday at this time.",
    }


def _readings(results: str) -> Iterator[dict[str, Any]]:
    """The first figure or word of each run."""
    for number, _, _, _, data in RESULT.findall(results):
        try:
            found = json.loads(data)
        except ValueError:
            continue
        for field, value in found.items():
            if re.fullmatch(r"\w+", field) and isinstance(value, int | float) and not isinstance(value, bool):
                yield {"run": int(number), "field": field, "value": json.dumps(value)}
                break
