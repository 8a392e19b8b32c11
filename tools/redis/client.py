"""The connections to one Redis: a reader that sends read commands alone, and a writer for the executor.

Both connect at the first question, so that tools which explain or mend an outage are not
stopped by it. When Redis refuses a new connection because `maxclients` is reached, they use
the spare connection that the last probe left open (see `spare`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from cockpit.model import Denied, Service, Unexpected, Unreachable
from cockpit.toolkit import Client, Option
from tools import control

if TYPE_CHECKING:
    from redis.asyncio import Redis

NAME = "cockpit"
"""What our connections call themselves, so that no tool of ours ends them."""

SECONDS = 2.0
"""How long one answer may take."""

READS = frozenset(
    {
        "CLIENT LIST",
        "CONFIG GET",
        "INFO",
        "MEMORY USAGE",
        "PING",
        "SCAN",
        "SLOWLOG GET",
        "TIME",
        "TTL",
        "TYPE",
    }
)
"""All that a reader sends."""

WRITES = frozenset({"BGSAVE", "CLIENT KILL", "CONFIG REWRITE", "CONFIG SET"})
"""What a writer sends besides."""

DECODED = {"SLOWLOG GET": {"decode_responses": True}}
"""What the driver has to be told again about decoding, or its own parser of the answer fails."""

OPTIONS = (
    Option("host", str, "The address of the server.", default="127.0.0.1"),
    Option("port", int, "Its port.", default=6379),
    Option("username", str, "The ACL user; empty for the default user."),
    Option("password", str, "The password.", secret=True),
    Option("tls", bool, "Whether the connection is encrypted.", default=False),
    Option(
        "idle_client_seconds", float, "Seconds without a command after which a client counts as idle.", default=60.0
    ),
    *control.OPTIONS,
)


_CLOSED: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Redis]] = WeakKeyDictionary()
"""The driver's objects that were used and closed, of each loop: to make one anew is a sixth of what a probe costs."""


def _closed() -> dict[Hashable, Redis]:
    return _CLOSED.setdefault(asyncio.get_running_loop(), {})


class Unanswered(Unreachable):
    """Redis gave no answer; `state` says in which way.

    Args:
        what: one clear sentence.
        fix: how to mend it.
        state: `refused`, `silent`, `closed` or `crowded` (the client limit is reached).
    """

    def __init__(self, what: str, fix: str, state: str) -> None:
        super().__init__(what, fix)
        self.state = state


class RedisConnection(Client):
    """One connection that sends only the commands of its class."""

    allowed: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.host = self.text("host", "127.0.0.1")
        self.port = int(self.number("port", 6379))
        self.database = 0
        self.crowded = False
        """Whether Redis refused a new connection, and the spare one answers instead."""
        self._redis: Redis | None = None

    async def ask(self, command: str, *arguments: str | int) -> Any:
        """The answer to one command. Raises Denied for one that is not allowed here, and ServiceError."""
        if command not in self.allowed:
            raise Denied(f"A {type(self).__name__} does not send {command}.", "Use a remediation.")
        with translated(self):
            if self._redis is None and not self.crowded:
                await self._connect()
            if self.crowded:
                from tools.redis import spare

                return await spare.ask(self, command, *arguments)
            assert self._redis is not None
            send: Callable[..., Awaitable[Any]] = self._redis.execute_command
            async with asyncio.timeout(SECONDS):
                return await send(command, *arguments, **DECODED.get(command, {}))

    async def close(self) -> None:
        """Disconnect; never raises."""
        if self._redis is not None:
            from redis.exceptions import RedisError

            with contextlib.suppress(RedisError, OSError):
                await self._redis.aclose()
                _closed()[self._identity] = self._redis

    @property
    def parameters(self) -> dict[str, Any]:
        """What the driver needs to reach this server."""
        return {
            "host": self.host,
            "port": self.port,
            "db": self.database,
            "username": self.text("username") or None,
            "password": self.text("password") or None,
            "ssl": self.service.options.get("tls") is True,
            "client_name": NAME,
            "protocol": 2,
            "decode_responses": True,
            "encoding_errors": "backslashreplace",
            "socket_timeout": SECONDS,
            "socket_connect_timeout": SECONDS,
            "single_connection_client": True,
        }

    @property
    def _identity(self) -> Hashable:
        return tuple(self.parameters.values())

    async def _connect(self) -> None:
        from redis.asyncio import Redis
        from redis.exceptions import AuthenticationError
        from redis.exceptions import ConnectionError as Lost

        from tools.redis import spare

        # Without driver_info=None each connection reads the package's metadata from disk to tell the server. Its own
        # policy of trying again is copied twice, and its own time limit makes a task of every command that is sent.
        own = {"retry": None, "socket_timeout": None, "driver_info": None}
        redis = _closed().pop(self._identity, None) or Redis(**{**self.parameters, **own})
        try:
            async with asyncio.timeout(SECONDS):
                await redis.initialize()
            self._redis = redis
        except TimeoutError:
            await redis.aclose()
            raise
        except Lost as error:
            await redis.aclose()
            if isinstance(error, AuthenticationError):
                raise
            # A full server closes the new connection, now and then before its error can be read.
            if self.database != 0 or not await spare.answers(self):
                raise
            self.crowded = True


class RedisReader(RedisConnection):
    """A connection that sends read commands and no others."""

    allowed = READS

    def beside(self, database: int) -> RedisReader:
        """A second reader of the same server, in another of its databases."""
        other = RedisReader(self.service)
        other.database = database
        return other


class RedisWriter(RedisConnection):
    """The connection of the executor: the read commands, and those that changes are made of."""

    allowed = READS | WRITES


@contextmanager
def translated(client: RedisConnection) -> Iterator[None]:
    """Name the driver's errors in our words: Unanswered, Denied or Unexpected."""
    from redis import exceptions as driver

    where = f"Redis at {client.host}:{client.port}"
    try:
        yield
    except (driver.AuthenticationError, driver.AuthenticationWrongNumberOfArgsError, driver.NoPermissionError) as error:
        raise Denied(f"{where} refused us: {error}.", "Check username, password and the rights of that user.") from None
    except (TimeoutError, driver.TimeoutError):
        raise Unanswered(f"{where} did not answer within {SECONDS:g} s.", "See whether it hangs.", "silent") from None
    except (driver.ConnectionError, OSError) as error:
        raise _unanswered(where, error) from None
    except driver.RedisError as error:
        raise Unexpected(f"{where} answered: {error}.") from None


def _unanswered(where: str, error: BaseException) -> Unanswered:
    if "max number of clients" in str(error):
        return Unanswered(f"{where} refuses new clients: maxclients is reached.", "End idle clients.", "crowded")
    if _refused(error):
        return Unanswered(f"{where} refuses connections.", "Start it.", "refused")
    return Unanswered(f"{where} closed the connection: {error}.", "See its log.", "closed")


def _refused(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and (error.errno == errno.ECONNREFUSED or "Connect call failed" in str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
