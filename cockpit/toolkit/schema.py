"""Argument schemas of tools, made from their types and docstrings; pydantic is loaded when one is needed."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from cockpit.model import JSON, CockpitError
from cockpit.toolkit.kind import Tool

if TYPE_CHECKING:
    from pydantic import BaseModel

ARGUMENT = re.compile(r"^\s{2,}(\w+): (.+(?:\n\s{8,}.+)*)", re.MULTILINE)


def parameters(tool: Tool) -> dict[str, inspect.Parameter]:
    """The tool's own parameters, without the client that is injected."""
    return dict(list(inspect.signature(tool.function).parameters.items())[1:])


def argument_help(tool: Tool) -> dict[str, str]:
    """What the docstring's `Args:` section says of each parameter."""
    section = tool.doc.partition("Args:")[2].split("\n\n")[0]
    return {name: " ".join(text.split()) for name, text in ARGUMENT.findall(section)}


@cache
def arguments_model(tool: Tool) -> type[BaseModel]:
    """The pydantic model of a tool's arguments; unknown names are refused."""
    from pydantic import ConfigDict, Field, create_model

    hints = typing.get_type_hints(tool.function, include_extras=True)
    texts = argument_help(tool)
    fields: dict[str, Any] = {}
    for name, parameter in parameters(tool).items():
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (hints[name], Field(default, description=texts.get(name)))
    return create_model(tool.name, __config__=ConfigDict(extra="forbid", str_max_length=1000), **fields)


@cache
def schema(tool: Tool) -> Mapping[str, Any]:
    """The JSON schema of a tool's arguments, as a model or a form needs it; made once, so leave it as it is."""
    return arguments_model(tool).model_json_schema()


def checked(tool: Tool, arguments: Mapping[str, JSON]) -> dict[str, Any]:
    """The arguments, converted to the tool's types; raises CockpitError naming the first wrong one."""
    from pydantic import ValidationError

    try:
        model = arguments_model(tool).model_validate(dict(arguments))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the arguments"
        known = ", ".join(parameters(tool)) or "none"
        raise CockpitError(f"{tool.name}: '{where}': {first['msg']}.", f"Its arguments are: {known}.") from None
    return {name: getattr(model, name) for name in type(model).model_fields}
