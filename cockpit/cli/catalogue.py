"""Lists tools and kinds of service, from the same docstrings that forms and models read."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from cockpit.cli import output
from cockpit.cli.exits import OK
from cockpit.cli.opening import settings_of
from cockpit.toolkit import Kind, Option, Registry, Tool


def tools(arguments: Namespace) -> int:
    """List tools, or show one with its arguments, or list kinds with their options."""
    registry = Registry.discover()
    for name, why in registry.broken.items():
        output.talk(f"The plug-in {name} is left out: {why}.")
    if arguments.kinds:
        return _kinds(registry, json=arguments.json)
    if arguments.tool:
        return _one(registry.tool(arguments.tool), json=arguments.json)
    configured = {service.kind for service in settings_of(arguments).services}
    found = [tool for tool in registry.tools.values() if arguments.all or not configured or tool.kind in configured]
    if arguments.json:
        output.as_json(tools=[_data(tool) for tool in found])
        return OK
    output.table(
        ("tool", "kind", "changes", "what it does"),
        [(tool.name, tool.kind, tool.approval if tool.writes else "no", tool.summary) for tool in found],
    )
    return OK


def _one(tool: Tool, *, json: bool) -> int:
    from cockpit.toolkit.schema import schema

    if json:
        output.as_json(tool={**_data(tool), "doc": tool.doc, "schema": schema(tool)})
        return OK
    output.line(f"{tool.name} ({tool.kind}, {f'changes things, {tool.approval}' if tool.writes else 'only looks'})\n")
    output.line(tool.doc)
    needed = schema(tool).get("required", ())
    for name, field in schema(tool).get("properties", {}).items():
        kind = field.get("type") or " or ".join(one.get("type", "?") for one in field.get("anyOf", ()))
        output.line(f"\n  {name}={kind}" + (", needed" if name in needed else f", default {field.get('default')}"))
    return OK


def _kinds(registry: Registry, *, json: bool) -> int:
    if json:
        output.as_json(
            kinds=[
                {"name": kind.name, "summary": kind.summary, "options": _options(kind)} for kind in _sorted(registry)
            ]
        )
        return OK
    for kind in _sorted(registry):
        output.line(f"[services.{kind.name}.NAME]  {kind.summary}")
        for option in kind.options:
            output.line(f"  {option.name} ({_type(option)}): {option.help}")
        output.line()
    return OK


def _sorted(registry: Registry) -> list[Kind]:
    return [registry.kinds[name] for name in sorted(registry.kinds)]


def _options(kind: Kind) -> list[dict[str, Any]]:
    return [
        {
            "name": option.name,
            "type": option.type.__name__,
            "help": option.help,
            "default": option.default,
            "required": option.required,
            "secret": option.secret,
        }
        for option in kind.options
    ]


def _type(option: Option) -> str:
    parts = [option.type.__name__]
    if option.required:
        parts.append("needed")
    if option.default is not None:
        parts.append(f"default {option.default}")
    if option.secret:
        parts.append(f"or {option.name}_file, {option.name}_env, {option.name}_credential")
    return ", ".join(parts)


def _data(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "kind": tool.kind,
        "writes": tool.writes,
        "approval": tool.approval,
        "summary": tool.summary,
    }
