"""A real daemon that takes alerts in over HTTP, for benchmarks to post to."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.faults.daemon_world import Place, until

TOKEN = "bench-0123456789abcdef"
HTTP = """
[http]
bind = "127.0.0.1:{port}"
requests_per_second = 100000
tokens = [{{name = "bench", token = "{token}", scopes = ["read", "alert"]}}]
"""


@contextlib.contextmanager
def listening(
    folder: Path, services: int = 1, interval: float = 10.0
) -> Iterator[tuple[Place, subprocess.Popen[str], int]]:
    """A daemon in this folder, with so many services to probe; its place, its process and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = Place(folder, worlds=services, interval=interval)
    place.configure(HTTP.format(port=port, token=TOKEN))
    place.config.chmod(0o600)
    with place.daemon() as daemon:
        until(lambda: _ready(port))
        yield place, daemon, port


def _ready(port: int) -> bool:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/-/ready", headers={"Authorization": f"Bearer {TOKEN}"})
    with contextlib.suppress(OSError, urllib.error.HTTPError), urllib.request.urlopen(request, timeout=5) as answer:
        return bool(answer.status == 200)
    return False
