"""The ways to one NATS server: a reader over its monitoring port, GET alone, and a writer over JetStream's API.

Monitoring: https://docs.nats.io/running-a-nats-service/nats_admin/monitoring, the API's
subjects: https://docs.nats.io/reference/reference-protocols/nats_api_reference.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cockpit.model import JSON, Denied, Service, Unexpected, Unreachable
from cockpit.toolkit import Client, Option
from tools import control

if TYPE_CHECKING:
    from httpx import AsyncClient
    from nats.aio.client import Client as Connection

SECONDS = 3.0
"""How long one answer may take."""

PATHS = frozenset({"connz", "healthz", "jsz", "varz"})
"""What a reader asks the monitoring port for."""

VERBS = frozenset(
    {"CONSUMER.CREATE", "CONSUMER.DELETE", "CONSUMER.INFO", "STREAM.INFO", "STREAM.PURGE", "STREAM.UPDATE"}
)
"""What a writer asks JetStream for."""

NAME = re.compile(r"[^\s.*>/\\\x00-\x1f\x7f]{1,255}")
"""A stream's or consumer's name: what NATS itself accepts, so that it is one token of a subject."""

OPTIONS = (
    Option("monitoring", str, "The URL of the monitoring port.", default="http://127.0.0.1:8222"),
    Option("server", str, "The URL for clients, used for changes alone.", default="nats://127.0.0.1:4222"),
    Option("user", str, "The user for changes."),
    Option("password", str, "Its password.", secret=True),
    Option("token", str, "A token instead of user and password.", secret=True),
    Option("account", str, "The account whose streams are looked after.", default="$G"),
    Option("stalled_after_seconds", float, "Seconds after which a consumer stands still.", default=60.0),
    Option("workers", dict, "By consumer: 'unit' or 'control' of the worker that reads from it."),
    *control.OPTIONS,
)


class Unanswered(Unreachable):
    """The monitoring port gave no answer; `state` is `refused`, `silent` or `closed`."""

    def __init__(self, what: str, fix: str, state: str) -> None:
        super().__init__(what, fix)
        self.state = state


class NatsReader(Client):
    """The monitoring port, which knows no request that changes anything, asked by GET alone."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.url = self.text("monitoring", "http://127.0.0.1:8222").rstrip("/")
        self.account = self.text("account", "$G")
        self._http: AsyncClient | None = None

    async def get(self, path: str, **query: str | int) -> Mapping[str, Any]:
        """What an endpoint answers; `healthz` also with status 503.

        Raises Unanswered, Denied for an endpoint that is not for readers, Unexpected.
        """
        import httpx

        if path not in PATHS:
            raise Denied(f"A reader does not ask for /{path}.", f"It may ask for {', '.join(sorted(PATHS))}.")
        try:
            response = await self._client().get(f"{self.url}/{path}", params=query)
        except httpx.TimeoutException:
            raise Unanswered(f"NATS at {self.url} did not answer in time.", "See whether it hangs.", "silent") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unanswered(self.url, error) from None
        if response.status_code != 200 and path != "healthz":
            raise Unexpected(f"NATS at {self.url} answered /{path} with status {response.status_code}.")
        return _object(response.content, f"NATS at {self.url}/{path}")

    async def close(self) -> None:
        """Disconnect; never raises."""
        if self._http is not None:
            with contextlib.suppress(OSError, RuntimeError):
                await self._http.aclose()

    def _client(self) -> AsyncClient:
        if self._http is None:
            import httpx

            # An SSL context takes 20 ms to make, and is needed for https alone.
            secure = self.url.startswith("https:")
            self._http = httpx.AsyncClient(timeout=SECONDS, verify=secure, trust_env=False)
        return self._http


class NatsWriter(Client):
    """A connection of the executor, over which it asks JetStream for changes."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.url = self.text("server", "nats://127.0.0.1:4222")
        self._nats: Connection | None = None

    async def ask(self, verb: str, *names: str, payload: JSON = None) -> Mapping[str, Any]:
        """JetStream's answer to one request, such as STREAM.UPDATE of a stream's name.

        Raises Denied for a verb or a name that is none, Unexpected with JetStream's reason.
        """
        if verb not in VERBS or not all(NAME.fullmatch(name) for name in names):
            raise Denied(f"'{verb} {' '.join(names)}' is no request that may be sent.")
        from nats import errors

        body = b"" if payload is None else json.dumps(payload).encode()
        try:
            connection = await self._connection()
            message = await connection.request(".".join(("$JS.API", verb, *names)), body, timeout=SECONDS)
        except errors.AuthorizationError as error:
            raise Denied(f"NATS refused us: {error}.", "Check the user and password, or the token.") from None
        except (errors.Error, OSError, TimeoutError) as error:
            raise Unreachable(f"NATS at {self.url} cannot be asked: {error}.", "Check that it runs.") from None
        return _accepted(_object(message.data, "JetStream"), verb)

    async def close(self) -> None:
        """Disconnect; never raises."""
        if self._nats is not None:
            from nats.errors import Error

            with contextlib.suppress(Error, OSError, TimeoutError):
                await self._nats.close()

    async def _connection(self) -> Connection:
        if self._nats is None:
            import nats

            self._nats = await nats.connect(
                self.url,
                name="cockpit",
                allow_reconnect=False,
                max_reconnect_attempts=1,  # the driver takes 0 for "for ever"
                reconnect_time_wait=0,
                connect_timeout=int(SECONDS),
                error_cb=_ignored,
                user=self.text("user") or None,
                password=self.text("password") or None,
                token=self.text("token") or None,
            )
        return self._nats


async def _ignored(_: Exception) -> None:
    """The driver would print to the terminal what it raises as well."""


def _object(content: bytes, who: str) -> Mapping[str, Any]:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise Unexpected(f"{who} did not answer with a JSON object.", "See whether it is a NATS server.")
    return answer


def _accepted(answer: Mapping[str, Any], verb: str) -> Mapping[str, Any]:
    if isinstance(error := answer.get("error"), dict):
        raise Unexpected(f"JetStream refused {verb}: {error.get('description')} (code {error.get('err_code')}).")
    return answer


def _unanswered(url: str, error: BaseException) -> Unanswered:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED:
            return Unanswered(f"NATS at {url} refuses connections.", "Start it.", "refused")
        cause = cause.__cause__ or cause.__context__
    return Unanswered(f"NATS at {url} cannot be asked: {error}.", "Check 'monitoring' and the server's log.", "closed")
