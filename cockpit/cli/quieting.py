"""Mutes services, lists mutes, and takes in signs of life."""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import asdict

from cockpit.cli import output
from cockpit.cli.exits import FAILED, OK, UsageError
from cockpit.cli.opening import reading, settings_of, writing
from cockpit.model import Incident
from cockpit.settings import Settings


def mute(arguments: Namespace) -> int:
    """Tell nobody of a service for some time, and change nothing on it unasked."""
    settings = settings_of(arguments)
    if arguments.time is None and not arguments.until_healthy:
        raise UsageError("A mute has to end some time.", "Add a time such as 2h, or --until-healthy.")
    matcher = _known(settings, arguments.service)
    until = None if arguments.time is None else time.time() + arguments.time
    with writing(settings) as store:
        made = store.mute(matcher, until, settings.operator, arguments.why, until_healthy=arguments.until_healthy)
    from widgets.figures import lasted

    length = f" for {lasted(arguments.time)}" if arguments.time else ""
    output.talk(f"{made.matcher} is muted{length}{' until it is healthy' if made.until_healthy else ''}.")
    return OK


def unmute(arguments: Namespace) -> int:
    """Tell of a service again."""
    settings = settings_of(arguments)
    with writing(settings) as store:
        ended = store.unmute(arguments.service, settings.operator)
    output.talk(f"{arguments.service} is no longer muted." if ended else f"{arguments.service} was not muted.")
    return OK if ended else FAILED


def mutes(arguments: Namespace) -> int:
    """List the mutes that are in force."""
    now = time.time()
    with reading(settings_of(arguments, whole=False)) as reader:
        found = reader.mutes(now) if reader else []
    if arguments.json:
        output.as_json(mutes=[asdict(each) for each in found])
        return OK
    from widgets.figures import lasted

    output.table(
        ("what", "by", "ends", "why"),
        [
            (
                each.matcher,
                each.by,
                " or ".join(
                    [
                        *([f"in {lasted(each.ends_at - now)}"] if each.ends_at else []),
                        *(["when healthy"] if each.until_healthy else []),
                    ]
                ),
                each.why,
            )
            for each in found
        ],
    )
    if not found:
        output.talk("Nothing is muted.")
    return OK


def heartbeat(arguments: Namespace) -> int:
    """Take in a sign of life; the agent sees it at once."""
    with writing(settings_of(arguments)) as store:
        store.heartbeats.beat(arguments.name, time.time())
    return OK


def _known(settings: Settings, wanted: str) -> str:
    """What is to be muted, if it is anything. Raises UsageError naming what comes nearest."""
    what, colon, name = wanted.partition(":")
    services = {service.name for service in settings.services} | {each.service for each in settings.heartbeats}
    kinds = {service.partition("/")[0] for service in services}
    tags = {tag for service in settings.services for tag in service.tags}
    known = {"kind": kinds, "tag": tags}.get(what) if colon else services | _open(settings)
    if known is None or name in known or (not colon and wanted in known):
        return wanted
    shown = [f"{what}:{each}" if colon else each for each in sorted(known)]
    from difflib import get_close_matches

    close = get_close_matches(wanted, shown, n=1)
    fix = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(shown) or 'none'}."
    raise UsageError(f"There is no '{wanted}' to mute.", fix)


def _open(settings: Settings) -> set[str]:
    """The services of open incidents, which others may have reported."""
    with reading(settings) as reader:
        incidents: list[Incident] = reader.incidents(unresolved_only=True) if reader else []
    return {incident.service for incident in incidents}
