"""CEL expressions over samples and diagnostic results, and `${…}` in the texts of runbooks.

Language: Common Expression Language, https://github.com/google/cel-spec. All numbers are
doubles, so that `used / limit` never truncates and `count >= 3` still compares.
Beside what the language has there is `counted`, which says a count with its noun:
`counted(waiters, 'session')`, `counted(waiters, 'query waits', 'queries wait')`.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
import sys
from collections.abc import Mapping
from functools import cache, cached_property
from types import ModuleType
from typing import Any

from cockpit.model import JSON, CockpitError
from cockpit.text import counted, figure

HOLE = re.compile(r"\$\{([^}]*)\}")


class ExpressionError(CockpitError):
    """An expression that does not parse, or asks for what is not there."""


@cache
def _engine() -> ModuleType:
    """The native half of the `cel` package alone.

    The package's own `__init__` imports its command-line tool, which costs 250 ms and
    15 MB for a prompt that we never show.
    """
    if "cel" not in sys.modules:
        spec = importlib.util.find_spec("cel")
        if spec is None:
            raise ExpressionError("The package common-expression-language is missing.", "Install cockpit again.")
        sys.modules["cel"] = importlib.util.module_from_spec(spec)
        # What `counted` refuses is raised as well; a log would write it across the screen.
        logging.getLogger("cel").setLevel(logging.CRITICAL)
    return importlib.import_module("cel.cel")


@cache
def _program(source: str) -> Any:
    try:
        return _engine().compile(source)
    except ValueError as error:
        raise ExpressionError(f"'{source}' does not parse: {_first_line(error)}.") from None


class Prepared(dict[str, Any]):
    """Variables whose numbers are doubles already; for many expressions over the same readings."""

    @cached_property
    def context(self) -> Any:
        """The variables as the engine holds them; to convert them takes much longer than most expressions do."""
        return _engine().Context(variables=dict(self), functions={"counted": counted})


def prepared(variables: Mapping[str, JSON]) -> Prepared:
    """The variables with every number a double, however deep it stands."""
    return Prepared({name: _doubles(value) for name, value in variables.items()})


def check(source: str) -> None:
    """Raise ExpressionError when the expression does not parse."""
    _program(source)


def check_text(text: str) -> None:
    """Raise ExpressionError when an expression inside `${…}` does not parse."""
    for source in HOLE.findall(text):
        check(source)


def evaluate(source: str, variables: Mapping[str, JSON]) -> Any:
    """The value of an expression. Raises ExpressionError for what is missing or cannot be compared."""
    ready = variables if isinstance(variables, Prepared) else prepared(variables)
    try:
        return _program(source).execute(ready.context)
    except (ValueError, RuntimeError, TypeError, LookupError, ArithmeticError) as error:
        raise ExpressionError(f"'{source}' cannot be told: {_first_line(error)}.") from None


def holds(source: str, variables: Mapping[str, JSON]) -> bool:
    """Whether an expression is true; anything but true or false is an ExpressionError."""
    value = evaluate(source, variables)
    if not isinstance(value, bool):
        raise ExpressionError(f"'{source}' is {value!r}, neither true nor false.")
    return value


def fill(text: str, variables: Mapping[str, JSON]) -> str:
    """The text with every `${…}` replaced by its value, numbers rounded for people."""
    return HOLE.sub(lambda hole: shown(evaluate(hole[1], variables)), text)


def argument(value: JSON, variables: Mapping[str, JSON]) -> JSON:
    """An argument of a runbook's call; one that is a single `${…}` keeps the type of its value."""
    if not isinstance(value, str):
        return value
    if whole := HOLE.fullmatch(value):
        result = evaluate(whole[1], variables)
        return int(result) if isinstance(result, float) and result.is_integer() else result
    return fill(value, variables)


def shown(value: Any) -> str:
    """A value as a sentence shows it: at most two decimals, thousands apart."""
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value)
    return str(value)


def _doubles(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): _doubles(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_doubles(item) for item in value]
    return value


def _first_line(error: Exception) -> str:
    return str(error).strip("'\"").partition("\n")[0].rstrip(".")
