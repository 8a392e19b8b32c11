"""The lab's commands: a homelab of real servers, and what can go wrong in it."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from cockpit.cli import output
from cockpit.cli.exits import OK
from cockpit.cli.opening import settings_of
from cockpit.lab import catalogue
from cockpit.lab.demo import demo
from cockpit.lab.lab import Lab
from cockpit.lab.menu import Faults
from cockpit.model import CockpitError


def up(arguments: Namespace) -> int:
    """Start a lab without a screen, and end it when interrupted."""
    asyncio.run(_up(arguments))
    return OK


def faults(arguments: Namespace) -> int:
    """List what can go wrong."""
    found = catalogue.faults().values()
    if arguments.json:
        output.as_json(
            faults=[
                {
                    "name": fault.name,
                    "service": fault.service,
                    "title": fault.title,
                    "runbook": fault.runbook,
                    "remedy": fault.remedy,
                }
                for fault in found
            ]
        )
    else:
        output.table(("fault", "service", "what happens"), [(each.name, each.service, each.title) for each in found])
    return OK


def status(arguments: Namespace) -> int:
    """List the servers of the running lab."""
    lab = _running()
    found = [(name, lab.pid(name)) for name in lab.servers]
    if arguments.json:
        output.as_json(folder=str(lab.folder), servers=[{"name": name, "pid": pid} for name, pid in found])
    else:
        output.table(("server", "state", "process"), [(name, "up" if pid else "down", pid) for name, pid in found])
    return OK


def inject(arguments: Namespace) -> int:
    """Make a fault happen in the running lab."""
    asyncio.run(Faults(_running(), catalogue.faults()).inject(arguments.fault))
    output.talk(f"{arguments.fault} is injected. Take it away with: cockpit lab clear {arguments.fault}")
    return OK


def clear(arguments: Namespace) -> int:
    """Take a fault away again."""
    asyncio.run(Faults(_running(), catalogue.faults()).clear(arguments.fault))
    output.talk(f"{arguments.fault} is cleared.")
    return OK


def _running() -> Lab:
    lab = catalogue.find_lab()
    if lab is None:
        raise CockpitError("No lab runs.", "Start one with: cockpit --demo  or  cockpit lab up")
    return lab


async def _up(arguments: Namespace) -> None:
    async with demo(settings_of(arguments), output.talk) as (settings, _):
        for service in settings.services:
            output.line(service.name)
        output.talk("The lab runs until you press ctrl+c.")
        await asyncio.Event().wait()
