"""The demo: a lab that lives as long as the cockpit over it, with a log of its own inside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from cockpit.lab.catalogue import faults, servers
from cockpit.lab.lab import Lab, sweep_orphans
from cockpit.lab.menu import Faults
from cockpit.settings import Settings


@asynccontextmanager
async def demo(
    settings: Settings, tell: Callable[[str], None], *, chaos: float | None = None
) -> AsyncIterator[tuple[Settings, Faults]]:
    """Start the lab, and end it when the caller is done.

    Args:
        settings: the operator's own; policy and operator are kept, services and data folder are the lab's.
        tell: is handed a line on what is going on.
        chaos: seconds between two random faults; None for none.

    Raises CockpitError naming the server that does not start.
    """
    for folder in sweep_orphans():
        tell(f"Ended a lab that was left behind in {folder}.")
    tell("Starting PostgreSQL, Redis, NATS, Caddy and their clients …")
    lab = Lab.create(servers())
    try:
        await lab.up()
        data = lab.path("cockpit")
        data.chmod(0o700)
        yield replace(settings, services=tuple(lab.services()), data_folder=data), Faults(lab, faults(), chaos)
    finally:
        await lab.down()
