"""Finds out the number of a person in Telegram, by a code that the person sends to the bot."""

from __future__ import annotations

import json
import secrets
import sys
import time
from argparse import Namespace

from cockpit.cli import output
from cockpit.cli.exits import FAILED, OK, UsageError
from cockpit.cli.opening import log_of, reading, settings_of, writing
from cockpit.model import CockpitError
from cockpit.settings import Settings
from cockpit.settings.telegram import NAME
from cockpit.store.telegram import INVITATION
from cockpit.text import counted

LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without those that are taken for each other."""
POLL = 0.25


def enrol(arguments: Namespace) -> int:
    """Print a code, wait for somebody to send it to the bot alone, and print what the config needs of that person.

    A code gives nobody a right: it finds out a number, and whoever owns the config writes that down, or does not.
    So the config stays the one place that says who may do what.
    """
    settings = settings_of(arguments)
    _refuse(settings, arguments.name)
    code = "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4))
    until = time.time() + arguments.wait
    with writing(settings) as store:
        store.telegram.invite(code, settings.operator, until)
    try:
        left = counted(round(arguments.wait / 60), "minute")
        output.talk(f"{arguments.name} has {left} to send this to the bot, in a private chat:")
        output.line(code)
        sys.stdout.flush()
        found = _sent_by(settings, until)
    finally:
        with writing(settings) as store:
            store.remember(INVITATION, None)
    if found is None:
        output.talk("Nobody sent it in time; it is void now.")
        return FAILED
    _show(settings, arguments.name, *found)
    return OK


def _refuse(settings: Settings, name: str) -> None:
    if settings.telegram is None:
        raise CockpitError("There is no bot: the config has no table [telegram].", "Add it, with the bot's token.")
    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' is no name for a person.", "Write it like: cockpit telegram enrol Ada")
    if not log_of(settings).exists():
        raise CockpitError("Nobody listens to the bot.", "Start it first: cockpit --daemon")


def _sent_by(settings: Settings, until: float) -> tuple[int, str] | None:
    """The number of whoever sent the code, and what they call themselves; None when nobody did in time."""
    with reading(settings) as reader:
        assert reader is not None
        while time.time() < until:
            found = reader.state(INVITATION)
            if isinstance(found, dict) and isinstance(number := found.get("person"), int):
                return number, str(found.get("named"))
            time.sleep(POLL)
    return None


def _show(settings: Settings, name: str, number: int, named: str) -> None:
    assert settings.telegram is not None
    output.talk(f"It came from user {number}, who goes by {named}. Is that {name}? Then add this to the config:")
    if not settings.telegram.chat:
        output.line(f"[telegram]\nchat = {number}  # or a group's number, which is negative\n")
    output.line(f"[[telegram.users]]\nid = {number}\nname = {json.dumps(name)}")
    output.line('rights = ["see"]  # or more: "approve", "approve critical"')
    output.talk("The daemon reads it again on SIGHUP.")
