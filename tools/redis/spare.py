"""One spare connection for each Redis, opened by its probe and kept for the time when new ones are refused.

Redis reserves no connection for its operator: at `maxclients` nobody new gets in, and the
clients that fill it can be ended only over a connection that is already there. The spare is
the driver's blocking one, used in a thread, because it outlives the event loop of one tool.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis

    from tools.redis.client import RedisConnection

_SPARES: dict[tuple[str, int, str], Redis] = {}
_LOCK = threading.Lock()


async def keep(client: RedisConnection) -> None:
    """Have a spare connection to the client's server from now on. Raises the driver's errors."""
    await asyncio.to_thread(_keep, client)


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


def _keep(client: RedisConnection) -> None:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    with _LOCK:
        if _key(client) not in _SPARES:
            _SPARES[_key(client)] = Redis(**client.parameters, retry=Retry(NoBackoff(), 0))
    try:
        _SPARES[_key(client)].ping()
    except (RedisError, OSError):
        del _SPARES[_key(client)]  # the next probe opens another, perhaps with another password
        raise


def _answers(client: RedisConnection) -> bool:
    from redis.exceptions import RedisError

    spare = _SPARES.get(_key(client))
    if spare is None:
        return False
    try:
        spare.ping()
    except (RedisError, OSError):
        return False
    return True
