"""Runs the daemon."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from cockpit.cli import crash
from cockpit.cli.exits import OK, TEMPORARY, UsageError, status_of
from cockpit.cli.opening import settings_of
from cockpit.lock import Held, is_free
from cockpit.model import CockpitError
from cockpit.settings import Settings

if TYPE_CHECKING:
    from cockpit.toolkit import Registry


def daemon(arguments: Namespace) -> int:
    """Act, ask and tell without a screen until SIGTERM; SIGHUP reads the config again."""
    if arguments.demo or arguments.readonly or arguments.chaos:
        raise UsageError("--daemon goes with a homelab of your own.", "Leave --demo, --chaos and --readonly out.")
    from cockpit.serve.journal import Journal, Level, read_by_systemd

    crash.install()
    os.umask(0o077)

    def configured() -> tuple[Settings, Registry]:
        from cockpit.cli.opening import ready

        return ready(settings_of(arguments))

    journal = Journal(
        sys.stderr,
        crash.redactor,
        as_json=arguments.log_format == "json",
        prefixed=read_by_systemd(sys.stderr, os.environ),
    )
    try:
        settings = settings_of(arguments)
        if not is_free(settings):  # before all that takes long to load
            raise Held(settings)
        from cockpit.serve.daemon import run
        from cockpit.serve.service_manager import ServiceManager

        run(configured, crash.redactor, journal, ServiceManager.of(os.environ))
    except CockpitError as error:
        journal.say(Level.ERROR, str(error))
        return TEMPORARY if isinstance(error, Held) else status_of(error)
    return OK
