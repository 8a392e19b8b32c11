"""The tables `http` and `alertmanager`: where the daemon listens, who may ask it what, and whose alerts are whose."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from cockpit.model import Role
from cockpit.settings.checks import at_least, chosen, dotted, fitted, unknown
from cockpit.settings.daemon import AlertmanagerSettings, HttpSettings, Matcher, Token
from cockpit.settings.sources import Found
from cockpit.settings.tables import Key, rows, table
from cockpit.settings.values import Keys, Origin, SettingsError
from cockpit.text import Redactor

SCOPES = ("read", "alert", "approve")
SHORTEST = 16
"""Characters a token must have: nobody tries so many out, whatever the rate."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.@-]{0,62}")
MATCHER = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"(.*)"|([^"]*?))\s*')


def http(found: Found) -> HttpSettings | None:
    """The table `http`; None where there is none. Raises SettingsError, also for an address open to anyone."""
    values = table("http", found, HTTP)
    if values is None:
        return None
    values["host"], values["port"] = values.pop("bind", (HttpSettings.host, HttpSettings.port))
    settings = HttpSettings(**values)
    _refuse_open(settings, next(origin for keys, (_, origin) in found.items() if keys[0] == "http"))
    return settings


def address(keys: Keys, raw: Any, origin: Origin) -> tuple[str, int]:
    """Host and port to listen on."""
    text: str = fitted(keys, raw, origin, str)
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535 or (":" in host and not host.startswith("[")):
        raise SettingsError(
            f"{origin}: '{text}' is no address to listen on.", 'Write it like: bind = "127.0.0.1:8322" or "[::1]:8322"'
        )
    return host.strip("[]"), int(port)


def file(keys: Keys, raw: Any, origin: Origin) -> Path:
    """A file, from the config's own folder on."""
    beside = origin.file.parent if origin.file else Path()
    return (beside / Path(fitted(keys, raw, origin, str)).expanduser()).absolute()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_open(settings: HttpSettings, origin: Origin) -> None:
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise SettingsError(f"{origin}: TLS needs both 'tls_certificate' and 'tls_key'.", "Add the other one.")
    if is_loopback(settings.host):
        return
    if not settings.tokens:
        raise SettingsError(
            f"{origin}: {settings.host} can be reached from other machines, and no token is configured.",
            "Add one under [[http.tokens]], or bind to 127.0.0.1.",
        )
    if not settings.tls_certificate:
        raise SettingsError(
            f"{origin}: {settings.host} can be reached from other machines, which would send tokens in the clear.",
            "Add 'tls_certificate' and 'tls_key', or bind to 127.0.0.1.",
        )


def _tokens(keys: Keys, raw: Any, origin: Origin) -> tuple[Token, ...]:
    tokens = tuple(Token(**values) for values in rows(keys, raw, origin, TOKEN))
    for name in (token.name for token in tokens):
        if sum(other.name == name for other in tokens) > 1:
            raise SettingsError(f"{origin}: two tokens are named '{name}'.", "Who decides must be told apart.")
    return tokens


def _name(keys: Keys, raw: Any, origin: Origin) -> str:
    name: str = fitted(keys, raw, origin, str)
    if not NAME.fullmatch(name) or name in [role.value for role in Role]:
        raise SettingsError(
            f"{origin}: '{name}' is no name for a token's owner.", "Name the person or program, such as 'ada'."
        )
    return name


def _scopes(keys: Keys, raw: Any, origin: Origin) -> tuple[str, ...]:
    known = {scope: scope for scope in SCOPES}
    return tuple(chosen(keys, scope, origin, known) for scope in fitted(keys, raw, origin, list))


def with_tokens(settings: HttpSettings | None, redactor: Redactor) -> HttpSettings | None:
    """The settings with each token in place, and told to the redactor.

    Raises SettingsError for a token that is short, that stands twice, or that others can read.
    """
    if settings is None:
        return None
    known: dict[str, str] = {}
    for token in settings.tokens:
        value, origin = token.token.fetched(), token.token.origin
        if len(value) < SHORTEST or not re.fullmatch(r"[!-~]+", value):
            raise SettingsError(
                f"{origin}: the token of '{token.name}' must have {SHORTEST} or more letters, digits and signs.",
                "Make one with: openssl rand -hex 32",
            )
        if value in known:
            raise SettingsError(
                f"{origin}: '{known[value]}' and '{token.name}' have the same token.", "Give each its own."
            )
        known[value] = token.name
        redactor.add(value, f"http.{token.name}")
    values = {name: value for value, name in known.items()}
    return replace(settings, tokens=tuple(replace(token, value=values[token.name]) for token in settings.tokens))


def alertmanager(found: Found) -> AlertmanagerSettings | None:
    """The table `alertmanager`; None where there is none. Raises SettingsError for a key or a matcher that is none."""
    if not any(keys[0] == "alertmanager" for keys in found):
        return None
    watchdog, services = 0.0, {}
    for keys, (raw, origin) in found.items():
        if keys[0] != "alertmanager" or (raw == {} and len(keys) < 3):
            continue
        if keys[1:] == ("watchdog_seconds",):
            watchdog = fitted(keys, raw, origin, float)
            at_least(keys, watchdog, origin, 0)
        elif len(keys) == 3 and keys[1] == "services":
            services[keys[2]] = tuple(_matcher(keys, text, origin) for text in fitted(keys, raw, origin, list))
        else:
            raise unknown(keys, origin, ("watchdog_seconds", "services"))
    return AlertmanagerSettings(watchdog, services)


def _matcher(keys: Keys, text: str, origin: Origin) -> Matcher:
    parts = MATCHER.fullmatch(text)
    if parts is None:
        raise SettingsError(
            f"{origin}: '{text}' in '{dotted(keys)}' is no matcher.",
            """Write it as Alertmanager does, like: ['job="redis"', 'instance=~"cache.*"']""",
        )
    label, sign, quoted, bare = parts.groups()
    value = bare if quoted is None else quoted
    try:
        pattern = re.compile(value if "~" in sign else re.escape(value), re.DOTALL)
    except re.error as error:
        raise SettingsError(f"{origin}: '{value}' is no pattern: {error}.", "Correct the expression.") from None
    return Matcher(label, pattern, negated=sign.startswith("!"))


TOKEN = {
    "name": Key(required=True, read=_name),
    "token": Key(secret=True, required=True),
    "scopes": Key(required=True, read=_scopes),
}
HTTP = {
    "bind": Key(read=address),
    "tokens": Key(read=_tokens),
    "tls_certificate": Key(read=file),
    "tls_key": Key(read=file),
    "body_limit_kb": Key(int, least=1),
    "connections": Key(int, least=8),
    "requests_per_second": Key(int, least=1),
}
