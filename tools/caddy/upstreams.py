"""Asking a proxy's upstreams ourselves, because what Caddy counts of them can mislead."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cockpit.model import JSON
from tools.caddy.client import CaddyReader
from tools.caddy.config import Proxy, proxies

ADDRESS = re.compile(r"(?:tcp/)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
MOST = 20
"""Upstreams that are asked at once; more are left out."""
CONNECT_SECONDS = 1.0


@dataclass(frozen=True)
class Asked:
    """What one upstream answers us."""

    proxy: Proxy
    dial: str
    backend: str
    """The configured backend that serves it; empty when none is."""
    connects: bool
    error: str
    status: int = 0
    """What it answers to `/`; 0 when it was not asked or does not answer."""
    health_status: int = 0
    """What it answers at Caddy's health path; 0 when there is none."""

    @property
    def misjudged(self) -> bool:
        """Whether it serves, but not at the path where Caddy checks its health."""
        return 200 <= self.status < 400 and self.health_status >= 400

    def row(self) -> dict[str, JSON]:
        """As a diagnostic returns it."""
        return {
            "route": self.proxy.route,
            "hosts": ", ".join(self.proxy.hosts),
            "dial": self.dial,
            "backend": self.backend,
            "connects": self.connects,
            "status": self.status,
            "health_path": self.proxy.health_path,
            "health_status": self.health_status,
            "error": self.error,
        }


async def connected(config: JSON, reader: CaddyReader) -> list[Asked]:
    """Connect to every upstream of a config, and nothing more; what is no plain address is left out."""
    pairs = [(proxy, dial) for proxy in proxies(config) for dial in proxy.upstreams if ADDRESS.fullmatch(dial)]
    names = backends(reader)
    return list(await asyncio.gather(*(_connect(proxy, dial, names.get(dial, "")) for proxy, dial in pairs[:MOST])))


async def asked(config: JSON, reader: CaddyReader) -> list[Asked]:
    """Connect to every upstream, and ask those that speak plain HTTP for `/` and for their health path."""
    return list(await asyncio.gather(*(_ask(one, reader) for one in await connected(config, reader))))


def backends(reader: CaddyReader) -> dict[str, str]:
    """The configured backends' names by the address they serve."""
    table = reader.service.options.get("backends")
    entries = table.items() if isinstance(table, Mapping) else ()
    return {str(entry.get("upstream")): name for name, entry in entries if isinstance(entry, Mapping)}


async def refusal(dial: str) -> str:
    """Why an address accepts no connection; empty when it does."""
    host, port = ADDRESS.fullmatch(dial).groups()  # type: ignore[union-attr]  # callers have matched it
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError:
        return "no answer in time"
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return ""


async def _connect(proxy: Proxy, dial: str, backend: str) -> Asked:
    error = await refusal(dial)
    return Asked(proxy, dial, backend, not error, error)


async def _ask(one: Asked, reader: CaddyReader) -> Asked:
    if not one.connects or one.proxy.tls:
        return one
    address = one.dial.removeprefix("tcp/")
    page = await reader.visit(f"http://{address}/")
    path = one.proxy.health_path
    health = (await reader.visit(f"http://{address}{path}")).status if path.startswith("/") else 0
    return Asked(one.proxy, one.dial, one.backend, True, page.error, page.status, health)
