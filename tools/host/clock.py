"""This machine's clock, as the kernel's time discipline has it.

Source: adjtimex(2), read only, and the list of processes for the time service.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection
from dataclasses import dataclass

from cockpit.model import Denied

UNSYNCHRONISED = 0x40
NANOSECONDS = 0x2000
SERVICES = ("chronyd", "ntpd", "systemd-timesyncd", "systemd-timesyn", "openntpd", "ntpd-rs")


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


@dataclass(frozen=True)
class Clock:
    """What the kernel and the process list say of the clock."""

    synchronised: bool
    offset_seconds: float
    max_error_seconds: float
    service: str
    """The time service that runs; empty when none does, as in a guest whose host keeps the clock."""

    @property
    def adrift(self) -> bool:
        """Whether a time service runs and has found no time."""
        return bool(self.service) and not self.synchronised


def clock(running: Collection[str]) -> Clock:
    """Read the clock's state; changes nothing.

    Args:
        running: the names of the processes that run.

    Raises:
        Denied: a sandbox forbids even the reading.
    """
    state = _Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(ctypes.byref(state)) < 0:
        raise Denied(
            f"The clock's state cannot be read: {os.strerror(ctypes.get_errno())}.",
            "Allow the system calls adjtimex and clock_adjtime where cockpit runs.",
        )
    unit = 1e9 if state.status & NANOSECONDS else 1e6
    return Clock(
        synchronised=not state.status & UNSYNCHRONISED,
        offset_seconds=state.offset / unit,
        max_error_seconds=state.maxerror / 1e6,
        service=next((name for name in SERVICES if name in running), ""),
    )
