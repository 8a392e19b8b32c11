"""A TCP proxy that treats connections badly: cuts, delays and holds them back, on either way."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from dataclasses import dataclass, field

PATIENCE = 0.3
"""Seconds that a chunk is held back at the most, so that what was sent later overtakes it on another connection."""


@dataclass
class Proxy:
    """Listens on a port of its own, in a thread, and passes on to another; faults come by a seeded dice."""

    to: int
    seed: int
    cuts: float = 0.0
    """How many of the chunks end their connection, before they are passed on, half-way, or right after."""
    delays: float = 0.0
    """How many are held back for a while."""
    port: int = 0
    done: dict[str, int] = field(default_factory=lambda: {"cut": 0, "delayed": 0, "passed": 0})

    def __enter__(self) -> Proxy:
        self._dice = random.Random(self.seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.transport.abort()
            return
        ends = (writer, back)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            ways = [asyncio.create_task(self._pass(*way, ends)) for way in ((reader, back), (there, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        for end in ends:
            end.close()

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, ends: tuple[asyncio.StreamWriter, ...]
    ) -> None:
        while chunk := await source.read(65536):
            if self._dice.random() < self.delays:
                self.done["delayed"] += 1
                await asyncio.sleep(self._dice.uniform(0.0, PATIENCE))
            if self._dice.random() < self.cuts:
                self.done["cut"] += 1
                sink.write(chunk[: self._dice.choice((0, len(chunk) // 2, len(chunk)))])
                with contextlib.suppress(OSError):
                    await sink.drain()
                for end in ends:
                    end.transport.abort()
                return
            self.done["passed"] += 1
            sink.write(chunk)
            await sink.drain()
