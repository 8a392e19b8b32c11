"""Plain data of an unknown shape, narrowed to the shape that is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 200
"""Characters of a stranger's text that a finding keeps."""


def mapping(value: Any) -> Mapping[str, Any]:
    """The value when it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> Sequence[Any]:
    """The value when it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def number(value: Any, default: float = 0.0) -> float:
    """The value as a number, also from digits in a text; `default` for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def text(value: Any) -> str:
    """The value as text, cut to a length that a finding can carry; empty for None."""
    full = "" if value is None else str(value)
    return full if len(full) <= LONGEST else full[: LONGEST - 1] + "…"
