"""Opens a port for an HTTP server, with deadlines for every connection, and TLS where it is wanted."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from pathlib import Path

from aiohttp import web

from cockpit.model import CockpitError
from cockpit.serve.http.connections import Connection, Door

BACKLOG = 1024
LINGERS = 2.0
"""Seconds that open answers have when the daemon ends."""


async def listen(
    server: web.Server, door: Door, host: str, port: int, *, context: ssl.SSLContext | None, setting: str
) -> asyncio.Server:
    """Listen until closed. Raises CockpitError, naming the setting to mend, when the address cannot be used."""
    loop = asyncio.get_running_loop()
    connection = partial(
        Connection,
        door,
        server,
        loop=loop,
        access_log=None,
        keepalive_timeout=door.limits.idle_seconds,
        lingering_time=LINGERS,
        auto_decompress=False,
    )
    try:
        return await loop.create_server(
            connection,
            host,
            port,
            ssl=context,
            backlog=BACKLOG,
            ssl_handshake_timeout=door.limits.header_seconds if context else None,
        )
    except OSError as error:
        raise CockpitError(
            f"Nothing can listen on {host}:{port}: {error.strerror}.",
            f"Choose another address at {setting}, or end what holds it.",
        ) from error


def tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """What TLS needs, from its two files; None without them. Raises CockpitError when they cannot be used."""
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise CockpitError(
            f"The certificate {certificate} cannot be used: {error}.",
            "Check both files of TLS, and that they belong together.",
        ) from error
    return context
