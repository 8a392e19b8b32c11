"""The application behind the lab's proxy: a small web shop that answers `/` and `/health`."""

from __future__ import annotations

import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGES = {"/": b"Welcome to the shop.\n", "/health": b"ok\n"}


class Shop(BaseHTTPRequestHandler):
    """Answers the two pages there are, and 404 for every other."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Send the page."""
        body = PAGES.get(self.path.partition("?")[0], b"no such page\n")
        self.send_response(HTTPStatus.OK if self.path.partition("?")[0] in PAGES else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing: the proxy keeps the access log."""


def main(port: int) -> None:
    """Serve on that loopback port until ended."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Shop)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
