"""Clients of one Caddy: its admin API, its site as a visitor sees it, its config file and its log.

Admin API: https://caddyserver.com/docs/api.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from cockpit.model import JSON, CockpitError, Denied, Drifted, Service, Unexpected, Unreachable
from cockpit.toolkit import Client
from tools.caddy.config import SERVERS, hidden, revealed
from tools.command import execute

if TYPE_CHECKING:
    import httpx

LARGEST_PAGE = 65_536
LARGEST_LOG = 2_000_000
ADAPT_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """What a visitor gets."""

    status: int
    """0 when nothing answers."""
    seconds: float
    text: str = ""
    error: str = ""
    """Why nothing answers."""


@dataclass(frozen=True)
class Adapted:
    """The config that ought to run, from its file."""

    config: JSON
    error: str = ""
    """Why the file is no config; empty when it is one."""


class CaddyReader(Client):
    """Reads a Caddy: GET requests, its file and its log; it has no way to send anything else."""

    _adapted: ClassVar[dict[tuple[str, int, int], Adapted]] = {}

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.admin = self.text("admin", "http://localhost:2019").rstrip("/")
        self.site = self.text("site")
        self._limit = max(0.2, service.timeout * 0.8)

    async def open(self) -> None:
        """Make the HTTP client; nothing is sent yet."""
        import httpx

        # No proxy from the environment, and no TLS context where none is needed: it costs 20 ms.
        self._http = httpx.AsyncClient(verify=False, timeout=self._limit, trust_env=False)  # noqa: S501 - plain http only
        self._visitor = self._http
        if self.site.startswith("https:"):
            self._visitor = httpx.AsyncClient(verify=await self._trust(), timeout=self._limit, trust_env=False)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()
        await self._visitor.aclose()

    async def config(self) -> JSON:
        """The running config. Raises Unreachable, Denied or Unexpected."""
        return (await self._get("config/")).json()  # type: ignore[no-any-return]  # checked by `_get`

    async def upstream_state(self) -> list[dict[str, JSON]]:
        """What Caddy itself counts of its upstreams; passive failures only, so a 0 means nothing."""
        state = (await self._get("reverse_proxy/upstreams")).json()
        return state if isinstance(state, list) else []

    async def started_at(self) -> float:
        """When its process started, by its own metrics."""
        for line in (await self._get("metrics")).text.splitlines():
            if line.startswith("process_start_time_seconds "):
                return float(line.split()[1])
        raise Unexpected(f"{self.service.name} does not tell when it started.", "Turn its metrics on.")

    async def visit(self, url: str = "") -> Answer:
        """Ask for the site, or another address, as a visitor; an error is an answer as well."""
        import httpx

        started = time.monotonic()
        client = self._http if url else self._visitor
        try:
            async with asyncio.timeout(self._limit), client.stream("GET", url or self.site) as response:
                text = await _beginning(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return Answer(0, time.monotonic() - started, error=str(error) or type(error).__name__)
        return Answer(response.status_code, time.monotonic() - started, text)

    def well(self, answer: Answer) -> bool:
        """Whether that answer of the site is what a visitor should get."""
        return 200 <= answer.status < 400 and self.text("site_text") in answer.text

    async def file_config(self) -> Adapted | None:
        """The config that ought to run, from the file; None when no file is configured."""
        file = self.text("config_file")
        return await self._adapt(Path(file)) if file else None

    async def log(self) -> list[str]:
        """The last lines of its log, at most 2 MB. Raises CockpitError when it cannot be read."""
        file = self.text("log_file")
        if not file:
            raise CockpitError(f"The log of {self.service.name} is not configured.", "Set 'log_file' to its path.")
        return await asyncio.to_thread(_tail, Path(file))

    async def trusted(self) -> object:
        """The TLS context of a visitor, as `httpx` and `asyncio` take it."""
        return await self._trust()

    async def _trust(self) -> "ssl.SSLContext":  # noqa: UP037 - see the import below
        import ssl

        file = self.text("ca_file")
        try:
            return await asyncio.to_thread(ssl.create_default_context, cafile=file or None)
        except OSError as error:
            raise CockpitError(f"The certificates in {file} cannot be read: {error}.", "Correct 'ca_file'.") from error

    async def _get(self, path: str) -> httpx.Response:
        import httpx

        try:
            response = await self._http.get(f"{self.admin}/{path}")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"The admin API of {self.service.name} does not answer at {self.admin}: {error or type(error).__name__}.",
                "Check that it runs, and that 'admin' is its address.",
            ) from error
        return _checked(response, self.service.name)

    async def _adapt(self, file: Path) -> Adapted:
        try:
            state = await asyncio.to_thread(file.stat)
        except OSError as error:
            return Adapted(None, f"{file}: {error.strerror}")
        known = (str(file), state.st_mtime_ns, state.st_size)
        # Asked with every probe: the program takes 50 ms, so its answer is kept while the file stays as it is.
        if known not in self._adapted:
            self._adapted.clear()
            self._adapted[known] = await _adapt(self.text("binary", "caddy"), file)
        return self._adapted[known]
