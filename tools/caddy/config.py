"""What stands in a Caddy config: its proxies and routes, what differs from another, and its secrets.

Config format: https://caddyserver.com/docs/json/.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cockpit.model import JSON, Unexpected

SERVERS = "apps/http/servers"
DEFAULT_ADMIN = "localhost:2019"
SECRET_KEY = re.compile(
    r"(?i)(password|passwd|secret|token|api_?key|private_?key|credential|authorization|cookie|mac_key|hmac|account_key)"
)
HIDDEN = re.compile(r"\(hidden [0-9a-f]{6}\)")


@dataclass(frozen=True)
class Proxy:
    """One `reverse_proxy` handler."""

    route: str
    """Where it stands below the servers, such as `srv0/routes/0/handle/0`."""
    hosts: tuple[str, ...]
    upstreams: tuple[str, ...]
    """The addresses it dials."""
    health_path: str
    """The path of its active health check; empty when there is none."""
    tls: bool
    """Whether it speaks TLS to its upstreams."""


@dataclass(frozen=True)
class Route:
    """One route of a server, with all that is nested in it."""

    path: str
    listen: tuple[str, ...]
    hosts: tuple[str, ...]
    handlers: tuple[str, ...]
    statuses: tuple[int, ...]
    """Status codes of the static answers in it."""


def servers(config: JSON) -> Mapping[str, Any]:
    """The HTTP servers by name; none when there are none."""
    found: Any = config
    for key in SERVERS.split("/"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def proxies(config: JSON) -> list[Proxy]:
    """Every reverse proxy in the config."""
    found = []
    for name, server in servers(config).items():
        for path, handler, hosts in _handlers(server, name, ()):
            if handler.get("handler") == "reverse_proxy":
                found.append(_proxy(path, handler, hosts))
    return found


def routes(config: JSON) -> list[Route]:
    """Every top-level route of every server."""
    found = []
    for name, server in servers(config).items():
        listen = tuple(str(address) for address in server.get("listen") or ())
        for index, route in enumerate(server.get("routes") or ()):
            inside = list(_handlers({"routes": [route]}, name, ()))
            found.append(
                Route(
                    f"{name}/routes/{index}",
                    listen,
                    _hosts(route),
                    tuple(sorted({str(handler.get("handler")) for _, handler, _ in inside})),
                    tuple(_status(handler) for _, handler, _ in inside if handler.get("handler") == "static_response"),
                )
            )
    return found


def differences(running: JSON, wanted: JSON, path: str = "") -> list[str]:
    """The paths at which two configs differ, shortest first."""
    if isinstance(running, Mapping) and isinstance(wanted, Mapping):
        keys = sorted({*running, *wanted})
        return [one for key in keys for one in differences(running.get(key), wanted.get(key), f"{path}/{key}")]
    return [] if running == wanted else [path or "/"]


def admin_address(config: JSON) -> str:
    """Where a config puts the admin API; empty when it turns it off."""
    admin = config.get("admin") if isinstance(config, Mapping) else None
    if not isinstance(admin, Mapping):
        return DEFAULT_ADMIN
    return "" if admin.get("disabled") else str(admin.get("listen") or DEFAULT_ADMIN)


def hidden(value: JSON) -> JSON:
    """The config with every secret replaced by a mark that is the same for the same secret."""
    return _hide(value, secret=False)


def revealed(value: JSON, *known: JSON) -> JSON:
    """The config with its marks replaced by the secrets that stand in the known configs.

    Raises Unexpected when a secret stands in none of them.
    """
    secrets: dict[str, str] = {}
    for config in known:
        _collect(config, secrets, secret=False)
    return _reveal(value, secrets)


def _handlers(
    holder: Any, path: str, hosts: tuple[str, ...]
) -> Iterator[tuple[str, Mapping[str, Any], tuple[str, ...]]]:
    for index, route in enumerate(holder.get("routes") or ()):
        matched = _hosts(route) or hosts
        for number, handler in enumerate(route.get("handle") or ()):
            here = f"{path}/routes/{index}/handle/{number}"
            yield here, handler, matched
            yield from _handlers(handler, here, matched)


def _proxy(path: str, handler: Mapping[str, Any], hosts: tuple[str, ...]) -> Proxy:
    active = (handler.get("health_checks") or {}).get("active") or {}
    return Proxy(
        route=path,
        hosts=hosts,
        upstreams=tuple(str(upstream.get("dial")) for upstream in handler.get("upstreams") or ()),
        health_path=str(active.get("uri") or active.get("path") or ""),
        tls="tls" in (handler.get("transport") or {}),
    )


def _hosts(route: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(host) for match in route.get("match") or () for host in match.get("host") or ())


def _status(handler: Mapping[str, Any]) -> int:
    text = str(handler.get("status_code") or 200)
    return int(text) if text.isdigit() else 0


def _is_secret(value: JSON) -> bool:
    return isinstance(value, str) and bool(value) and not value.startswith("{")


def _hide(value: JSON, *, secret: bool) -> JSON:
    if isinstance(value, Mapping):
        return {key: _hide(item, secret=secret or bool(SECRET_KEY.search(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [_hide(item, secret=secret) for item in value]
    return _mark(str(value)) if secret and _is_secret(value) else value


def _mark(secret: str) -> str:
    # Six digits tell a changed secret from an unchanged one, and too little to guess it by.
    return f"(hidden {hashlib.sha256(secret.encode()).hexdigest()[:6]})"


def _collect(value: JSON, into: dict[str, str], *, secret: bool) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _collect(item, into, secret=secret or bool(SECRET_KEY.search(key)))
    elif isinstance(value, list):
        for item in value:
            _collect(item, into, secret=secret)
    elif secret and _is_secret(value):
        into[_mark(str(value))] = str(value)


def _reveal(value: JSON, secrets: Mapping[str, str]) -> JSON:
    if isinstance(value, Mapping):
        return {key: _reveal(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_reveal(item, secrets) for item in value]
    if isinstance(value, str) and HIDDEN.fullmatch(value):
        if value not in secrets:
            raise Unexpected(
                "A secret of that config stands neither in the running one nor in the file.", "Load it by hand."
            )
        return secrets[value]
    return value
