"""Runs one command: parses, dispatches, and turns every error into one sentence and an exit status."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from cockpit.cli import exits, output
from cockpit.cli.parser import parser
from cockpit.model import CockpitError


def run(argv: Sequence[str]) -> int:
    """Carry out a command line and return its exit status; never raises."""
    arguments = parser(argv).parse_args(argv)
    try:
        status = _command(arguments.does)(arguments)
        sys.stdout.flush()
    except CockpitError as error:
        output.talk(f"cockpit: {error}")
        return exits.status_of(error)
    except EOFError:
        output.talk("\ncockpit: Nobody answered, so nothing was done.")
        return exits.INTERRUPTED
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has gone; without this the interpreter complains once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.IO
    except Exception as error:  # the outermost edge: a bug, told in one sentence
        from cockpit.cli.crash import report

        return report(error)
    return status


def _command(does: str) -> Callable[..., int]:
    """The function that carries a command out, its modules loaded.

    What they are made of stays until the end: looking through it for garbage is a tenth of the screen's start.
    """
    module, _, name = does.partition(":")
    gc.disable()
    try:
        command: Callable[..., int] = getattr(import_module(f"cockpit.cli.{module}"), name)
    finally:
        gc.freeze()
        gc.enable()
    return command
