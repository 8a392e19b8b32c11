"""Puts the HTTP interface together and listens."""

from __future__ import annotations

import asyncio

from aiohttp import web

from cockpit.engine import Engine
from cockpit.serve.http.access import Access
from cockpit.serve.http.alerts import Alerts
from cockpit.serve.http.bodies import Bodies
from cockpit.serve.http.connections import Door
from cockpit.serve.http.decisions import Decisions
from cockpit.serve.http.gate import Gate
from cockpit.serve.http.intake import Intake
from cockpit.serve.http.limits import Limits
from cockpit.serve.http.listening import LINGERS, listen, tls
from cockpit.serve.http.owners import Owners
from cockpit.serve.http.reads import Reads
from cockpit.serve.http.routes import Handlers, add_routes
from cockpit.serve.http.signs import Ends, Watchdog, watch
from cockpit.serve.http.state import State
from cockpit.serve.http.stream import Stream
from cockpit.serve.http_heartbeats import add_heartbeats
from cockpit.serve.metrics import add_metrics
from cockpit.settings.daemon import AlertmanagerSettings, HttpSettings


class Server:
    """One listening address over one engine.

    Args:
        engine: who takes in, shows and decides.
        settings: where to listen, with each token in place.
        alertmanager: whose alerts are whose.
        limits: the bounds; by default those of the settings.
    """

    def __init__(
        self,
        engine: Engine,
        settings: HttpSettings,
        alertmanager: AlertmanagerSettings,
        limits: Limits | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._limits = limits or Limits(
            settings.connections, settings.requests_per_second, settings.body_limit_kb * 1024
        )
        self.door = Door(self._limits)
        self.access = Access(settings.tokens)
        bodies = Bodies(self._limits.body_seconds)
        self.intake = Intake(engine.store.take_in, self._limits.alerts_waiting)
        self._stream = Stream(engine.reader, self._limits.streams)
        self._ends = Ends(engine.reader, self.intake.add)
        self._watchdog = Watchdog(engine.reader, self.intake.add, alertmanager.watchdog_seconds)
        owners = Owners(engine.services, alertmanager.services)
        alerts = Alerts(bodies, self.intake, owners.of, self._watchdog, self._ends)
        self._handlers = Handlers(State(engine), alerts, Reads(engine), Decisions(engine, bodies), self._stream)
        self.port = settings.port
        """Where it listens; asked for 0, the port that was given, once it listens."""
        self.listening = asyncio.Event()

    def app(self) -> web.Application:
        """The application with all its routes."""
        gate = Gate(self.access, self._limits)
        app = web.Application(middlewares=[gate.middleware], client_max_size=self._limits.body_bytes)
        add_routes(app, self._handlers)
        add_metrics(app, self._engine)
        add_heartbeats(app, self._engine)
        return app

    async def run(self) -> None:
        """Listen and answer until cancelled. Raises CockpitError when the address cannot be used."""
        context = tls(self._settings.tls_certificate, self._settings.tls_key)
        runner = web.AppRunner(self.app(), shutdown_timeout=LINGERS)
        await runner.setup()
        try:
            assert runner.server is not None
            listening = await listen(
                runner.server, self.door, self._settings.host, self._settings.port, context=context, setting="http.bind"
            )
            self.port = listening.sockets[0].getsockname()[1]
            self.listening.set()
            try:
                async with asyncio.TaskGroup() as group:
                    for work in (self.intake.run(), self._stream.run(), watch(self._ends, self._watchdog)):
                        group.create_task(work)
            finally:
                listening.close()
        finally:
            await runner.cleanup()
