"""Copies the log, puts a copy back, and removes what is old."""

from __future__ import annotations

import sys
import time
from argparse import Namespace

from cockpit.cli import output
from cockpit.cli.exits import OK, TEMPORARY, UsageError
from cockpit.cli.opening import log_of, settings_of, writing
from cockpit.model import CockpitError


def backup(arguments: Namespace) -> int:
    """Copy the log and its key while cockpit runs, and check the copy."""
    from cockpit.store.backup import back_up, key_of

    settings = settings_of(arguments)
    copied = back_up(log_of(settings), arguments.file)
    output.line(f"{arguments.file} holds the log up to event {copied.events}, and is whole.")
    output.talk(f"Its key is {key_of(arguments.file)}: who has both can write a log that passes for yours.")
    return OK


def restore(arguments: Namespace) -> int:
    """Put a copy in the log's place, and keep what was there."""
    from cockpit.lock import lock_holder, locked
    from cockpit.store.backup import restore as put_back

    settings = settings_of(arguments)
    with locked(settings) as ours:
        if not ours:
            output.talk(f"cockpit: Process {lock_holder(settings)} acts on {log_of(settings)}. End it first.")
            return TEMPORARY
        copied = put_back(arguments.file, log_of(settings), settings.operator)
    output.line(f"The log is put back up to event {copied.events}.")
    if copied.aside:
        output.talk(f"What was there is kept in {copied.aside}.")
    for anchor in settings.anchors:
        output.talk(f"The anchor {anchor} knows of what the copy lacks: move it away, and a new one is begun.")
    return OK


def prune(arguments: Namespace) -> int:
    """Remove what came to an end long ago; the rest can still be proven whole."""
    settings = settings_of(arguments)
    if not log_of(settings).exists():
        raise CockpitError(f"There is no change log at {log_of(settings)}.", "Start the agent with: cockpit")
    before = time.time() - arguments.older
    with writing(settings) as store:
        planned = store.prune(before, settings.operator, dry_run=True)
        if not planned.until:
            output.line("Nothing that old has come to an end.")
            return OK
        rows = ", ".join(f"{count} of {table}" for table, count in planned.rows.items())
        if arguments.plan_only:
            output.line(f"Events up to {planned.until} would go, rows in all: {rows}.")
            return OK
        if not arguments.yes:
            _agree(f"Type yes to remove, for good, {rows}:")
        pruned = store.prune(before, settings.operator)
    output.line(f"Events up to {pruned.until} are removed, and what belongs to them.")
    return OK


def _agree(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("Nobody can be asked here.", "Add --yes, or see what would go with --dry-run.")
    if output.ask(question) != "yes":
        raise CockpitError("Nothing was removed.", "")
