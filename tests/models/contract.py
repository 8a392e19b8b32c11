"""What OpenAI documents of a chat completions request, as far as a server refuses what does not hold to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
KEYS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "messages": list,
    "tools": list,
    "tool_choice": (str, dict),
    "parallel_tool_calls": bool,
    "response_format": dict,
    "stream": bool,
    "stream_options": dict,
    "temperature": (int, float),
    "top_p": (int, float),
    "seed": int,
    "n": int,
    "stop": (str, list),
    "max_tokens": int,
    "max_completion_tokens": int,
    "reasoning_effort": str,
    "user": str,
}


class Refusal(Exception):
    """The request does not hold to the contract; a server answers 400 with this."""


def check(body: Any) -> None:
    """Raise Refusal unless a body is a request that OpenAI's server would take."""
    _need(isinstance(body, dict), "the body must be an object")
    for key, value in body.items():
        _need(key in KEYS, f"Unrecognized request argument supplied: {key}")
        fits = isinstance(value, KEYS[key]) and (not isinstance(value, bool) or KEYS[key] is bool)
        _need(fits, f"'{key}' is of the wrong type")
    _need(bool(body.get("model")), "you must provide a model parameter")
    _need("stream_options" not in body or body.get("stream") is True, "'stream_options' needs 'stream'")
    _messages(body.get("messages"))
    _tools(body)
    _format(body.get("response_format"))


def _need(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refusal(otherwise)


def _messages(messages: Any) -> None:
    _need(isinstance(messages, list) and bool(messages), "'messages' must be a list that is not empty")
    unanswered: set[str] = set()
    for at, message in enumerate(messages):
        _need(isinstance(message, dict) and message.get("role") in ROLES, f"messages[{at}] has no valid role")
        role = message["role"]
        if role == "tool":
            _need(message.get("tool_call_id") in unanswered, f"messages[{at}] answers no tool call that is open")
            unanswered.remove(message["tool_call_id"])
        else:
            _need(not unanswered, f"messages[{at}]: these tool calls were not answered: {sorted(unanswered)}")
        ROLES[role](message, f"messages[{at}]")
        if role == "assistant":
            unanswered = {call["id"] for call in message.get("tool_calls") or ()}
    _need(not unanswered, f"these tool calls were not answered: {sorted(unanswered)}")


def _said(message: Mapping[str, Any], where: str) -> None:
    _keys(message, where, {"role", "content", "name"})
    _need(_is_text(message.get("content")), f"{where}.content must be text")


def _assistant(message: Mapping[str, Any], where: str) -> None:
    _keys(message, where, {"role", "content", "name", "tool_calls", "refusal"})
    calls = message.get("tool_calls")
    _need(_is_text(message.get("content")) or bool(calls), f"{where} says nothing and calls nothing")
    _need(calls is None or (isinstance(calls, list) and bool(calls)), f"{where}.tool_calls must not be empty")
    for call in calls or ():
        _keys(call, f"{where}.tool_calls", {"id", "type", "function"})
        _need(isinstance(call.get("id"), str) and call.get("type") == "function", f"{where} has a call without id")
        function = call["function"]
        _need(
            bool(NAME.fullmatch(function.get("name", ""))), f"{where} calls '{function.get('name')}', which is no name"
        )
        _need(_is_object(function.get("arguments")), f"{where}: the arguments of a call must be a JSON object as text")
    ids = [call["id"] for call in calls or ()]
    _need(len(ids) == len(set(ids)), f"{where} has two calls of one id")


def _tool(message: Mapping[str, Any], where: str) -> None:
    _keys(message, where, {"role", "content", "tool_call_id"})
    _need(_is_text(message.get("content")), f"{where}.content must be text")


def _keys(message: Mapping[str, Any], where: str, known: set[str]) -> None:
    _need(not set(message) - known, f"{where} has unknown keys: {sorted(set(message) - known)}")


def _is_text(content: Any) -> bool:
    if isinstance(content, list):
        return bool(content) and all(
            part.get("type") == "text" and isinstance(part.get("text"), str) for part in content
        )
    return isinstance(content, str)


def _is_object(text: Any) -> bool:
    try:
        return isinstance(text, str) and isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _tools(body: Mapping[str, Any]) -> None:
    tools = body.get("tools")
    _need(tools is None or bool(tools), "'tools' must not be empty")
    _need(tools is not None or not {"tool_choice", "parallel_tool_calls"} & set(body), "'tool_choice' needs 'tools'")
    names = []
    for tool in tools or ():
        _need(isinstance(tool, dict) and tool.get("type") == "function", "a tool must be of the type function")
        function = tool.get("function") or {}
        _need(bool(NAME.fullmatch(str(function.get("name", "")))), f"'{function.get('name')}' is no name of a function")
        _need(len(function.get("description", "")) <= 1024, f"the description of {function['name']} is too long")
        parameters = function.get("parameters", {"type": "object"})
        _need(parameters.get("type") == "object", f"the parameters of {function['name']} are no schema of an object")
        names.append(function["name"])
    _need(len(names) == len(set(names)), "two tools have one name")


def _format(wanted: Any) -> None:
    if wanted is None or wanted in ({"type": "text"}, {"type": "json_object"}):
        return
    schema = wanted.get("json_schema")
    fits = wanted.get("type") == "json_schema" and isinstance(schema, dict)
    _need(fits and isinstance(schema.get("schema"), dict), "'response_format' has no schema")
    _need(bool(NAME.fullmatch(str(schema.get("name", "")))), "the schema of 'response_format' has no name")


ROLES: dict[str, Callable[[Mapping[str, Any], str], None]] = {
    "system": _said,
    "developer": _said,
    "user": _said,
    "assistant": _assistant,
    "tool": _tool,
}
