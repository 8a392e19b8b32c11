"""A program on a pseudo-terminal, with the time of every chunk of its output."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self


class Terminal:
    """Runs a command on a terminal of its own and reads what it writes.

    Args:
        argv: the command.
        size: columns and rows.
        env: variables added to the environment.
    """

    def __init__(
        self, argv: Sequence[str], size: tuple[int, int] = (120, 40), env: Mapping[str, str] | None = None
    ) -> None:
        self.argv = list(argv)
        self.size = size
        self.env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **(env or {})}
        self.written = b""

    def __enter__(self) -> Self:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(self.argv[0], self.argv, self.env)
        columns, rows = self.size
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self.pid, signal.SIGTERM)
        give_up = time.perf_counter() + 10
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            self.read(0.05)
            if time.perf_counter() > give_up:
                os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)

    def read(self, seconds: float) -> int:
        """Read for at most so many seconds, or until something came; returns the number of bytes."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return 0
        try:
            data = os.read(self.fd, 1 << 20)
        except OSError:
            return 0
        self.written += data
        return len(data)

    def until(self, text: str, within: float = 30.0) -> float:
        """Seconds from the start until the text was written. Raises TimeoutError."""
        wanted = text.encode()
        while wanted not in self.written:
            if time.perf_counter() - self.started > within:
                raise TimeoutError(f"{self.argv[0]} never wrote {text!r}: {self.written[-500:]!r}")
            self.read(0.01)
        return time.perf_counter() - self.started

    def drain(self, seconds: float) -> int:
        """Bytes written within so many seconds."""
        end, total = time.perf_counter() + seconds, 0
        while (left := end - time.perf_counter()) > 0:
            total += self.read(left)
        return total

    def press(self, keys: bytes, quiet: float = 0.12) -> tuple[float, float, int]:
        """Press keys; returns seconds to the first byte and to the last before the quiet, and the bytes."""
        self.drain(0.0)
        pressed = time.perf_counter()
        os.write(self.fd, keys)
        first = last = 0.0
        total = 0
        while True:
            got = self.read(quiet if total else 1.0)
            if not got:
                return first, last, total
            last = time.perf_counter() - pressed
            first = first or last
            total += got

    def cpu(self) -> float:
        """Seconds of processor the process has used."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident megabytes of the process."""
        with open(f"/proc/{self.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
