"""Our side of the worker: it is started when first needed, asked over pipes, and ended when it does not obey."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from subprocess import PIPE, Popen, TimeoutExpired
from typing import IO, Any

from cockpit.llm.frames import Frame, FrameError, packed, receive
from cockpit.model import CockpitError
from cockpit.text import clean, shorten

COMMAND = ("-P", "-m", "cockpit.llm.worker")
STARTS_WITHIN = 120.0
"""Seconds the worker may take to import litellm."""
ANSWERS_WITHIN = 10.0
"""Seconds it may take to look up a price."""
OBEYS_WITHIN = 2.0
"""Seconds after which a worker that does not stop an answer, or does not end, is killed."""
LAST_WORDS = 4096
"""Bytes of what it printed that are kept."""
KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
"""What the worker sees of the environment: with the rest litellm would find keys and addresses that no config names."""


class WorkerEnded(CockpitError):
    """The worker ended before it had answered."""

    def __init__(self, why: str, *, taken: bool) -> None:
        super().__init__(f"The process that talks to models ended{why}.", "It is started again for the next call.")
        self.taken = taken
        """Whether it had begun with what it was asked."""


class Worker:
    """The process that talks to models, one for all who ask.

    Args:
        idle: seconds without a question after which it ends.
    """

    def __init__(self, idle: float) -> None:
        self._idle = idle
        self._starting: asyncio.Task[Running] | None = None
        self._running: Running | None = None

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is none."""
        return self._running.process.pid if self._running and not self._running.ended else None

    async def warm(self) -> None:
        """Let it be ready for a question. Raises CockpitError when it does not start."""
        await self._ready()

    async def price(self, model: str) -> tuple[float, float] | None:
        """Dollars for an input and an output token by litellm's list; None where it knows none. Raises CockpitError."""
        try:
            frame = await self._answered({"do": "price", "model": model}, ANSWERS_WITHIN, _ignore)
        except TimeoutError:
            raise CockpitError("The process that talks to models does not answer.", "It is started again.") from None
        found = frame.get("price")
        return (float(found[0]), float(found[1])) if found else None

    async def ask(self, order: Frame, limit: float, heard: Callable[[str], None]) -> Frame:
        """What a model answered, as `reply`, or what went wrong, as `failed`.

        Args:
            order: `request` as litellm takes it, with `api_key` and `base_url`.
            limit: seconds it may take in all; then TimeoutError is raised.
            heard: gets each piece of the text as it comes.

        Cancelled, or over its time, the call is stopped in the worker as well. Raises CockpitError when the worker
        does not start, and WorkerEnded when it dies.
        """
        return await self._answered({"do": "ask", "limit": limit, **order}, limit, heard)

    async def close(self) -> None:
        """End the worker; it is started again when it is needed again."""
        starting, running = self._starting, self._running
        self._starting = self._running = None
        if starting:
            starting.cancel()
            await asyncio.wait([starting])
        if running and running.here:
            await running.end()

    async def _answered(self, order: Frame, limit: float, heard: Callable[[str], None]) -> Frame:
        try:
            return await (await self._ready()).ask(order, limit, heard)
        except WorkerEnded as error:
            if error.taken:
                raise
        return await (await self._ready()).ask(order, limit, heard)  # it had ended for being idle just then

    async def _ready(self) -> Running:
        """The running worker; whoever asks while it starts waits for the same one."""
        if self._running and not self._running.ended and self._running.here:
            return self._running
        if self._starting is None or self._starting.get_loop() is not asyncio.get_running_loop():
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(_seen)
        return await asyncio.shield(self._starting)

    async def _start(self) -> Running:
        try:
            self._running = await Running.start(self._idle)
            return self._running
        finally:
            self._starting = None


class Running:
    """One life of the worker. Made by `Running.start`.

    The process is not made by asyncio, which waits for ever for one whose start was cancelled.
    """

    def __init__(self, process: Popen[bytes]) -> None:
        self.process = process
        self.ended = False
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._inboxes: dict[int, asyncio.Queue[Frame | None]] = {}
        self._ready = asyncio.Event()
        self._said = b""
        self._orders: asyncio.WriteTransport | None = None
        self._overhearing = asyncio.create_task(self._overhear())
        self._tasks = {asyncio.create_task(self._listen()), self._overhearing}

    @classmethod
    async def start(cls, idle: float) -> Running:
        """Start it, and wait until it can be asked. Raises CockpitError."""
        running = cls(_spawned(idle))
        try:
            async with asyncio.timeout(STARTS_WITHIN):
                await running._connect()
                await running._ready.wait()
        except BaseException as error:
            await running.end()
            if isinstance(error, TimeoutError):
                raise CockpitError("The process that talks to models did not start in time.", "Try again.") from None
            raise
        if running.ended:
            raise CockpitError(
                f"The process that talks to models could not start{running.last_words()}.",
                "Check that litellm is installed.",
            )
        return running

    @property
    def here(self) -> bool:
        """Whether it was started in this event loop, which alone can talk to it."""
        return self._loop is asyncio.get_running_loop()

    async def ask(self, order: Frame, limit: float, heard: Callable[[str], None]) -> Frame:
        """The frame that answers an order. Raises WorkerEnded, and TimeoutError when it is not here in time."""
        number = next(self._numbers)
        sent = packed({"id": number, **order})
        inbox = self._inboxes[number] = asyncio.Queue()
        answered = False
        try:
            async with asyncio.timeout(limit):
                self._send(sent)
                frame = await self._last(inbox, heard)
            answered = True
            return frame
        finally:
            if answered or self.ended:
                del self._inboxes[number]
            else:
                self._keep(asyncio.create_task(self._stop(number, inbox)))

    def kill(self) -> None:
        """End it at once, and wait until it has."""
        self.process.kill()
        with suppress(TimeoutExpired):
            self.process.wait(OBEYS_WITHIN)

    async def end(self) -> None:
        """Tell it to end, and see that it does."""
        if self._orders is not None:
            self._orders.close()
        await asyncio.wait(self._tasks, timeout=OBEYS_WITHIN)
        if not self.ended:
            self.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def last_words(self) -> str:
        """What it printed last, in brackets; empty when it printed nothing."""
        lines = self._said.decode(errors="replace").strip().splitlines()
        return f" ({shorten(clean(lines[-1].strip()), 300)})" if lines else ""

    async def _last(self, inbox: asyncio.Queue[Frame | None], heard: Callable[[str], None]) -> Frame:
        taken = False
        while (frame := await inbox.get()) is not None:
            if "text" in frame:
                heard(str(frame["text"]))
            elif "taken" in frame:
                taken = True
            else:
                return frame
        raise WorkerEnded(self.last_words(), taken=taken)

    async def _stop(self, number: int, inbox: asyncio.Queue[Frame | None]) -> None:
        """Stop an answer nobody waits for any more; a worker that does not obey is killed."""
        try:
            async with asyncio.timeout(OBEYS_WITHIN):
                self._send(packed({"id": number, "do": "cancel"}))
                await self._last(inbox, _ignore)
        except (TimeoutError, WorkerEnded):
            self.kill()
        finally:
            del self._inboxes[number]

    def _send(self, frame: bytes) -> None:
        if self.ended or self._orders is None:
            raise WorkerEnded(self.last_words(), taken=False)
        self._orders.write(frame)

    async def _connect(self) -> None:
        transport, _ = await self._loop.connect_write_pipe(asyncio.BaseProtocol, self.process.stdin)
        self._orders = transport

    async def _listen(self) -> None:
        try:
            said = await _reader(self.process.stdout)
            while (frame := await receive(said)) is not None:
                self._deliver(frame)
        except FrameError:
            pass
        finally:  # also when the loop ends, and nobody will close it
            self.kill()
            await self._bury()

    def _deliver(self, frame: Frame) -> None:
        if "ready" in frame:
            self._ready.set()
        elif frame.get("id") in self._inboxes:
            self._inboxes[frame["id"]].put_nowait(frame)

    async def _bury(self) -> None:
        await asyncio.wait([self._overhearing], timeout=0.5)
        self.ended = True
        if self._orders is not None:
            self._orders.close()
        for inbox in self._inboxes.values():
            inbox.put_nowait(None)
        self._ready.set()

    async def _overhear(self) -> None:
        """Keep the end of what it prints: nothing of it may reach the screen."""
        stderr = await _reader(self.process.stderr)
        while said := await stderr.read(LAST_WORDS):
            self._said = (self._said + said)[-LAST_WORDS:]

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _spawned(idle: float) -> Popen[bytes]:
    command = [sys.executable, *COMMAND, f"{idle:g}"]
    try:
        return Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=_environment())  # noqa: S603  our own program
    except OSError as error:
        raise CockpitError(
            f"The process that talks to models could not start: {error.strerror}.", "Check memory and the limits."
        ) from None


async def _reader(pipe: IO[bytes] | None) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


def _environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("PYTHON")}


def _seen(task: asyncio.Task[Running]) -> None:
    """Take note of how a start ended, for whoever waited for it may have gone."""
    if not task.cancelled():
        task.exception()


def _ignore(_: Any) -> None:
    return
