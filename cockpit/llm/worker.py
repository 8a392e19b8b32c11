"""The process that litellm runs in: what is asked comes in over stdin, what is said goes out over what was stdout.

litellm takes seconds and 170 MB to import, and a provider that hangs or crashes it must take
nothing with it. It ends when nothing was asked for a while, and at once when whoever started
it is gone: a thread of its own waits for that, for the loop may be busy within litellm.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from cockpit.llm.frames import Frame, FrameError, packed, read

if TYPE_CHECKING:
    from types import ModuleType

NICE = 5
"""Keys that are pressed meanwhile go before the import."""
ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else the list of prices is fetched from the web
    "LITELLM_MODE": "PRODUCTION",  # else a .env of the current folder is read
    "HF_HUB_OFFLINE": "1",  # else counting tokens of some models fetches a tokenizer
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
LONGEST = 200_000
"""Characters one answer may have, its calls included; nobody reads more."""
MOST_CALLS = 64
OWN_LIMIT = 5.0
"""Seconds after which litellm gives up where whoever asked did not: it has the time limit, this is against a leak."""


def main() -> None:
    """Serve until stdin ends or nothing was asked for as many seconds as the argument says."""
    out = _own_stdout()
    os.nice(NICE)
    os.environ.update(ENVIRONMENT)
    asyncio.run(Worker(out, float(sys.argv[1])).run())
    os._exit(0)  # the thread that reads cannot be told to end


def _own_stdout() -> BinaryIO:
    """Where frames go; whatever else is printed goes to stderr, for litellm prints at times."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out


class Worker:
    """Carries out what it is told: `ask`, `price` and `cancel`.

    Args:
        out: where frames go.
        idle: seconds without anything to do after which it ends.
    """

    def __init__(self, out: BinaryIO, idle: float) -> None:
        self._out = out
        self._idle = idle
        self._asked: dict[int, asyncio.Task[None]] = {}
        self._told = asyncio.Event()

    async def run(self) -> None:
        """Serve until idle; the thread that reads ends the process when stdin does."""
        told = asyncio.get_running_loop().call_soon_threadsafe
        threading.Thread(target=_listen, args=(lambda frame: told(self._do, frame),), daemon=True).start()
        self._litellm = await _prepared()
        self._say({"ready": self._litellm.__name__})
        while await self._disturbed() or self._asked:
            self._told.clear()

    async def _disturbed(self) -> bool:
        """Whether something was told, or came to its end, before it had been idle for long enough."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._idle):
                await self._told.wait()
        return self._told.is_set()

    def _do(self, frame: Frame) -> None:
        number = frame["id"]
        self._told.set()
        if frame["do"] == "cancel":
            if number in self._asked:
                self._asked[number].cancel()
            else:
                self._say({"id": number, "cancelled": True})
        elif frame["do"] == "price":
            self._say({"id": number, "price": price(self._litellm.model_cost, frame["model"])})
        else:
            self._say({"id": number, "taken": True})
            self._asked[number] = asyncio.create_task(self._ask(number, frame))

    async def _ask(self, number: int, frame: Frame) -> None:
        answer = Answer()
        try:
            await self._stream(frame, lambda chunk: self._take(number, answer, chunk))
            self._say({"id": number, "reply": answer.said()})
        except asyncio.CancelledError:
            self._say({"id": number, "cancelled": True})
        except Exception as error:  # whatever litellm or a provider's client raises is told, and ends nothing else
            from cockpit.llm.failures import failure

            self._say({"id": number, "failed": failure(error, self._litellm)})
        finally:
            del self._asked[number]
            self._told.set()

    async def _stream(self, frame: Frame, take: Callable[[Any], None]) -> None:
        stream = await self._litellm.acompletion(
            **frame["request"],
            **{name: frame[name] for name in ("api_key", "base_url") if frame.get(name)},
            stream=True,
            stream_options={"include_usage": True},
            timeout=frame["limit"] + OWN_LIMIT,
            num_retries=0,
            max_retries=0,
        )
        async for chunk in stream:
            take(chunk)

    def _take(self, number: int, answer: Answer, chunk: Any) -> None:
        if text := answer.take(chunk):
            self._say({"id": number, "text": text})

    def _say(self, frame: Frame) -> None:
        self._out.write(packed(frame))
        self._out.flush()


class Answer:
    """An answer that comes in pieces."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._finish = ""
        self._usage: tuple[int, int] | None = None
        self._length = 0

    def take(self, chunk: Any) -> str:
        """Add a piece, and return the text in it. Raises TooLong."""
        usage = getattr(chunk, "usage", None)
        if usage is not None and usage.prompt_tokens:  # litellm puts 0 where the provider told nothing
            self._usage = (int(usage.prompt_tokens or 0), int(usage.completion_tokens or 0))
        said = ""
        for choice in chunk.choices[:1]:
            self._finish = choice.finish_reason or self._finish
            said = choice.delta.content or ""
            self._texts.append(said)
            for call in choice.delta.tool_calls or ():
                self._call(call)
        self._count(said)
        return said

    def _call(self, piece: Any) -> None:
        call = self._calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
        call["id"] = call["id"] or piece.id or ""
        call["name"] += piece.function.name or ""
        call["arguments"] += piece.function.arguments or ""
        self._count((piece.function.name or "") + (piece.function.arguments or ""))

    def _count(self, text: str) -> None:
        self._length += len(text)
        if self._length > LONGEST or len(self._calls) > MOST_CALLS:
            from cockpit.llm.failures import TooLong

            raise TooLong

    def said(self) -> dict[str, Any]:
        """All of it; tokens are None where the provider told none."""
        return {
            "text": "".join(self._texts),
            "calls": [self._calls[index] for index in sorted(self._calls)],
            "finish": self._finish,
            "usage": self._usage,
        }


def price(listed: dict[str, Any], model: str) -> tuple[float, float] | None:
    """Dollars for an input and an output token, by litellm's list; None where it has no price for the model.

    The list is read here and not asked for: litellm would ask an Ollama server what it knows.
    """
    provider, _, rest = model.partition("/")
    for name, of in ((model, ""), (rest, provider)):
        entry = listed.get(name) or {}
        given, made = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
        if given is not None and made is not None and str(entry.get("litellm_provider", "")).startswith(of):
            return float(given), float(made)
    return None


async def _prepared() -> ModuleType:
    """litellm, told to keep to itself; what a first call would load is loaded already."""
    import litellm

    litellm.suppress_debug_info = True
    litellm.drop_params = True
    litellm.modify_params = True
    litellm.disable_hf_tokenizer_download = True
    litellm.disable_token_counter = True
    litellm.disable_streaming_logging = True
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    answer: Any = await litellm.acompletion(
        model="openai/none",
        messages=[{"role": "user", "content": ""}],
        tools=[tool],
        api_key="none",
        mock_response="ready",
        stream=True,
    )
    async for _ in answer:
        pass
    return litellm


def _listen(tell: Callable[[Frame], object]) -> None:
    with suppress(FrameError), os.fdopen(0, "rb", closefd=False) as stdin:
        while (frame := read(stdin)) is not None:
            tell(frame)
    os._exit(0)  # whoever asked is gone, and the loop may be stuck


if __name__ == "__main__":
    main()
