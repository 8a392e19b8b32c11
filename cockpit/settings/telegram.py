"""The table `telegram`: the bot, its one chat, and who may do what there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cockpit.model import Role
from cockpit.settings.checks import at_least, chosen, dotted, fitted, hours
from cockpit.settings.daemon import Operator, Right, TelegramSettings, WebhookSettings
from cockpit.settings.http import address, file, is_loopback
from cockpit.settings.sources import Found
from cockpit.settings.tables import Key, rows, table
from cockpit.settings.values import Keys, Origin, SettingsError

NAME = re.compile(r"\w[\w .'-]{0,62}")
WEBHOOK_PORTS = (443, 80, 88, 8443)
"""Those that Telegram calls."""
RIGHTS = {right.value: right for right in Right}


def telegram(found: Found) -> TelegramSettings | None:
    """The table `telegram`; None where there is none. Raises SettingsError naming the place of what is wrong."""
    values = table("telegram", found, KEYS)
    if values is None:
        return None
    origin = next(origin for keys, (_, origin) in found.items() if keys[0] == "telegram")
    for name, other in (("chat", "users"), ("users", "chat")):  # without both, it only waits for somebody to enrol
        if name in values and other not in values:
            raise SettingsError(f"{origin}: 'telegram' lacks '{other}'.", f"Add it: {other} = …")
    settings = TelegramSettings(**{**_without_webhook(values), "webhook": _webhook(values, origin)})
    if settings.two_people_for_critical and sum(Right.CRITICAL in each.rights for each in settings.users) < 2:
        raise SettingsError(
            f"{origin}: 'two_people_for_critical' needs two users who may approve critical changes.",
            'Add rights = ["see", "approve", "approve critical"] to another user.',
        )
    return settings


def _users(keys: Keys, raw: Any, origin: Origin) -> tuple[Operator, ...]:
    users = tuple(_user(keys, values, origin) for values in rows(keys, raw, origin, USER))
    for what in ("id", "name"):
        known = [getattr(user, what) for user in users]
        if len(set(known)) != len(known):
            raise SettingsError(f"{origin}: two users of '{dotted(keys)}' have the same {what}.", "Tell them apart.")
    if not users:
        raise SettingsError(f"{origin}: '{dotted(keys)}' is empty, so nobody could answer.", "Add a user.")
    return users


def _user(keys: Keys, values: dict[str, Any], origin: Origin) -> Operator:
    user = Operator(**values)
    if not NAME.fullmatch(user.name) or user.name.lower() in {role.value for role in Role}:
        raise SettingsError(
            f"{origin}: '{user.name}' is no name for a user of '{dotted(keys)}'.", "Name the person, such as 'Ada'."
        )
    return user


def _id(keys: Keys, raw: Any, origin: Origin) -> int:
    value: int = fitted(keys, raw, origin, int)
    if not 0 < value < 2**52:
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' must be a user's number in Telegram.",
            "It is not the user's name; `cockpit telegram enrol` finds it out.",
        )
    return value


def _chat(keys: Keys, raw: Any, origin: Origin) -> int:
    value: int = fitted(keys, raw, origin, int)
    if value == 0 or abs(value) >= 2**52:
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' must be a chat's number in Telegram.",
            "A private chat has its user's number, a group a negative one.",
        )
    return value


def _rights(keys: Keys, raw: Any, origin: Origin) -> frozenset[Right]:
    named = fitted(keys, raw, origin, list)
    return frozenset(chosen(keys, right, origin, RIGHTS) for right in named)


def _hours(keys: Keys, raw: Any, origin: Origin) -> tuple[str, str]:
    return hours(keys, fitted(keys, raw, origin, list), origin)


def _per_minute(keys: Keys, raw: Any, origin: Origin) -> int:
    value: int = fitted(keys, raw, origin, int)
    at_least(keys, value, origin, 1)
    return value


def _base_url(keys: Keys, raw: Any, origin: Origin) -> str:
    text: str = fitted(keys, raw, origin, str)
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", text):
        raise SettingsError(f"{origin}: '{dotted(keys)}' must be an address of the web.", "Start it with https://")
    if text.startswith("http:") and not is_loopback(urlsplit(text).hostname or ""):
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' would send the bot's token in the clear.",
            "Start it with https://, or let the server stand on this machine.",
        )
    return text.rstrip("/")


def _without_webhook(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.startswith("webhook")}


def _webhook(values: Mapping[str, Any], origin: Origin) -> WebhookSettings | None:
    given = {key for key in values if key.startswith("webhook")}
    if not given:
        return None
    if "webhook" not in given:
        raise SettingsError(
            f"{origin}: '{min(given)}' says where to listen, but not what Telegram is to call.",
            'Add the public address: webhook = "https://…"',
        )
    host, port = values.get("webhook_bind", (WebhookSettings.host, WebhookSettings.port))
    certificate, key = values.get("webhook_certificate"), values.get("webhook_key")
    if bool(certificate) != bool(key):
        raise SettingsError(f"{origin}: TLS needs both 'webhook_certificate' and 'webhook_key'.", "Add the other one.")
    if not is_loopback(host) and certificate is None:
        raise SettingsError(
            f"{origin}: {host} can be reached from other machines, and Telegram calls nothing without TLS.",
            "Add 'webhook_certificate' and 'webhook_key', or bind to 127.0.0.1 behind a proxy that ends TLS.",
        )
    return WebhookSettings(values["webhook"], host, port, certificate, key)


def _public_url(keys: Keys, raw: Any, origin: Origin) -> str:
    text: str = fitted(keys, raw, origin, str)
    parts = re.fullmatch(r"https://([^\s/@?#:]+|\[[0-9a-fA-F:]+\])(?::(\d{1,5}))?(/[^\s?#]*)?", text)
    if parts is None:
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' must be an address of the web over TLS, without a query.",
            'Write it like: webhook = "https://ops.example.net/telegram"',
        )
    if int(parts[2] or 443) not in WEBHOOK_PORTS:
        raise SettingsError(
            f"{origin}: Telegram calls no port {parts[2]}.",
            f"Use one of {', '.join(map(str, WEBHOOK_PORTS))}; a proxy can pass it on to another.",
        )
    return text


USER = {"id": Key(read=_id, required=True), "name": Key(required=True), "rights": Key(read=_rights)}
KEYS = {
    "token": Key(secret=True, required=True),
    "chat": Key(read=_chat),
    "users": Key(read=_users),
    "base_url": Key(read=_base_url),
    "quiet_hours": Key(read=_hours),
    "storm_per_minute": Key(read=_per_minute),
    "two_people_for_critical": Key(bool),
    "webhook": Key(read=_public_url),
    "webhook_bind": Key(read=address),
    "webhook_certificate": Key(read=file),
    "webhook_key": Key(read=file),
}
