"""Reads the JSON of a request: from strangers, so strictly, and with an end to everything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web

from cockpit.serve.http.answers import Problem

CLOSE = {"Connection": "close"}
Read = TypeVar("Read")
LARGE = 128 * 1024
"""Bytes from which on a body is parsed beside the event loop, and few at a time."""
LARGE_AT_ONCE = 4


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refused)


class Bodies:
    """Reads bodies within a time; large ones wait for each other.

    Args:
        seconds: how long a body may take to arrive.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def load(self, request: web.BaseRequest, read: Callable[[Any], Read]) -> Read:
        """What is read from the JSON of the body; a large one is read beside the event loop.

        Raises Problem when it is no JSON, too large, too slow or compressed, and what `read` raises.
        """
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Problem(415, "The body is compressed.", "Send it as it is.")
        length = request.content_length
        if length is not None and length > request.client_max_size:
            raise _too_large()
        if length is not None and length < LARGE:
            return read(parsed(await self._bytes(request)))
        async with self._large:
            body = await self._bytes(request)
            return await asyncio.to_thread(lambda: read(parsed(body)))

    async def _bytes(self, request: web.BaseRequest) -> bytes:
        try:
            if request.content.is_eof():  # all of it came with the headers
                return await request.read()
            async with asyncio.timeout(self._seconds):
                return await request.read()
        except TimeoutError:
            raise Problem(408, "The body took too long.", "Send it at once.", CLOSE) from None
        except web.HTTPRequestEntityTooLarge:
            raise _too_large() from None
        except (web.RequestPayloadError, ConnectionError) as error:
            raise Problem(400, "The body is not whole.", "Send as many bytes as announced.") from error


def parsed(body: bytes) -> Any:
    """The value of a JSON text. Raises Problem saying what is wrong with it."""
    try:
        text = body.decode("utf-8")
        return DECODER.decode(text)
    except RecursionError:
        raise Problem(400, "The body is nested too deeply.", "Send flat JSON.") from None
    except ValueError as error:
        raise Problem(400, f"The body is no JSON: {error}.", "Send JSON in UTF-8, each key once.") from None


def _too_large() -> Problem:
    return Problem(413, "The body is too large.", "Send less at a time, or raise http.body_limit_kb.", CLOSE)
