"""The HTTP interface: alerts in, readings and decisions out, by default on this machine alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cockpit.engine import Engine
    from cockpit.settings import Settings


async def serve(engine: Engine, settings: Settings) -> None:
    """Listen as the table `[http]` says, until cancelled. Raises CockpitError when the address cannot be used."""
    from cockpit.serve.http.server import Server
    from cockpit.settings.daemon import AlertmanagerSettings

    assert settings.http is not None
    await Server(engine, settings.http, settings.alertmanager or AlertmanagerSettings()).run()
