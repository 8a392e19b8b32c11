"""A cockpit with its HTTP interface open, as a process of its own; prints its port."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from cockpit.engine import Engine
from cockpit.serve.http.server import Server
from cockpit.settings import load, with_options
from cockpit.text import Redactor
from cockpit.toolkit import Registry


async def main() -> None:
    registry, redactor = Registry.discover(), Redactor()
    settings = with_options(load(Path(sys.argv[1])), registry, redactor)
    assert settings.http is not None
    with Engine(settings, registry, redactor) as engine:
        server = Server(engine, settings.http, settings.alertmanager)
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.run())
            group.create_task(server.run())
            await server.listening.wait()
            print(server.port, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
