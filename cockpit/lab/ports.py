"""Loopback ports for servers that start later than the port is chosen."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

# Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes the
# port while its server is stopped.
RANGE = range(20_000, 32_000)


def reserve() -> int:
    """A free loopback port that stays ours for a minute.

    A connection is made over it and closed from the server's side: while that is in
    TIME_WAIT, only who sets SO_REUSEADDR can bind the port. Servers do; the first look of
    another lab's `reserve` does not.
    """
    choice = random.SystemRandom()
    while True:
        port = choice.choice(RANGE)
        try:
            _occupy(port)
        except OSError:
            continue
        return port


def _occupy(port: int) -> None:
    with socket.socket() as look:
        look.bind(("127.0.0.1", port))
    with socket.socket() as server, socket.socket() as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen(1)
        client.connect(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.recv(1)


def kept(file: Path) -> int:
    """The port that stands in the file; reserved and written there by whoever asks first."""
    if not file.exists():
        draft = file.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(str(reserve()))
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return int(file.read_text())
