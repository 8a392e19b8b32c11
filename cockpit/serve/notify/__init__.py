"""Tells people what happens over the channels they chose, and who is next when nobody answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cockpit.engine import Engine
    from cockpit.settings import Settings


async def serve(engine: Engine, settings: Settings) -> None:
    """Tell people what happens, until cancelled; what is to be told outlives the process in the log."""
    from cockpit.serve.notify.service import run

    await run(engine, settings)
