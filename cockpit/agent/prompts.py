"""The words that models are given: texts and schemas in `data/prompts`, filled in."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from string import Template

from cockpit.files import data_file
from cockpit.llm.conversation import Offer

HEADING = re.compile(r"^(?=## )", re.MULTILINE)


def prompt(name: str, **values: object) -> str:
    """A prompt with its `$names` replaced; a section none of whose names says anything is left out."""
    sections = HEADING.split(_text(f"{name}.md"))
    filled = (Template(section).substitute(values).strip() for section in sections if _says(section, values))
    return "\n\n".join(section for section in filled if section)


@cache
def offer(name: str) -> Offer:
    """One of our own tools, as it is offered to a model."""
    described = json.loads(_text(f"{name}.json"))
    return Offer(name, described["description"], described["parameters"])


@cache
def version() -> str:
    """A digest of all prompts: what was answered to others is no answer to these."""
    files = sorted(data_file("prompts").iterdir())
    return hashlib.sha256(b"\0".join(file.name.encode() + b"\0" + file.read_bytes() for file in files)).hexdigest()


@cache
def _text(name: str) -> str:
    return data_file(f"prompts/{name}").read_text(encoding="utf-8")


def _says(section: str, values: dict[str, object]) -> bool:
    names = [found["named"] or found["braced"] for found in Template.pattern.finditer(section)]
    return not names or any(str(values[name]) for name in names)
