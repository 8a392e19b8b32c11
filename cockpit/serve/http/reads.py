"""What can be asked: state, services, incidents, changes, proposals, tools."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from cockpit import __version__
from cockpit.engine import Engine
from cockpit.model import CockpitError, Proposal, ProposalState, Watched
from cockpit.serve.http.answers import Problem, answer
from cockpit.store.reader import Reader
from cockpit.toolkit import Tool
from cockpit.toolkit.schema import schema

MOST, USUAL = 500, 200
"""Rows of one answer: at the most, and where nobody says how many."""
EVENTS = 2000
"""Events of one incident in an answer, the newest."""
AT_ONCE = 4
"""Answers that are put together at a time: the log has one reader."""


class Reads:
    """Answers questions from the log.

    Args:
        engine: whose log and tools are shown.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def status(self, request: web.Request) -> web.Response:
        """How things stand, in a few figures."""
        return await self._found(status=self._status)

    async def services(self, request: web.Request) -> web.Response:
        """Every service with the last that is known of it."""
        return await self._found(services=lambda: [_service(each) for each in self._engine.reader.services()])

    async def incidents(self, request: web.Request) -> web.Response:
        """Incidents, those that wait for a person first; resolved ones only when asked for."""
        limit, everything = number(request, "limit", USUAL, MOST), flag(request, "all")
        reader = self._engine.reader
        return await self._found(
            incidents=lambda: [asdict(each) for each in reader.incidents(unresolved_only=not everything, limit=limit)]
        )

    async def incident(self, request: web.Request) -> web.Response:
        """One incident with its alerts, timeline, evidence and proposals."""
        wanted = identity(request)
        return await self._found(**{"": lambda: _incident(self._engine.reader, wanted)})

    async def changes(self, request: web.Request) -> web.Response:
        """Changes that were carried out, newest first."""
        limit, before = number(request, "limit", USUAL, MOST), number(request, "before", 2**62, 2**62)
        reader = self._engine.reader
        return await self._found(changes=lambda: [asdict(each) for each in reader.changes(before=before, limit=limit)])

    async def proposals(self, request: web.Request) -> web.Response:
        """Proposals with their decisions, newest first; in one state when asked for it."""
        limit, state = number(request, "limit", USUAL, MOST), request.query.get("state")
        if state is not None and state not in list(ProposalState):
            raise Problem(400, "There is no such state.", f"Ask for one of: {', '.join(ProposalState)}.")
        reader = self._engine.reader
        wanted = ProposalState(state) if state else None
        return await self._found(
            proposals=lambda: [told(reader, each) for each in reader.proposals(state=wanted, limit=limit)]
        )

    async def tools(self, request: web.Request) -> web.Response:
        """Every tool with what it does and the arguments it takes."""
        return await self._found(tools=lambda: [_tool(each) for each in self._engine.registry.tools.values()])

    async def _found(self, **parts: Callable[[], Any]) -> web.Response:
        """Put the answer together beside the event loop; a part without a name is the whole."""
        async with self._turn:
            try:
                return await asyncio.to_thread(_put_together, parts)
            except CockpitError as error:
                raise Problem(503, error.what, error.fix, {"Retry-After": "1"}) from error

    def _status(self) -> dict[str, Any]:
        reader, engine = self._engine.reader, self._engine
        levels: dict[str, int] = {}
        for watched in reader.services():
            levels[watched.health.level] = levels.get(watched.health.level, 0) + 1
        return {
            "version": __version__,
            "mode": engine.mode,
            "frozen_by": reader.frozen(),
            "services": levels,
            "incidents": len(reader.incidents(unresolved_only=True)),
            "proposals_pending": len(reader.proposals(state=ProposalState.PENDING)),
            "last_event": reader.last_event(),
        }


def _put_together(parts: dict[str, Callable[[], Any]]) -> web.Response:
    found = {name: part() for name, part in parts.items()}
    return answer(**found.pop("", {}), **found)


def told(reader: Reader, proposal: Proposal) -> dict[str, Any]:
    """A proposal with its decision and the journal of its changes, as plain data."""
    decision = reader.decision(proposal.id)
    journal = [
        {key: value for key, value in asdict(applied).items() if key != "change"}
        for applied in reader.applied(proposal.id)
    ]
    return {**asdict(proposal), "decision": asdict(decision) if decision else None, "journal": journal}


def identity(request: web.Request) -> int:
    """The number in the path. Raises Problem 404 for one that nothing can have."""
    text = request.match_info["id"]
    if not text.isascii() or not text.isdecimal() or not 0 < len(text) < 19:
        raise Problem(404, "There is nothing of that number.", "Numbers start at 1.")
    return int(text)


def number(request: web.Request, name: str, usual: int, most: int) -> int:
    """A number of the query. Raises Problem 400 unless it is between 1 and the most."""
    texts = request.query.getall(name, [])
    if not texts:
        return usual
    text = texts[0]
    if len(texts) > 1 or not text.isascii() or not text.isdecimal() or len(text) > 19 or not 1 <= int(text) <= most:
        raise Problem(400, f"'{name}' must be a whole number from 1 to {most}.", "Correct it, or leave it out.")
    return int(text)


def flag(request: web.Request, name: str) -> bool:
    """Whether the query says `true`. Raises Problem 400 for any word but `true` and `false`."""
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise Problem(400, f"'{name}' must be true or false.", "Correct it, or leave it out.")
    return text == "true"


def _incident(reader: Reader, wanted: int) -> dict[str, Any]:
    try:
        incident = reader.incident(wanted)
    except CockpitError as error:
        raise Problem(404, error.what, "List them at /api/v1/incidents.") from error
    return {
        "incident": asdict(incident),
        "alerts": [asdict(raised) for raised in reader.alerts(incident=wanted)],
        "events": [asdict(event) for event in reader.events(before=sys.maxsize, incident=wanted, limit=EVENTS)],
        "runs": [asdict(run) for run in reader.runs(wanted)],
        "proposals": [told(reader, proposal) for proposal in reader.proposals(incident=wanted)],
    }


def _service(watched: Watched) -> dict[str, Any]:
    data = asdict(watched)
    del data["service"]["options"]
    return data


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "kind": tool.kind,
        "writes": tool.writes,
        "approval": tool.approval,
        "doc": tool.doc,
        "arguments": schema(tool),
    }
