"""Run a probe, a diagnostic or a plan: clients injected, time limited, errors in our own words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from cockpit.model import Call, CockpitError, Finding, Health, Level, Plan, Refused, Service, Unexpected, Unreachable
from cockpit.toolkit.kind import Kind, Tool
from cockpit.toolkit.registry import Registry
from cockpit.toolkit.schema import checked


@asynccontextmanager
async def limited(seconds: float, what: str) -> AsyncIterator[None]:
    """Limit what is inside to so many seconds, and name every error in our words.

    Raises Unreachable when the time is over, and Unexpected for what no client foresaw; and CancelledError for a
    driver that swallowed it, for whoever cancelled waits for the end.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
    except TimeoutError:
        raise Unreachable(
            f"{what} did not answer within {seconds:g} s.", "Check that it is running and reachable."
        ) from None
    except CockpitError:
        raise
    except Exception as error:  # the outermost edge of a tool call: a driver may raise anything
        raise Unexpected(f"{what} failed: {type(error).__name__}: {error}", "See the log for more.") from error


async def probe(kind: Kind, service: Service) -> Health:
    """What a service's probe sees now; never raises: what cannot be reached is down, what cannot be told is unknown."""
    if kind.prober is None:
        return Health(Level.UNKNOWN, f"Kind '{kind.name}' has no probe.")
    started = time.monotonic()
    try:
        async with limited(service.timeout, service.name), kind.reader(service) as client:
            health: Health = await kind.prober(client)
    except Unreachable as error:
        return Health(Level.DOWN, error.what)
    except CockpitError as error:
        return Health(Level.UNKNOWN, error.what)
    return replace(health, latency=time.monotonic() - started)


async def inspect(registry: Registry, service: Service, call: Call) -> Finding:
    """Run a diagnostic. Raises CockpitError for wrong arguments, ServiceError when the service fails."""
    tool = _tool(registry, service, call)
    if tool.writes:
        raise CockpitError(f"{tool.name} changes things; it can be planned, not run.", "Propose it instead.")
    arguments = checked(tool, call.arguments)
    reader = registry.kind(tool.kind).reader(service)
    async with limited(tool.timeout, f"{tool.name} on {service.name}"), reader as client:
        finding: Finding = await tool.function(client, **arguments)
    return finding


async def plan(registry: Registry, service: Service, call: Call) -> Plan:
    """What a remediation would change now; nothing is written.

    Raises Refused when the remediation looked and will not, CockpitError for wrong arguments,
    ServiceError when the service fails.
    """
    tool = _tool(registry, service, call)
    if not tool.writes:
        raise CockpitError(f"{tool.name} only looks; there is nothing to plan.", "Run it as a diagnostic.")
    arguments = checked(tool, call.arguments)
    reader = registry.kind(tool.kind).reader(service)
    async with limited(tool.timeout, f"{tool.name} on {service.name}"), reader as client:
        planned: Plan = await tool.function(client, **arguments)
    for change in planned.changes:
        if change.item not in tool.uses or change.service != service.name:
            raise Refused(f"{tool.name} planned a change of {change.service} {change.item}, which it may not touch.")
    return planned


def undo_plan(registry: Registry, done: Plan) -> Plan:
    """The plan that puts a carried-out plan back, in reverse order. Raises Refused where there is no way back."""
    changes = []
    for change in reversed(done.changes):
        reverse = registry.item(change.service.partition("/")[0], change.item).reverse(change)
        if reverse is None:
            raise Refused(f"There is no way back: {change.no_undo}")
        changes.append(reverse)
    return Plan(f"Undo: {done.summary}", tuple(changes), "Puts back what was there before.")


def _tool(registry: Registry, service: Service, call: Call) -> Tool:
    tool = registry.tool(call.tool)
    if tool.kind != service.kind:
        raise CockpitError(
            f"{tool.name} is for {tool.kind}, and {service.name} is not.", f"Name a {tool.kind} service."
        )
    return tool
