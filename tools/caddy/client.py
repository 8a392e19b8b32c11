"""Clients of one Caddy: its admin API, and its site as a visitor sees it.

Admin API: https://caddyserver.com/docs/api.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cockpit.model import JSON, CockpitError, Denied, Drifted, Service, Unexpected, Unreachable
from cockpit.toolkit import Client
from tools.caddy.config import hidden, revealed
from tools.caddy.files import Adapted, adapted, tail

if TYPE_CHECKING:
    import ssl

    import httpx

LARGEST_PAGE = 65_536


@dataclass(frozen=True)
class Answer:
    """What a visitor gets."""

    status: int
    """0 when nothing answers."""
    seconds: float
    text: str = ""
    error: str = ""
    """Why nothing answers."""


class CaddyReader(Client):
    """Reads a Caddy: GET requests, its file and its log; it has no way to send anything else."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.admin = self.text("admin", "http://localhost:2019").rstrip("/")
        self.site = self.text("site")
        self.limit = max(0.2, service.timeout * 0.8)
        """Seconds that one request may take: less than a probe, so that what is silent has a name."""

    async def open(self) -> None:
        """Make the HTTP clients; nothing is sent yet."""
        self._admin = self._http(verify=False)
        self._visitor = (
            self._http(verify=await self.trust()) if self.site.startswith("https:") else self._http(verify=False)
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._admin.aclose()
        await self._visitor.aclose()

    async def config(self) -> JSON:
        """The running config. Raises Unreachable, Denied or Unexpected."""
        content: JSON = _json(await self._get("config/"))
        return content

    async def upstream_state(self) -> list[dict[str, Any]]:
        """What Caddy itself counts of its upstreams: passive failures only, so a 0 says little."""
        state = _json(await self._get("reverse_proxy/upstreams"))
        return [entry for entry in state if isinstance(entry, dict)] if isinstance(state, list) else []

    async def started_at(self) -> float:
        """When its process started, by its own metrics. Raises Unexpected when they do not say."""
        for line in (await self._get("metrics")).text.splitlines():
            if line.startswith("process_start_time_seconds "):
                return float(line.split()[1])
        raise Unexpected(f"{self.service.name} does not tell when it started.", "Turn its metrics on.")

    async def visit(self, url: str = "") -> Answer:
        """Ask for the site, or for another plain address, as a visitor; no answer is an answer as well."""
        import httpx

        started = time.monotonic()
        client = self._admin if url else self._visitor
        try:
            async with asyncio.timeout(self.limit), client.stream("GET", url or self.site) as response:
                text = await _beginning(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return Answer(0, time.monotonic() - started, error=str(error) or "no answer in time")
        return Answer(response.status_code, time.monotonic() - started, text)

    def well(self, answer: Answer) -> bool:
        """Whether that answer of the site is what a visitor should get."""
        return 200 <= answer.status < 400 and self.text("site_text") in answer.text

    async def wanted(self) -> Adapted | None:
        """The config that ought to run, from its file; None when no file is configured."""
        file = self.text("config_file")
        return await adapted(self.text("binary", "caddy"), Path(file)) if file else None

    async def log(self) -> list[str]:
        """The last lines of its log. Raises CockpitError when there is none to read."""
        file = self.text("log_file")
        if not file:
            raise CockpitError(f"The log of {self.service.name} is not configured.", "Set 'log_file' to its path.")
        return await tail(Path(file))

    async def trust(self) -> ssl.SSLContext:
        """The certificates a visitor trusts. Raises CockpitError when `ca_file` holds none."""
        import ssl

        file = self.text("ca_file")
        try:
            return await asyncio.to_thread(ssl.create_default_context, cafile=file or None)
        except OSError as error:
            raise CockpitError(f"The certificates in {file} cannot be read: {error}.", "Correct 'ca_file'.") from error

    def _http(self, *, verify: ssl.SSLContext | bool) -> httpx.AsyncClient:
        import httpx

        # No proxy from the environment: what is asked is this machine's or its neighbours'.
        return httpx.AsyncClient(verify=verify, timeout=self.limit, trust_env=False)

    async def _get(self, path: str) -> httpx.Response:
        import httpx

        try:
            return _checked(await self._admin.get(f"{self.admin}/{path}"), self.service.name)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _silent(self, error) from error


class CaddyWriter(CaddyReader):
    """Changes a Caddy through its admin API; the executor alone opens one."""

    async def put_config(self, path: str, before: JSON, after: JSON) -> None:
        """Replace what stands at a path of the running config, unless that is no longer `before`.

        Args:
            path: below `/config/`, empty for all.
            before: what must stand there, secrets hidden.
            after: what shall stand there, secrets hidden; they are taken from the running config and the file.

        Raises:
            Drifted: something else stands there by now.
            Unexpected: Caddy refuses it, with Caddy's reason.
        """
        import httpx

        found = await self._get(f"config/{quote(path)}")
        running = _json(found)
        if hidden(running) != before:
            raise Drifted(f"The running config of {self.service.name} changed meanwhile.", "Plan it again.")
        wanted = await self.wanted()
        body = revealed(after, running, wanted.config if wanted else None)
        # If-Match: Caddy refuses when somebody else writes between our look and our change.
        headers = {"If-Match": found.headers["Etag"]} if "Etag" in found.headers else {}
        request = self._admin.patch if path else self._admin.post
        try:
            response = await request(f"{self.admin}/config/{quote(path)}", json=body, headers=headers)
        except httpx.HTTPError as error:
            raise _silent(self, error) from error
        if response.status_code == 412:
            raise Drifted(f"The running config of {self.service.name} changed meanwhile.", "Plan it again.")
        _checked(response, self.service.name)


async def _beginning(response: httpx.Response) -> str:
    content = b""
    async for part in response.aiter_bytes():
        content += part
        if len(content) >= LARGEST_PAGE:
            break
    return content[:LARGEST_PAGE].decode(errors="replace")


def _checked(response: httpx.Response, name: str) -> httpx.Response:
    if response.status_code in (401, 403):
        raise Denied(f"The admin API of {name} refuses us: {_reason(response)}.", "Check 'origins' in its admin block.")
    if response.status_code != 200:
        raise Unexpected(
            f"The admin API of {name} answers {response.status_code}: {_reason(response)}.", "See its log."
        )
    return response


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])[:500].rstrip(".")
    except (ValueError, KeyError, TypeError):
        return response.text.strip()[:200] or "no reason given"


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise Unexpected(f"What answers at {response.url} is no Caddy: {error}.", "Correct 'admin'.") from error


def _silent(client: CaddyReader, error: Exception) -> Unreachable:
    said = str(error) or type(error).__name__
    return Unreachable(
        f"The admin API of {client.service.name} does not answer at {client.admin}: {said}.",
        "Check that it runs, and that 'admin' is its address.",
    )
