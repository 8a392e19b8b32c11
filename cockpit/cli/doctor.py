"""Checks everything that cockpit needs, and says in one line how to mend what is wrong."""

from __future__ import annotations

import asyncio
import os
import stat
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cockpit import ownership
from cockpit.cli import output
from cockpit.cli.crash import redactor
from cockpit.cli.exits import FAILED, OK
from cockpit.cli.opening import log_of, settings_of
from cockpit.files import data_file
from cockpit.model import CockpitError, Level, Service
from cockpit.settings import Settings, options_of, with_options
from cockpit.text import SHORTEST_SECRET, counted
from cockpit.toolkit import Kind, Registry, probe


@dataclass(frozen=True)
class Check:
    """What was checked, what was found, and how to mend it; `fix` is empty where nothing is wrong."""

    what: str
    found: str
    fix: str = ""
    ok: bool = True


def examine(arguments: Namespace) -> int:
    """Check config, log, runbooks and each service; status 1 when something is wrong."""
    checks = list(_checks(arguments))
    if arguments.json:
        output.as_json(checks=[asdict(check) for check in checks], ok=all(check.ok for check in checks))
    else:
        for check in checks:
            output.line(f"{'✓' if check.ok else '✗'} {check.what}: {check.found}")
            if check.fix:
                output.line(f"  → {check.fix}")
    return OK if all(check.ok for check in checks) else FAILED


def wrong(what: str, error: CockpitError) -> Check:
    """The check that an error answers."""
    return Check(what, redactor.redact(error.what), redactor.redact(error.fix), ok=False)


def _checks(arguments: Namespace) -> Iterator[Check]:
    try:
        settings = settings_of(arguments)
    except CockpitError as error:
        yield wrong("config", error)
        return
    yield _config(settings)
    yield _folder(settings.data_folder)
    yield _log(settings)
    registry = Registry.discover()
    for name, why in registry.broken.items():
        yield Check(f"plug-in {name}", why, "Correct it, or uninstall it.", ok=False)
    yield _secrets(settings, registry)
    yield from _runbooks(settings, registry)
    if settings.models:
        from cockpit.cli import model_checks

        yield from asyncio.run(model_checks.checks(settings.models))
    yield from asyncio.run(_services(settings, registry))


def _config(settings: Settings) -> Check:
    if not settings.sources:
        return Check("config", "there is none", "Write one with: cockpit init", ok=False)
    services = counted(len(settings.services), "service")
    return Check("config", f"{', '.join(map(str, settings.sources))} with {services}")


def _folder(folder: Path) -> Check:
    """Whether nobody else can look into the folder with the log and its key."""
    if not folder.exists():
        return Check("data folder", f"{folder} will be made at the first start")
    if fault := _foreign(folder):
        return Check("data folder", *fault, ok=False)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        return Check(
            "data folder",
            f"{folder} belongs to another account",
            f"Type: sudo chown -R {os.geteuid()} '{folder}'",
            ok=False,
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        return Check("data folder", f"{folder} is open to others", f"Type: chmod 700 '{folder}'", ok=False)
    for file in sorted(folder.iterdir()):
        if file.is_file() and stat.S_IMODE(file.lstat().st_mode) & 0o077:
            return Check("data folder", f"{file} is open to others", f"Type: chmod 600 '{file}'", ok=False)
    return Check("data folder", f"{folder} is yours alone")


def _foreign(folder: Path) -> ownership.Fault | None:
    """What keeps an agent from starting, of the folder and of the files that are written in it."""
    from cockpit.store.connection import BESIDE
    from cockpit.store.store import HEAD, KEY

    log = folder / "cockpit.db"
    names = (log.name, *(log.name + ending for ending in BESIDE), KEY, HEAD, "engine.lock")
    faults = (ownership.of_file(folder / name, written_in_place=True) for name in names)
    return ownership.of_folder(folder) or next(filter(None, faults), None)


def _secrets(settings: Settings, registry: Registry) -> Check:
    """Whether the secrets that no service has can be had, and by nobody else."""
    try:
        with_options(replace(settings, services=()), registry, redactor)
    except CockpitError as error:
        return wrong("secrets", error)
    return Check("secrets", "can be read, and by nobody else")


def _log(settings: Settings) -> Check:
    from cockpit.store.audit import verify
    from cockpit.store.store import HEAD, KEY

    path = log_of(settings)
    if not path.exists():
        return Check("change log", "will be made at the first start")
    if _foreign(settings.data_folder):
        return Check("change log", "is not looked at: others could have put it there", "Mend its folder.", ok=False)
    try:
        problems = verify(path, path.with_name(KEY), (path.with_name(HEAD), *settings.anchors))
    except CockpitError as error:
        return wrong("change log", error)
    if problems:
        return Check(
            "change log", f"{problems[0].row}: {problems[0].what}", "See all of it: cockpit audit verify", ok=False
        )
    return Check("change log", "is whole")


def _runbooks(settings: Settings, registry: Registry) -> Iterator[Check]:
    from cockpit.agent.runbooks import load

    folders = (data_file("runbooks"), settings.runbook_folder)
    library = load(folders, {name: tool.writes for name, tool in registry.tools.items()})
    books, conditions = counted(len(library.runbooks), "runbook"), counted(len(library.conditions), "condition")
    yield Check("runbooks", f"{books} and {conditions}")
    for broken in library.broken:
        yield Check("runbooks", str(broken), "Correct that line.", ok=False)


async def _services(settings: Settings, registry: Registry) -> list[Check]:
    """What each service's options, driver and probe say; all services at once."""
    results = await asyncio.gather(*(_service(service, settings, registry) for service in settings.services))
    return [check for checks in results for check in checks]


async def _service(service: Service, settings: Settings, registry: Registry) -> list[Check]:
    try:
        kind = registry.kind(service.kind)
        complete = options_of(service, kind, settings.origins, redactor)
    except CockpitError as error:
        return [wrong(service.name, error)]
    return [*_weak_secrets(complete, kind), await _probed(complete, kind)]


def _weak_secrets(service: Service, kind: Kind) -> list[Check]:
    short = [
        each.name
        for each in kind.options
        if each.secret and 0 < len(str(service.options.get(each.name, ""))) < SHORTEST_SECRET
    ]
    fix = "Choose one of 12 characters or more."
    return [Check(service.name, f"its {name} is too short to be kept out of logs", fix, ok=False) for name in short]


async def _probed(service: Service, kind: Kind) -> Check:
    health = await probe(kind, service)
    found = redactor.redact(f"{health.level}, {health.summary}")
    if health.level is Level.UNKNOWN:
        return Check(service.name, found, "Check its address, credentials and rights in the config.", ok=False)
    if health.level is Level.DOWN and not service.expected_down:
        return Check(service.name, found, "Check that it runs, and its address in the config.", ok=False)
    return Check(service.name, found)
