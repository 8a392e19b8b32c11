"""One spare connection for each Redis, opened by its probe and kept for the time when new ones are refused.

Redis reserves no connection for its operator: at `maxclients` nobody new gets in, and the
clients that fill it can be ended only over a connection that is already there. The spare is
the driver's blocking one, used in a thread, because it outlives the event loop of one tool.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis

    from tools.redis.client import RedisConnection

PING_EVERY = 30.0
"""Seconds for which a spare connection is believed in; a server that was started again is asked at once."""

_SPARES: dict[tuple[str, int, str], Redis] = {}
_ANSWERED: dict[tuple[str, int, str], tuple[str, float]] = {}
"""Which run of the server answered over the spare connection last, and when."""
_LOCK = threading.Lock()


async def keep(client: RedisConnection, run: str) -> None:
    """Have a spare connection to this run of the client's server from now on. Raises the driver's errors."""
    known, at = _ANSWERED.get(_key(client), (None, 0.0))
    if known != run or time.monotonic() - at > PING_EVERY:
        await asyncio.to_thread(_keep, client, run)


async def answers(client: RedisConnection) -> bool:
    """Whether there is a spare connection, and the server answers over it."""
    return await asyncio.to_thread(_answers, client)


async def ask(client: RedisConnection, command: str, *arguments: str | int) -> Any:
    """The answer to one command over the spare connection. Raises the driver's errors."""
    from tools.redis.client import DECODED

    send = _SPARES[_key(client)].execute_command
    return await asyncio.to_thread(send, command, *arguments, **DECODED.get(command, {}))


def _key(client: RedisConnection) -> tuple[str, int, str]:
    return (client.host, client.port, client.text("username"))


def _keep(client: RedisConnection, run: str) -> None:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    key = _key(client)
    with _LOCK:
        if key not in _SPARES:
            _SPARES[key] = Redis(**client.parameters, retry=Retry(NoBackoff(), 0))
    try:
        _SPARES[key].ping()
    except (RedisError, OSError):
        _SPARES.pop(key, None)  # the next probe opens another, perhaps with another password
        _ANSWERED.pop(key, None)
        raise
    _ANSWERED[key] = (run, time.monotonic())


def _answers(client: RedisConnection) -> bool:
    from redis.exceptions import RedisError

    spare = _SPARES.get(_key(client))
    if spare is None:
        return False
    try:
        spare.ping()
    except (RedisError, OSError):
        _ANSWERED.pop(_key(client), None)
        return False
    return True
