"""What the Bot API documents of the methods that are used: parameters, limits, and the errors it answers with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

COMMAND = re.compile(r"[a-z0-9_]{1,32}")
WEBHOOK_PORTS = (443, 80, 88, 8443)
KINDS = {"message", "edited_message", "channel_post", "edited_channel_post", "inline_query", "callback_query",
         "my_chat_member", "chat_member", "poll", "poll_answer", "message_reaction"}  # fmt: skip
STYLES = {"bold", "italic", "underline", "strikethrough", "code", "pre", "blockquote"}


class Refusal(Exception):
    """An answer other than 200, with the description that Telegram gives."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


@dataclass(frozen=True)
class Parameter:
    kind: type | tuple[type, ...]
    required: bool = False


REPLY = Parameter(dict)
METHODS: dict[str, dict[str, Parameter]] = {
    "getMe": {},
    "deleteWebhook": {"drop_pending_updates": Parameter(bool)},
    "setWebhook": {
        "url": Parameter(str, True),
        "ip_address": Parameter(str),
        "max_connections": Parameter(int),
        "allowed_updates": Parameter(list),
        "drop_pending_updates": Parameter(bool),
        "secret_token": Parameter(str),
    },
    "getWebhookInfo": {},
    "setMyCommands": {"commands": Parameter(list, True), "scope": Parameter(dict), "language_code": Parameter(str)},
    "getUpdates": {
        "offset": Parameter(int),
        "limit": Parameter(int),
        "timeout": Parameter(int),
        "allowed_updates": Parameter(list),
    },
    "sendMessage": {
        "chat_id": Parameter((int, str), True),
        "text": Parameter(str, True),
        "entities": Parameter(list),
        "parse_mode": Parameter(str),
        "link_preview_options": Parameter(dict),
        "disable_notification": Parameter(bool),
        "reply_parameters": REPLY,
        "reply_markup": Parameter(dict),
    },
    "editMessageText": {
        "chat_id": Parameter((int, str), True),
        "message_id": Parameter(int, True),
        "text": Parameter(str, True),
        "entities": Parameter(list),
        "parse_mode": Parameter(str),
        "link_preview_options": Parameter(dict),
        "reply_markup": Parameter(dict),
    },
    "editMessageReplyMarkup": {
        "chat_id": Parameter((int, str), True),
        "message_id": Parameter(int, True),
        "reply_markup": Parameter(dict),
    },
    "answerCallbackQuery": {
        "callback_query_id": Parameter(str, True),
        "text": Parameter(str),
        "show_alert": Parameter(bool),
        "cache_time": Parameter(int),
    },
    "sendDocument": {
        "chat_id": Parameter((int, str), True),
        "document": Parameter(bytes, True),
        "caption": Parameter(str),
        "disable_notification": Parameter(bool),
        "reply_parameters": REPLY,
    },
}


def checked(method: str, given: dict[str, Any]) -> dict[str, Any]:
    """The parameters, all of them known, of their type and within their limits. Raises Refusal."""
    known = METHODS.get(method)
    if known is None:
        raise Refusal(404, "Not Found: method not found")
    for name, value in given.items():
        if name not in known:
            raise Refusal(400, f"Bad Request: unknown parameter {name}")
        if not isinstance(value, known[name].kind) or (known[name].kind is int and isinstance(value, bool)):
            raise Refusal(400, f"Bad Request: parameter {name} has a wrong type")
    for name, parameter in known.items():
        if parameter.required and name not in given:
            raise Refusal(400, f"Bad Request: parameter {name} is required")
    for name, check in LIMITS.items():
        if name in given:
            check(given[name])
    if "entities" in given:
        _entities(given["entities"], given.get("text", ""))
    return given


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _text(text: str) -> None:
    if not text.strip():
        raise Refusal(400, "Bad Request: message text is empty")
    if units(text) > 4096:
        raise Refusal(400, "Bad Request: message is too long")


def _entities(entities: list[Any], text: str) -> None:
    for entity in entities:
        if entity.get("type") not in STYLES or not {"offset", "length"} <= entity.keys():
            raise Refusal(400, "Bad Request: can't parse entities")
        if entity["offset"] < 0 or entity["length"] < 1 or entity["offset"] + entity["length"] > units(text):
            raise Refusal(400, "Bad Request: ENTITY_BOUNDS_INVALID")
        if "language" in entity and entity["type"] != "pre":
            raise Refusal(400, "Bad Request: can't parse entities")


def _markup(markup: dict[str, Any]) -> None:
    for row in markup.get("inline_keyboard", [["none"]]):
        for button in row:
            if not isinstance(button, dict) or not button.get("text"):
                raise Refusal(400, "Bad Request: can't parse inline keyboard button")
            if not 1 <= len(str(button.get("callback_data", "")).encode()) <= 64:
                raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")


def _commands(commands: list[Any]) -> None:
    for command in commands:
        if not COMMAND.fullmatch(command.get("command", "")):
            raise Refusal(400, "Bad Request: BOT_COMMAND_INVALID")
        if not 1 <= len(command.get("description", "")) <= 256:
            raise Refusal(400, "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")


def _at_most(limit: int, what: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        if len(text) > limit:
            raise Refusal(400, f"Bad Request: {what} is too long")

    return check


def _seconds(value: int) -> None:
    if not 0 <= value <= 50:
        raise Refusal(400, "Bad Request: timeout is out of range")


def _webhook(url: str) -> None:
    parts = urlsplit(url)
    if url and (parts.scheme != "https" or not parts.hostname):
        raise Refusal(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
    if url and (parts.port or 443) not in WEBHOOK_PORTS:
        raise Refusal(400, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")


def _secret(token: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", token):
        raise Refusal(400, "Bad Request: secret token contains unallowed characters")


def _connections(value: int) -> None:
    if not 1 <= value <= 100:
        raise Refusal(400, "Bad Request: max_connections is out of range")


def _kinds(kinds: list[Any]) -> None:
    if not all(kind in KINDS for kind in kinds):
        raise Refusal(400, "Bad Request: unknown kind of update")


LIMITS: dict[str, Callable[[Any], None]] = {
    "text": _text,
    "reply_markup": _markup,
    "commands": _commands,
    "caption": _at_most(1024, "message caption"),
    "timeout": _seconds,
    "url": _webhook,
    "secret_token": _secret,
    "max_connections": _connections,
    "allowed_updates": _kinds,
}
