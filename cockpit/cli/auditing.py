"""Checks the change log against its key and the heads that were written elsewhere."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from cockpit.cli import output
from cockpit.cli.exits import FAILED, OK
from cockpit.cli.opening import log_of, settings_of
from cockpit.model import CockpitError
from cockpit.store.audit import verify as verified
from cockpit.store.reader import Reader
from cockpit.store.store import HEAD, KEY


def verify(arguments: Namespace) -> int:
    """Find every edited, removed, inserted or cut-off row; status 1 when there is one."""
    settings = settings_of(arguments)
    path = log_of(settings)
    if not path.exists():
        raise CockpitError(f"There is no change log at {path}.", "Start the agent with: cockpit")
    problems = verified(path, path.with_name(KEY), (path.with_name(HEAD), *settings.anchors, *arguments.anchor))
    if arguments.json:
        output.as_json(problems=[asdict(problem) for problem in problems], whole=not problems)
    elif problems:
        output.table(("row", "what is wrong"), [(problem.row, problem.what) for problem in problems])
    else:
        with Reader(path) as reader:
            events, pruned = reader.last_event(), reader.pruned()
        output.line(f"The log is whole. Events that fit each other, their rows and the anchors: {events - pruned}.")
        if pruned:
            output.line(f"The events up to {pruned} were pruned, as the log itself proves.")
    return FAILED if problems else OK
