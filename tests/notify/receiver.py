"""Receivers over real HTTP: they keep what they are sent, and answer as they are told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cockpit.lab import ports


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Receiver:
    """An HTTP server on a free port of this machine.

    Args:
        answer: what it answers to a request, as status and JSON; by default 200.
    """

    answer: Callable[[Request], tuple[int, Any]] = lambda request: (200, {})
    requests: list[Request] = field(default_factory=list)
    delay: float = 0.0
    """Seconds before it answers."""
    status: int = 0
    """What it answers whatever is asked; 0 leaves it to `answer`."""

    def __post_init__(self) -> None:
        self.port = ports.reserve()
        self.open()

    def open(self) -> None:
        """Answer at its port, as at first so after it was stopped."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                request = Request(self.command, self.path, dict(self.headers.items()), json.loads(raw) if raw else None)
                receiver.requests.append(request)
                time.sleep(receiver.delay)
                status, body = (receiver.status, {}) if receiver.status else receiver.answer(request)
                told = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(told)))
                    self.end_headers()
                    self.wfile.write(told)
                except OSError:
                    return  # whoever asked has gone

            do_GET = do_POST = do_PATCH = handle_any

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Nobody answers at its port any more."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def apprise(self) -> str:
        return f"json://127.0.0.1:{self.port}/hook"

    @property
    def lines(self) -> list[str]:
        """The lines of all messages that came, in their order."""
        return [line for request in self.requests for line in request.body["message"].splitlines()]
