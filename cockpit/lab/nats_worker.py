"""The shop's worker, which takes orders from JetStream: `python -m cockpit.lab.nats_worker FOLDER`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from nats.errors import Error
from nats.errors import TimeoutError as Nothing
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from cockpit.lab.lab import Lab
from cockpit.lab.nats import ORDERS, RESERVED, WORKER, connected

ACKNOWLEDGE_WITHIN = 5.0


async def prepared(stream: JetStreamContext) -> JetStreamContext.PullSubscription:
    """Make the stream and the consumer where they are missing, and subscribe."""
    await stream.add_stream(name=ORDERS, subjects=["orders.>"], max_bytes=RESERVED)
    return await stream.pull_subscribe(
        "orders.new", durable=WORKER, stream=ORDERS, config=ConsumerConfig(ack_wait=ACKNOWLEDGE_WITHIN)
    )


async def work(lab: Lab) -> None:
    """Connect, take orders and acknowledge each, until the connection is lost. Raises what the driver raises."""
    async with connected(lab, WORKER) as stream:
        orders = await prepared(stream)
        while True:
            try:
                # Two time limits: after some lost connections the driver's own never ends.
                for order in await asyncio.wait_for(orders.fetch(10, timeout=1), 3):
                    await order.ack()
            except Nothing:
                continue


async def work_for_ever(lab: Lab) -> None:
    """Work, and begin again with a new connection whenever one is lost."""
    while True:
        try:
            await work(lab)
        except (Error, OSError, TimeoutError):
            await asyncio.sleep(0.1)


async def main(folder: str) -> None:
    """Work until SIGTERM."""
    working = asyncio.create_task(work_for_ever(Lab(Path(folder), ())))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
    await asyncio.wait((working,))
    if not working.cancelled():
        working.result()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
