"""What every request is answered with: cleaned JSON with a schema version, and errors that say how to mend them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from cockpit.text import clean

SCHEMA_VERSION = 1
"""Of all answers; it grows when a key changes its meaning or goes away."""
PLAIN = {"Server": "cockpit", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
JSON = {**PLAIN, "Content-Type": "application/json"}


class Problem(Exception):
    """A request that is answered with an error.

    Args:
        status: the HTTP status.
        what: what is wrong, in one sentence.
        fix: how to mend it.
        headers: headers the status asks for, such as `Retry-After`.
    """

    def __init__(self, status: int, what: str, fix: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.fix = fix
        self.headers = headers or {}


def answer(status: int = 200, /, **content: Any) -> web.Response:
    """The content as JSON; Any, for it is whatever the values of the house hold as plain data."""
    body = encoded({"schema_version": SCHEMA_VERSION, **content})
    return web.Response(status=status, body=body, headers=JSON)


def failure(problem: Problem) -> web.Response:
    """The answer to a request that failed."""
    response = answer(problem.status, error=problem.what, fix=problem.fix)
    response.headers.update(problem.headers)
    return response


def encoded(content: Any) -> bytes:
    """Plain data as one line of JSON in ASCII, every text in it cleaned."""
    return json.dumps(cleaned(content), ensure_ascii=True, separators=(",", ":"), default=str).encode("ascii")


def cleaned(value: Any) -> Any:
    """The same data, with control characters of every text in it made visible; line ends and tabs are kept."""
    if isinstance(value, str):
        return clean(value, lines=True)
    if isinstance(value, Mapping):
        return {clean(str(key)): cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(item) for item in value]
    return value
