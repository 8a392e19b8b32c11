"""An OpenAI-compatible server over real HTTP that answers by a script, and refuses what OpenAI's would refuse.

    with Scripted([Wants(("postgres_sessions", {})), Says("The pool leaks.")]) as server:
        ...                 # ask, with base_url = server.url and the key server.key
        server.requests     # what it was asked, in order

A script may be a function of the request as well, so that a "model" can obey whatever its input says.
Leaving the block fails the test when a request broke the contract, or came after the script's end.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tests.models.contract import Refusal, check
from tests.models.script import Asked, Cuts, Drips, Fails, Hangs, Raw, Says, Script, Step, Wants
from tests.models.wording import chunks, finish_of, message_of, usage_of

KEY = "sk-test-scripted-0123456789abcdefABCDEF"


@dataclass
class Scripted:
    """The server, on a free port of this machine, in a thread of its own.

    Args:
        script: its answers in order, or a function of the request.
        key: what it wants for authorization; empty when it wants nothing.
        models: the models it has; empty when any name will do.
    """

    script: Script
    key: str = KEY
    models: tuple[str, ...] = ()
    requests: list[Asked] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """How requests broke the contract."""
    abandoned: int = 0
    """Requests whose asker went away before the answer was whole."""
    port: int = 0
    part: int = 0
    """How many askers there were before this one; each has an address of its own."""

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._given = 0

    @property
    def url(self) -> str:
        """What a client calls its base URL."""
        return f"http://127.0.0.1:{self.port}/{self.part}/v1"

    def start(self) -> Self:
        """Answer; after `stop` at the same port again."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10), "the scripted server did not start"
        return self

    def stop(self) -> None:
        """Let nothing answer at the port any more; safe to call twice."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
        self._thread = None

    def wait_for(self, holds: Callable[[Scripted], bool], within: float = 60.0) -> None:
        """Wait until something holds of the server, such as `lambda server: server.abandoned == 1`."""
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self), within), "the scripted server did not see it in time"

    def play(self, script: Script) -> None:
        """Answer by another script from now on, and forget what was asked."""
        with self._changed:
            self.script, self._given, self.abandoned = script, 0, 0
            self.requests.clear()

    def play_for_another(self, script: Script) -> None:
        """Play at a new address: what an earlier asker gave up may still be on its way, and takes no step of it."""
        self.part += 1
        self.play(script)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, *_: object) -> None:
        self.stop()
        if kind is None:
            assert not self.problems, self.problems

    def _serve(self, ready: threading.Event) -> None:
        asyncio.run(self._run(ready))

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application(client_max_size=2**26)
        application.router.add_post(r"/{part:\d+}/v1/chat/completions", self._answer)
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        ready.set()
        await self._ended.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        part = int(request.match_info["part"])
        refused = await self._refused(request)
        if refused is not None:
            return refused
        if part != self.part:
            return _error(Fails(410, "Another asker has the word."))
        asked = Asked(dict(request.headers), await request.json(), time.monotonic())
        step = self._next(asked)
        try:
            return await _ANSWERS[type(step)](step, asked, request)
        except (asyncio.CancelledError, ConnectionResetError):
            if part == self.part:
                self._note(lambda: setattr(self, "abandoned", self.abandoned + 1))
            raise

    async def _refused(self, request: web.Request) -> web.Response | None:
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return _error(Fails(401, "Incorrect API key provided.", code="invalid_api_key"))
        if request.content_type != "application/json":
            return self._problem(f"the content type is {request.content_type}")
        try:
            body = json.loads(await request.text())
            check(body)
        except (ValueError, Refusal) as error:
            return self._problem(str(error))
        if self.models and body["model"] not in self.models:
            return _error(Fails(404, f"The model `{body['model']}` does not exist.", code="model_not_found"))
        return None

    def _problem(self, text: str) -> web.Response:
        self._note(lambda: self.problems.append(text))
        return _error(Fails(400, text))

    def _next(self, asked: Asked) -> Step:
        self._note(lambda: self.requests.append(asked))
        if callable(self.script):
            return self.script(asked)
        self._given += 1
        if self._given <= len(self.script):
            return self.script[self._given - 1]
        self._note(lambda: self.problems.append(f"request {self._given} came after the end of the script"))
        return Fails(500, "The script is over.")

    def _note(self, what: Callable[[], object]) -> None:
        with self._changed:
            what()
            self._changed.notify_all()


async def _say(step: Says | Wants, asked: Asked, request: web.Request) -> web.StreamResponse:
    if asked.body.get("stream"):
        return await _stream(request, chunks(step, asked))
    return web.json_response(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": asked.body["model"],
            "choices": [
                {"index": 0, "message": message_of(step, asked), "finish_reason": finish_of(step), "logprobs": None}
            ],
            "usage": usage_of(step, asked),
        }
    )


async def _fail(step: Fails, asked: Asked, request: web.Request) -> web.StreamResponse:
    return _error(step)


async def _hang(step: Hangs, asked: Asked, request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def _drip(step: Drips, asked: Asked, request: web.Request) -> web.StreamResponse:
    said = Says(step.text)
    if not asked.body.get("stream"):
        await asyncio.sleep(step.every * len(step.text.split()))
        return await _say(said, asked, request)
    return await _stream(request, chunks(said, asked, words=True), every=step.every)


async def _cut(step: Cuts, asked: Asked, request: web.Request) -> web.StreamResponse:
    response = await _begun(request)
    for _, data in zip(range(step.after + 1), chunks(Says(step.text), asked), strict=False):
        await response.write(data)
    assert request.transport is not None
    request.transport.abort()
    return response


async def _raw(step: Raw, asked: Asked, request: web.Request) -> web.StreamResponse:
    return web.Response(text=step.body, content_type=step.content_type)


async def _stream(request: web.Request, deltas: Iterator[bytes], every: float = 0.0) -> web.StreamResponse:
    response = await _begun(request)
    async for data in _paced(deltas, every):
        await response.write(data)
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _paced(deltas: Iterator[bytes], every: float) -> AsyncIterator[bytes]:
    for data in deltas:
        yield data
        await asyncio.sleep(every)


async def _begun(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    return response


def _error(step: Fails) -> web.Response:
    headers = {} if step.retry_after is None else {"Retry-After": f"{step.retry_after:g}"}
    if step.body is not None:
        return web.Response(status=step.status, text=step.body, content_type=step.content_type, headers=headers)
    error = {"message": step.message, "type": "invalid_request_error", "param": None, "code": step.code or None}
    return web.json_response({"error": error}, status=step.status, headers=headers)


_ANSWERS: dict[type, Callable[..., Any]] = {
    Says: _say,
    Wants: _say,
    Fails: _fail,
    Hangs: _hang,
    Drips: _drip,
    Cuts: _cut,
    Raw: _raw,
}
