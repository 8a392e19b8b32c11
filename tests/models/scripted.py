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
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from aiohttp import web

from tests.models.contract import Refusal, check

KEY = "sk-test-scripted-0123456789abcdefABCDEF"
PIECE = 7
"""Characters of a delta, so that words and arguments come torn."""


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    headers: Mapping[str, str]
    body: Mapping[str, Any]
    at: float
    """By the monotonic clock."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body["messages"])

    @property
    def text(self) -> str:
        """All that the messages say, one after the other."""
        return "\n".join(_text(message.get("content")) for message in self.messages)

    @property
    def results(self) -> list[str]:
        """What tools returned, oldest first."""
        return [_text(message["content"]) for message in self.messages if message["role"] == "tool"]

    @property
    def tools(self) -> list[str]:
        """The names of the tools on offer."""
        return [tool["function"]["name"] for tool in self.body.get("tools", ())]


@dataclass(frozen=True)
class Says:
    """An answer in words."""

    text: str
    usage: tuple[int, int] | None = None
    """Input and output tokens; counted from the text where it is None."""
    finish: str = "stop"
    """`length`, `content_filter` and the like."""
    refusal: str = ""
    """What OpenAI's models say in place of an answer that they will not give."""


@dataclass(frozen=True)
class Wants:
    """Tools to be called: names with their arguments; a text for arguments is sent as it is, be it JSON or not."""

    calls: tuple[tuple[str, Mapping[str, Any] | str], ...]
    text: str = ""
    usage: tuple[int, int] | None = None

    def __init__(
        self, *calls: tuple[str, Mapping[str, Any] | str], text: str = "", usage: tuple[int, int] | None = None
    ):
        for name, value in (("calls", calls), ("text", text), ("usage", usage)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Fails:
    """An error: 401, 404, 429, 500 …; a text for a body is sent as it is, such as an HTML page."""

    status: int
    message: str = "The scripted server fails as it was told."
    retry_after: float | None = None
    code: str = ""
    """OpenAI's own, such as `context_length_exceeded` or `content_filter`."""
    body: str | None = None
    content_type: str = "text/html"


@dataclass(frozen=True)
class Hangs:
    """The request is taken and never answered."""


@dataclass(frozen=True)
class Drips:
    """The words of an answer, one delta at a time with a pause after each."""

    text: str
    every: float = 0.1


@dataclass(frozen=True)
class Cuts:
    """A stream that ends within its answer, the connection reset."""

    text: str
    after: int = 2
    """Deltas that come before."""


@dataclass(frozen=True)
class Raw:
    """A body as it is, with status 200."""

    body: str
    content_type: str = "application/json"


Step: TypeAlias = Says | Wants | Fails | Hangs | Drips | Cuts | Raw
Script: TypeAlias = Sequence[Step] | Callable[[Asked], Step]


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

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._given = 0

    @property
    def url(self) -> str:
        """What a client calls its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

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
        application.router.add_post("/v1/chat/completions", self._answer)
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        ready.set()
        await self._ended.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        refused = await self._refused(request)
        if refused is not None:
            return refused
        asked = Asked(dict(request.headers), await request.json(), time.monotonic())
        step = self._next(asked)
        try:
            return await _ANSWERS[type(step)](step, asked, request)
        except (asyncio.CancelledError, ConnectionResetError):
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
        return await _stream(request, _chunks(step, asked))
    return web.json_response(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": asked.body["model"],
            "choices": [
                {"index": 0, "message": _message(step, asked), "finish_reason": _finish(step), "logprobs": None}
            ],
            "usage": _usage(step, asked),
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
    return await _stream(request, _chunks(said, asked, words=True), every=step.every)


async def _cut(step: Cuts, asked: Asked, request: web.Request) -> web.StreamResponse:
    response = await _begun(request)
    for _, data in zip(range(step.after + 1), _chunks(Says(step.text), asked), strict=False):
        await response.write(data)
    assert request.transport is not None
    request.transport.abort()
    return response


async def _raw(step: Raw, asked: Asked, request: web.Request) -> web.StreamResponse:
    return web.Response(text=step.body, content_type=step.content_type)


async def _stream(request: web.Request, chunks: Iterator[bytes], every: float = 0.0) -> web.StreamResponse:
    response = await _begun(request)
    async for data in _paced(chunks, every):
        await response.write(data)
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _paced(chunks: Iterator[bytes], every: float) -> AsyncIterator[bytes]:
    for data in chunks:
        yield data
        await asyncio.sleep(every)


async def _begun(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    return response


def _chunks(step: Says | Wants, asked: Asked, *, words: bool = False) -> Iterator[bytes]:
    yield _chunk(asked, {"role": "assistant", "content": ""})
    for piece in [word + " " for word in step.text.split()] if words else _torn(step.text):
        yield _chunk(asked, {"content": piece})
    for at, call in enumerate(_calls(step, asked)):
        arguments = call["function"]["arguments"]
        yield _chunk(asked, {"tool_calls": [{"index": at, **call, "function": {**call["function"], "arguments": ""}}]})
        for piece in _torn(arguments):
            yield _chunk(asked, {"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
    if isinstance(step, Says) and step.refusal:
        yield _chunk(asked, {"refusal": step.refusal})
    yield _chunk(asked, {}, _finish(step))
    if (asked.body.get("stream_options") or {}).get("include_usage"):
        yield _chunk(asked, None, usage=_usage(step, asked))


def _torn(text: str) -> Iterator[str]:
    """The text in pieces that respect no word; a long one in no more than a hundred."""
    length = max(PIECE, len(text) // 100)
    return (text[at : at + length] for at in range(0, len(text), length))


def _chunk(
    asked: Asked, delta: Mapping[str, Any] | None, finish: str | None = None, usage: Mapping[str, int] | None = None
) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": asked.body["model"],
        "choices": choices,
        **({"usage": usage} if usage else {}),
    }
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def _message(step: Says | Wants, asked: Asked) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": step.text or None}
    if isinstance(step, Wants):
        message["tool_calls"] = _calls(step, asked)
    elif step.refusal:
        message["refusal"] = step.refusal
    return message


def _calls(step: Says | Wants, asked: Asked) -> list[dict[str, Any]]:
    turn = len(asked.messages)
    return [
        {
            "id": f"call_{turn}_{at}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for at, (name, given) in enumerate(step.calls if isinstance(step, Wants) else ())
    ]


def _finish(step: Says | Wants) -> str:
    return "tool_calls" if isinstance(step, Wants) else step.finish


def _usage(step: Says | Wants, asked: Asked) -> dict[str, int]:
    if step.usage is not None:
        given, made = step.usage
    else:
        given = tokens(asked.body["messages"]) + tokens(asked.body.get("tools", []))
        made = tokens(_message(step, asked))
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


def tokens(value: Any) -> int:
    """About how many tokens a value is: four letters each."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) // 4


def _error(step: Fails) -> web.Response:
    headers = {} if step.retry_after is None else {"Retry-After": f"{step.retry_after:g}"}
    if step.body is not None:
        return web.Response(status=step.status, text=step.body, content_type=step.content_type, headers=headers)
    error = {"message": step.message, "type": "invalid_request_error", "param": None, "code": step.code or None}
    return web.json_response({"error": error}, status=step.status, headers=headers)


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content or ())


_ANSWERS: dict[type, Callable[..., Any]] = {
    Says: _say,
    Wants: _say,
    Fails: _fail,
    Hangs: _hang,
    Drips: _drip,
    Cuts: _cut,
    Raw: _raw,
}
