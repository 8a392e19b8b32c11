"""Takes in signs of life over HTTP, from whoever may report alerts."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from cockpit.engine import Engine
from cockpit.model import CockpitError
from cockpit.serve.http.answers import Problem, answer

PATH = "/api/v1/heartbeats/{name}"


def add_heartbeats(app: web.Application, engine: Engine) -> None:
    """Add the path that others ping: by POST, or by GET where a sender knows nothing else."""

    async def beat(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in {beat.name for beat in engine.reader.beats()}:
            raise Problem(404, "No heartbeat of this name is waited for.", "Add [heartbeats.NAME] to the config.")
        try:
            await asyncio.to_thread(engine.store.heartbeats.beat, name, time.time())
        except CockpitError as error:
            raise Problem(503, error.what, error.fix, {"Retry-After": "5"}) from None
        return answer(heartbeat=name)

    app.router.add_post(PATH, beat)
    app.router.add_get(PATH, beat, allow_head=False)
