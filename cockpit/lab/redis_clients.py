"""Clients of the lab's Redis that misbehave: `python -m cockpit.lab.redis_clients FOLDER MODE SIGN`.

Each makes its fault, then creates the file SIGN, and holds the fault until it is ended. A
connection that the server ends is not opened again.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Refused
from redis.exceptions import ResponseError

from cockpit.lab.lab import Lab
from cockpit.lab.redis import connected

FLOOD = "report-worker"
"""What the clients of the flood call themselves."""

UNREAD = 8 * 1024 * 1024
"""Bytes of a monitor's output that pile up in Redis."""


async def flood(lab: Lab) -> list[Redis]:
    """Open connections and use none of them, until Redis refuses."""
    held: list[Redis] = []
    while True:
        client = Redis(
            port=lab.port("redis"),
            client_name=FLOOD,
            single_connection_client=True,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            await client.initialize()
        except (Refused, ResponseError):
            return held
        held.append(client)


async def monitor(lab: Lab) -> socket.socket:
    """Send MONITOR over a socket that nobody reads, while the shop works."""
    watcher = socket.socket()
    watcher.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    watcher.connect(("127.0.0.1", lab.port("redis")))
    watcher.sendall(b"MONITOR\r\n")
    async with connected(lab) as redis:
        while max(int(client["omem"]) for client in await redis.client_list()) < UNREAD:
            await redis.set("report:today", "x" * 65_536, ex=60)
    return watcher


async def main(folder: str, mode: str, sign: str) -> None:
    """Make the fault, say so, and hold it."""
    held = await {"flood": flood, "monitor": monitor}[mode](Lab(Path(folder), ()))
    await asyncio.to_thread(Path(sign).touch)
    await asyncio.Event().wait()
    del held


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
