"""How much anybody may ask for: rates, open connections, and the time each thing may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The bounds of the HTTP interface; times are seconds."""

    connections: int = 256
    requests_per_second: int = 10_000
    """Of one address."""
    body_bytes: int = 8 << 20
    header_seconds: float = 10.0
    """From the first sign of a request to the end of its headers."""
    body_seconds: float = 20.0
    idle_seconds: float = 60.0
    """That a connection may stay open between two requests."""
    write_seconds: float = 20.0
    """That a peer may take nothing of what is sent to it."""
    answer_seconds: float = 30.0
    """That an answer may take to be found."""
    streams: int = 32
    """Readers of the event stream at a time."""
    alerts_waiting: int = 20_000
    """Alerts that may wait for the disk; more are refused until there is room."""
