"""A script's answers as OpenAI's interface words them: messages, torn streams, calls and what they are said to cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.models.script import Asked, Says, Wants

PIECE = 7
"""Characters of a delta, so that words and arguments come torn."""


def chunks(step: Says | Wants, asked: Asked, *, words: bool = False) -> Iterator[bytes]:
    """The events of a streamed answer, torn where no word ends, or word by word."""
    yield _chunk(asked, {"role": "assistant", "content": ""})
    for piece in [word + " " for word in step.text.split()] if words else _torn(step.text):
        yield _chunk(asked, {"content": piece})
    for at, call in enumerate(_calls(step, asked)):
        arguments = call["function"]["arguments"]
        yield _chunk(asked, {"tool_calls": [{"index": at, **call, "function": {**call["function"], "arguments": ""}}]})
        for piece in _torn(arguments):
            yield _chunk(asked, {"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
    if isinstance(step, Says) and step.refusal:
        yield _chunk(asked, {"refusal": step.refusal})
    yield _chunk(asked, {}, finish_of(step))
    if (asked.body.get("stream_options") or {}).get("include_usage"):
        yield _chunk(asked, None, usage=usage_of(step, asked))


def _torn(text: str) -> Iterator[str]:
    """The text in pieces that respect no word; a long one in no more than a hundred."""
    length = max(PIECE, len(text) // 100)
    return (text[at : at + length] for at in range(0, len(text), length))


def _chunk(
    asked: Asked, delta: Mapping[str, Any] | None, finish: str | None = None, usage: Mapping[str, int] | None = None
) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": asked.body["model"],
        "choices": choices,
        **({"usage": usage} if usage else {}),
    }
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def message_of(step: Says | Wants, asked: Asked) -> dict[str, Any]:
    """The message of an answer that comes whole."""
    message: dict[str, Any] = {"role": "assistant", "content": step.text or None}
    if isinstance(step, Wants):
        message["tool_calls"] = _calls(step, asked)
    elif step.refusal:
        message["refusal"] = step.refusal
    return message


def _calls(step: Says | Wants, asked: Asked) -> list[dict[str, Any]]:
    turn = len(asked.messages)
    return [
        {
            "id": f"call_{turn}_{at}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for at, (name, given) in enumerate(step.calls if isinstance(step, Wants) else ())
    ]


def finish_of(step: Says | Wants) -> str:
    """Why the answer ends."""
    return "tool_calls" if isinstance(step, Wants) else step.finish


def usage_of(step: Says | Wants, asked: Asked) -> dict[str, int]:
    """The tokens that the answer is said to cost."""
    if step.usage is not None:
        given, made = step.usage
    else:
        given = tokens(asked.body["messages"]) + tokens(asked.body.get("tools", []))
        made = tokens(message_of(step, asked))
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


def tokens(value: Any) -> int:
    """About how many tokens a value is: four letters each."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) // 4
