"""Every path there is, what it asks for, and who answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from cockpit.serve.http.access import ALERT, APPROVE, OPEN, READ
from cockpit.serve.http.alerts import Alerts
from cockpit.serve.http.decisions import Decisions
from cockpit.serve.http.openapi import describe
from cockpit.serve.http.reads import Reads
from cockpit.serve.http.state import State
from cockpit.serve.http.stream import Stream

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Needs:
    """What a path asks of whoever comes."""

    scope: str
    patient: bool = False
    """Whether it sets its own limits to the time it takes."""


@dataclass(frozen=True)
class Handlers:
    """Who answers."""

    state: State
    alerts: Alerts
    reads: Reads
    decisions: Decisions
    stream: Stream


NEEDS = {
    "/-/healthy": Needs(OPEN),
    "/-/ready": Needs(OPEN),
    "/api/v1/openapi.json": Needs(OPEN),
    "/api/v1/alerts": Needs(ALERT, patient=True),
    "/api/v2/alerts": Needs(ALERT, patient=True),
    "/api/v1/heartbeats/{name}": Needs(ALERT),
    "/api/v1/proposals/{id}/decision": Needs(APPROVE),
    "/api/v1/events": Needs(READ, patient=True),
}
"""By path; whatever stands not here needs the right to read, and whoever writes unnamed the right to approve."""


def needed(request: web.Request) -> Needs:
    """What the path of a request asks for; a path that does not exist asks for the right to read."""
    resource = request.match_info.route.resource
    if resource is not None and resource.canonical in NEEDS:
        return NEEDS[resource.canonical]
    return Needs(READ if request.method in ("GET", "HEAD") else APPROVE)


def add_routes(app: web.Application, handlers: Handlers) -> None:
    """Add every path to the application; what is read by GET can be asked for by HEAD."""
    reads, alerts = handlers.reads, handlers.alerts
    for path, handler in {
        "/-/healthy": handlers.state.healthy,
        "/-/ready": handlers.state.ready,
        "/api/v1/status": reads.status,
        "/api/v1/services": reads.services,
        "/api/v1/incidents": reads.incidents,
        "/api/v1/incidents/{id}": reads.incident,
        "/api/v1/changes": reads.changes,
        "/api/v1/proposals": reads.proposals,
        "/api/v1/tools": reads.tools,
        "/api/v1/openapi.json": describe,
    }.items():
        app.router.add_get(path, handler)
    app.router.add_get("/api/v1/events", handlers.stream.events, allow_head=False)
    app.router.add_post("/api/v1/alerts", alerts.either)
    app.router.add_post("/api/v2/alerts", alerts.list)
    app.router.add_post("/api/v1/proposals/{id}/decision", handlers.decisions.decide)
