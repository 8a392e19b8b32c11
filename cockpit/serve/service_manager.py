"""Tells systemd how the daemon does, by the protocol of sd_notify(3); says nothing where nobody listens."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

MICRO = 1_000_000


@dataclass
class ServiceManager:
    """The service manager that started this process, if one did.

    Args:
        address: its socket: a path, or `@` and a name; empty where there is none.
        watchdog: seconds within which it wants to hear of us again; 0 where it does not.
    """

    address: str = ""
    watchdog: float = 0.0
    _status: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> ServiceManager:
        """The one that the environment names."""
        ours = environ.get("WATCHDOG_PID") in (None, str(os.getpid()))
        microseconds = environ.get("WATCHDOG_USEC", "")
        watchdog = int(microseconds) / MICRO if ours and microseconds.isascii() and microseconds.isdigit() else 0.0
        return cls(environ.get("NOTIFY_SOCKET", ""), watchdog)

    def ready(self) -> None:
        """Everything runs, for the first time or again."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """The config is being read again; `ready` ends that."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """The watchdog need not bark."""
        self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        if text != self._status:
            self._status = text
            self._tell(f"STATUS={text.replace(chr(10), ' ')}")

    def _tell(self, *lines: str) -> None:
        if not self.address.startswith(("/", "@")):
            return
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            with contextlib.suppress(OSError):  # who does not listen misses it, and the work goes on
                sender.sendto("\n".join(lines).encode(), address)
