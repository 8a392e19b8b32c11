"""The machine itself as a service of the lab: a disk folder with a quota, and an application that logs there."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from cockpit.lab.lab import ROOT, Lab
from cockpit.lab.logwriter import used
from cockpit.lab.parts import Fault, Launch, Server
from cockpit.model import Service

SERVICE = "host/local"
QUOTA_MB = 16
MEGABYTE = 1_000_000


async def _prepare(lab: Lab) -> Launch:
    lab.path("disk")
    lab.path("app")
    argv = [sys.executable, "-m", "cockpit.lab.logwriter", str(lab.folder), str(QUOTA_MB * MEGABYTE)]
    return Launch(argv, {"PYTHONPATH": str(ROOT)})


async def _ready(lab: Lab) -> bool:
    pid_file = lab.path("app") / "app.pid"
    return pid_file.exists() and pid_file.read_text().strip() == str(lab.pid("app"))


def _debug(lab: Lab) -> Path:
    return lab.path("app") / "debug"


async def _leave_debug_on(lab: Lab) -> None:
    _debug(lab).touch()


async def _turn_debug_off(lab: Lab) -> None:
    _debug(lab).unlink(missing_ok=True)
    await lab.stop("app")
    for file in lab.path("disk").iterdir():
        await asyncio.to_thread(file.unlink)
    await lab.start("app")


async def _has_room(lab: Lab) -> bool:
    return used(lab.path("disk")) + MEGABYTE <= QUOTA_MB * MEGABYTE


async def _stop_app(lab: Lab) -> None:
    await lab.stop("app")


async def _start_app(lab: Lab) -> None:
    await lab.start("app")


async def _app_runs(lab: Lab) -> bool:
    return lab.pid("app") is not None and await _ready(lab)


def _services(lab: Lab) -> list[Service]:
    disk = lab.path("disk")
    options: dict[str, Any] = {
        "folders": {"lab": {"path": str(disk), "quota_mb": QUOTA_MB}},
        "logs": {"app": [str(disk / "*.log")]},
        "units": {"app": {"control": lab.control("app"), "pid_file": str(lab.path("app") / "app.pid")}},
    }
    return [Service(SERVICE, options, interval=2.0, timeout=2.0)]


SERVERS = (Server("app", _prepare, _ready, services=_services),)

FAULTS = (
    Fault(
        "host-log-fills-disk",
        "An application with debug logging left on fills its disk folder",
        SERVICE,
        _leave_debug_on,
        _turn_debug_off,
        _has_room,
        "host-log-fills-disk",
        "rotate_logs",
    ),
    Fault(
        "host-service-stopped",
        "A service of this machine has stopped",
        SERVICE,
        _stop_app,
        _start_app,
        _app_runs,
        "host-service-stopped",
        "start_service",
    ),
)
