"""The shop's worker, which takes orders from JetStream: `python -m cockpit.lab.nats_worker FOLDER`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import nats
from nats.errors import Error
from nats.errors import TimeoutError as Nothing
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from cockpit.lab.lab import Lab
from cockpit.lab.nats import ORDERS, RESERVED, WORKER, url

ACKNOWLEDGE_WITHIN = 5.0


async def prepared(stream: JetStreamContext) -> JetStreamContext.PullSubscription:
    """Make the stream and the consumer where they are missing, and subscribe."""
    await stream.add_stream(name=ORDERS, subjects=["orders.>"], max_bytes=RESERVED)
    return await stream.pull_subscribe(
        "orders.new", durable=WORKER, stream=ORDERS, config=ConsumerConfig(ack_wait=ACKNOWLEDGE_WITHIN)
    )


async def work(orders: JetStreamContext.PullSubscription) -> None:
    """Take orders and acknowledge each, for ever."""
    while True:
        try:
            for order in await orders.fetch(10, timeout=1):
                await order.ack()
        except Nothing:
            continue
        except Error:
            await asyncio.sleep(0.1)


async def main(folder: str) -> None:
    """Connect, as soon as and as often as it takes, and work until SIGTERM."""
    lab = Lab(Path(folder), ())
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    connection = await nats.connect(
        url(lab), name=WORKER, max_reconnect_attempts=-1, reconnect_time_wait=0.1, allow_reconnect=True
    )
    working = asyncio.create_task(work(await prepared(connection.jetstream())))
    await ended.wait()
    working.cancel()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
