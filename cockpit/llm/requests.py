"""A prompt as litellm takes it; every text in it is handed to whoever redacts it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cockpit.llm.conversation import Message, Offer, Prompt, Speaker
from cockpit.llm.texts import each_text, tokens_of
from cockpit.model import JSON
from cockpit.text import shorten

LONGEST_TEXT = 32_000
"""Characters a text may have; the rest of it is cut off."""
LONGEST_DESCRIPTION = 1_000
"""Characters of a tool's description; OpenAI takes no more than 1,024."""
MOST_SAID = 4_000
"""Output tokens one call may have, thinking included."""

Write = Callable[[str], str]


def body(prompt: Prompt, write: Write) -> dict[str, JSON]:
    """The request, all but the model's name.

    Args:
        prompt: what is said and offered.
        write: makes a text one that may leave.
    """
    found: dict[str, Any] = {"messages": [_message(message, write) for message in prompt.messages]}
    if prompt.offers:
        found["tools"] = [_tool(offer, write) for offer in prompt.offers]
    if prompt.schema:
        schema = {"name": "answer", "schema": each_text(prompt.schema, write)}
        found["response_format"] = {"type": "json_schema", "json_schema": schema}
    return {**found, "max_tokens": MOST_SAID}


def size(body: dict[str, JSON]) -> int:
    """About how many tokens a request is."""
    return tokens_of(json.dumps(body, ensure_ascii=False, separators=(",", ":")))


def _message(message: Message, write: Write) -> dict[str, JSON]:
    text = shorten(write(message.text), LONGEST_TEXT)
    if message.speaker is Speaker.TOOL:
        return {"role": "tool", "tool_call_id": message.answers, "content": text}
    if not message.wanted:
        return {"role": message.speaker.value, "content": text}
    calls: list[JSON] = [
        {
            "id": wanted.id,
            "type": "function",
            "function": {
                "name": wanted.name,
                "arguments": json.dumps(each_text(dict(wanted.arguments), write), ensure_ascii=False),
            },
        }
        for wanted in message.wanted
    ]
    return {"role": message.speaker.value, "content": text or None, "tool_calls": calls}


def _tool(offer: Offer, write: Write) -> dict[str, JSON]:
    description = shorten(write(offer.description), LONGEST_DESCRIPTION)
    parameters = each_text(dict(offer.parameters), write)
    return {
        "type": "function",
        "function": {"name": offer.name, "description": description, "parameters": parameters},
    }
