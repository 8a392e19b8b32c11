"""An incident as Markdown, for a report or a ticket."""

from __future__ import annotations

from argparse import Namespace

from cockpit.agent.communicator import markdown
from cockpit.cli import output
from cockpit.cli.exits import OK
from cockpit.cli.opening import reading, settings_of
from cockpit.model import CockpitError


def export(arguments: Namespace) -> int:
    """Print an incident as Markdown, in which what strangers wrote stays literal."""
    with reading(settings_of(arguments, whole=False)) as reader:
        if reader is None:
            raise CockpitError(
                f"There is no incident {arguments.id}: nothing was ever recorded.", "Start the agent with: cockpit"
            )
        output.line(markdown(reader, arguments.id).rstrip())
    return OK
