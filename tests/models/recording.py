"""Recorded investigations: the world, what the tools returned and what the model said, to be replayed for free.

A recording is JSON, made of the log of a real investigation. Its `expected` is what a replay
of it came to when it was accepted; what a later replay comes to is compared with that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cockpit.agent.analyst import Analyst
from cockpit.agent.healer import Healer
from cockpit.agent.investigator import Investigator
from cockpit.agent.runbooks import Library
from cockpit.llm.models import Models
from cockpit.llm.process import Worker
from cockpit.model import (
    Alert,
    Call,
    Finding,
    Health,
    Level,
    Plan,
    Role,
    Run,
    RunStatus,
    Service,
    Severity,
    Tier,
    Unexpected,
)
from cockpit.model.inquiries import CallOutcome
from cockpit.safety.deadlines import Deadlines
from cockpit.safety.executor import Executor
from cockpit.settings import PolicySettings
from cockpit.settings.models import Model, ModelsSettings
from cockpit.store.reader import Reader
from cockpit.store.rows import plan_from, plan_json
from cockpit.store.store import Store
from cockpit.text import Redactor
from cockpit.toolkit import Client, Kind, Registry, Tool
from cockpit.toolkit.kind import RESERVED
from cockpit.toolkit.schema import checked
from tests.models.script import Asked, Fails, Says, Step, Wants
from tests.models.scripted import Scripted

FOLDER = Path(__file__).with_name("recorded")
HISTORY = 5
"""Moments of the hour before at which the samples are kept."""


def record(reader: Reader, inquiry: int, about: str) -> dict[str, Any]:
    """An inquiry into an incident as a recording, yet without what a replay of it comes to."""
    asked = reader.asked.inquiry(inquiry)
    assert asked.incident is not None
    incident, calls = reader.incident(asked.incident), reader.asked.calls(inquiry)
    replies = [call.reply for call in calls if call.outcome is CallOutcome.ANSWERED]
    runs = _in_order(reader.runs(incident.id), replies)
    return {
        "about": about,
        "at": calls[0].at,
        "services": [_service(watched.service) for watched in reader.services()],
        "health": {watched.service.name: _health(watched.health) for watched in reader.services()},
        "history": _history(reader, incident.service, calls[0].at),
        "opened_at": incident.opened_at,
        "alerts": [_alert(raised.alert) for raised in reader.alerts(incident=incident.id)],
        "before": [_run(run) for run in runs if run.started_at < calls[0].at],
        "results": [_run(run) for run in runs if run.started_at >= calls[0].at],
        "plans": [_proposed(proposal) for proposal in reader.proposals(incident=incident.id)],
        "replies": json.loads(_renumbered(json.dumps(replies), {run.id: at for at, run in enumerate(runs, 1)})),
    }


def _in_order(runs: list[Run], replies: list[Mapping[str, Any]]) -> list[Run]:
    """Runs in the order in which they were asked for, as a replay makes them; those from before come first."""
    asked = [
        (call["name"], {key: value for key, value in json.loads(call["arguments"]).items() if key not in RESERVED})
        for reply in replies
        for call in reply["calls"]
    ]

    def place(run: Run) -> int:
        call = (run.call.tool, dict(run.call.arguments))
        return asked.index(call) if call in asked else -1

    return sorted(runs, key=lambda run: (place(run), run.id))


def _service(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "depends_on": list(service.depends_on),
        "critical": service.critical,
        "note": service.note,
        "tags": list(service.tags),
    }


def _health(health: Health) -> dict[str, Any]:
    return {"level": health.level, "summary": health.summary, "samples": dict(health.samples)}


def _history(reader: Reader, service: str, at: float) -> list[dict[str, Any]]:
    moments: dict[float, dict[str, float]] = {}
    for name in reader.sample_names(service):
        seen = reader.samples(service, name, at - 3600.0, at)
        for moment, value in seen[:: max(1, len(seen) // HISTORY)]:
            moments.setdefault(moment, {})[name] = value
    return [{"at": moment, "samples": values} for moment, values in sorted(moments.items())]


def _alert(alert: Alert) -> dict[str, Any]:
    kept = ("fingerprint", "service", "name", "severity", "summary", "starts_at", "source")
    return {**{name: getattr(alert, name) for name in kept}, "labels": dict(alert.labels)}


def _run(run: Run) -> dict[str, Any]:
    kept = {"status": run.status, "summary": run.summary, "data": dict(run.data), "started_at": run.started_at}
    return {"tool": run.call.tool, "service": run.call.service, "arguments": dict(run.call.arguments), **kept}


def _proposed(proposal: Any) -> dict[str, Any]:
    call = proposal.call
    plan = plan_json(proposal.plan)
    return {"tool": call.tool, "service": call.service, "arguments": dict(call.arguments), "plan": plan}


def _renumbered(text: str, numbers: Mapping[int, int]) -> str:
    """The replies with the numbers that their runs will have in a log of their own."""

    def renumbered(found: re.Match[str]) -> str:
        return f"{found[1]}{numbers.get(int(found[2]), found[2])}"

    return re.sub(r'(\brun (?:\\*": )?|\brun\\*": )(\d+)', renumbered, text)


async def replay(recording: Mapping[str, Any], worker: Worker) -> dict[str, Any]:
    """What the investigation comes to with the prompts and checks as they are now."""
    now = [float(recording["opened_at"])]
    with (
        TemporaryDirectory() as folder,
        Scripted(_script(recording), key="") as server,
        Store.open(Path(folder) / "cockpit.db", clock=lambda: now[0]) as store,
    ):
        services = {each["name"]: Service(**_tuples(each)) for each in recording["services"]}
        incident = _world(recording, store, list(services.values()))
        now[0] = float(recording["at"])
        investigator = _investigator(recording, store, services, server, worker, lambda: now[0])
        inquiry = store.inquiries.ask(incident, "", "", Role.ANALYST, estimate=None, wait=False)
        store.inquiries.begin(inquiry.id)
        await investigator.work(inquiry, store.reader.incident(incident))
        after = store.reader.asked.inquiry(inquiry.id)
        calls = store.reader.asked.calls(inquiry.id)
        return {
            "tools": server.requests[0].tools,
            "messages": [
                f"{message['role']}: {message.get('content') or ''}" for message in server.requests[-1].messages
            ],
            "calls": len(calls),
            "first_prompt_tokens": calls[0].input_tokens,
            "state": after.state,
            "outcome": after.outcome,
            "answer": dict(after.answer),
        }


def _tuples(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _script(recording: Mapping[str, Any]) -> Callable[[Asked], Step]:
    said = iter(recording["replies"])

    def next_one(asked: Asked) -> Step:
        reply = next(said, None)
        if reply is None:
            return Fails(500, "No more was recorded.")
        calls = [(call["name"], call["arguments"]) for call in reply["calls"]]
        return Wants(*calls, text=reply["text"]) if calls else Says(reply["text"])

    return next_one


def _world(recording: Mapping[str, Any], store: Store, services: list[Service]) -> int:
    """Put what was known into a log; returns the incident."""
    store.watch(services)
    service = recording["alerts"][0]["service"]
    for moment in recording["history"]:
        store.record_health(service, Health(Level.UP, "", moment["samples"]), moment["at"])
    for name, health in recording["health"].items():
        seen = Health(Level(health["level"]), health["summary"], health["samples"])
        store.record_health(name, seen, recording["at"])
    alerts = [Alert(**{**each, "severity": Severity(each["severity"])}) for each in recording["alerts"]]
    incident = store.ingest_alerts(alerts)[0]
    for run in recording["before"]:
        found = None if run["status"] == RunStatus.ERROR else _finding(run)
        call = Call(run["tool"], run["service"], run["arguments"])
        store.record_run(incident, call, found, run["summary"], run["started_at"], 0.0)
    return incident


def _finding(run: Mapping[str, Any]) -> Finding:
    return Finding(run["summary"], run["data"], RunStatus(run["status"]))


def _investigator(
    recording: Mapping[str, Any],
    store: Store,
    services: Mapping[str, Service],
    server: Scripted,
    worker: Worker,
    clock: Callable[[], float],
) -> Investigator:
    registry = _registry(recording)
    own = Model("recorded", "openai/recorded", Tier.LOCAL, base_url=server.url)
    settings = ModelsSettings((own,))
    executor = Executor(PolicySettings(), registry, store, services, Deadlines())
    healer = Healer(registry, store, services, executor)
    analyst = Analyst(registry, store, services, Library(), clock)
    models = Models(settings, store, Redactor(), worker=worker)
    return Investigator(analyst, healer, models, settings, Path("/nonexistent"))


def _registry(recording: Mapping[str, Any]) -> Registry:
    """The kinds as they are, whose tools return what was recorded."""
    known = Registry.discover()
    wanted = {service["name"].partition("/")[0] for service in recording["services"]}
    return Registry.of(_recorded(known.kind(name), recording) for name in sorted(wanted))


def _recorded(kind: Kind, recording: Mapping[str, Any]) -> Kind:
    tools = {name: replace(tool, function=_returning(tool, recording)) for name, tool in kind.tools.items()}
    return replace(kind, reader=Client, writer=Client, tools=tools)


def _returning(tool: Tool, recording: Mapping[str, Any]) -> Callable[..., Any]:
    known = {
        _key(each["service"], checked(tool, each["arguments"])): each
        for each in (*recording["results"], *recording["plans"])
        if each["tool"] == tool.name
    }

    @wraps(tool.function)
    async def recorded(client: Client, **arguments: Any) -> Finding | Plan:
        found = known.get(_key(client.service.name, arguments))
        if found is None:
            raise Unexpected(f"{tool.name} was not recorded with these arguments.")
        if "plan" in found:
            return plan_from(found["plan"])
        if found["status"] == RunStatus.ERROR:
            raise Unexpected(found["summary"])
        return _finding(found)

    return recorded


def _key(service: str, arguments: Mapping[str, Any]) -> str:
    return json.dumps([service, arguments], sort_keys=True, default=str)
