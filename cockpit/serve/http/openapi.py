"""The description of the interface, written by hand and kept as data."""

from __future__ import annotations

import asyncio

from aiohttp import web

from cockpit.files import data_file
from cockpit.serve.http.answers import PLAIN


async def describe(request: web.Request) -> web.Response:
    """The OpenAPI description."""
    text = await asyncio.to_thread(data_file("openapi.json").read_bytes)
    return web.Response(body=text, headers=PLAIN, content_type="application/json")
