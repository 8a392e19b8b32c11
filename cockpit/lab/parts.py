"""What a lab is made of: servers, and faults that really happen to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit.model import Service

if TYPE_CHECKING:
    from cockpit.lab.lab import Lab


@dataclass(frozen=True)
class Launch:
    """How a server's process is started."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    user: str | None = None
    """The account it runs under when we are root; None keeps ours."""


@dataclass(frozen=True)
class Server:
    """One server of the lab."""

    name: str
    prepare: Callable[[Lab], Awaitable[Launch]]
    """Write its config and create its data folder where they are missing; may be called again before a restart."""
    ready: Callable[[Lab], Awaitable[bool]]
    """Whether it answers over the wire."""
    seed: Callable[[Lab], Coroutine[Any, Any, None]] | None = None
    """Fill it with something to look after; called once, after its first start."""
    services: Callable[[Lab], Sequence[Service]] = lambda lab: ()
    """The services cockpit watches there, with options, dependencies and control commands."""
    stop_signal: str = "SIGTERM"


@dataclass(frozen=True)
class Fault:
    """Something that really goes wrong, made from outside, and how to take it away again."""

    name: str
    title: str
    """What the operator reads in the menu: the fault in one line."""
    service: str
    inject: Callable[[Lab], Awaitable[None]]
    clear: Callable[[Lab], Awaitable[None]]
    """Take the fault away, whether or not it was mended; may be called when it was never injected."""
    well: Callable[[Lab], Awaitable[bool]]
    """Whether a client of the service is served again, seen by its own connection."""
    runbook: str
    """The runbook that ought to explain it."""
    remedy: str
    """The remediation that ought to mend it; empty where a person is needed."""
