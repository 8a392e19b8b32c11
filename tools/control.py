"""Service control: start, stop and restart through systemd or configured commands, never through a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from cockpit.model import JSON, CockpitError, Service, Unexpected, Unreachable
from cockpit.toolkit import Option
from tools.command import Output, execute

UNIT = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9@._:-]{0,254}")
SYSTEMD = {"status": "is-active"}
BOOTED = Path("/run/systemd/system")
NO_SUCH_UNIT = 4
"""The exit status of `systemctl is-active` for a unit that systemd does not know."""
TIME_LIMIT = 120.0
"""Seconds that any of the commands may take."""

OPTIONS = (
    Option("unit", str, "The systemd unit that runs it, such as postgresql.service."),
    Option("control", dict, "Commands instead of a unit: start, stop, restart and status, each a list of arguments."),
)
"""The options of every kind whose service can be started and stopped."""


class ServiceStatus:
    """How one service is asked whether it runs, and with which commands it would be started and stopped.

    Args:
        service: the service; its options `unit` or `control` say how.
        part: the option table and name of something beside the service, such as ("backends", "shop"),
            which says how instead.

    Raises:
        CockpitError: when neither is configured, or what is configured cannot be a command.
    """

    def __init__(self, service: Service, part: tuple[str, str] | None = None) -> None:
        self.service = service
        self.name = "/".join((service.name, *(part or ())[1:]))
        self._table = ".".join((f"services.{service.name.replace('/', '.')}", *(part or ())))
        options = _options(service, part)
        self.unit = options.get("unit")
        self.commands = options.get("control")
        if self.unit is not None and not (isinstance(self.unit, str) and UNIT.fullmatch(self.unit)):
            raise CockpitError(f"The unit of {self.name} is not the name of a systemd unit.", self._fix)
        if not self.unit and not isinstance(self.commands, dict):
            raise CockpitError(f"{self.name} has no service control.", self._fix)

    @property
    def _fix(self) -> str:
        return f"Set 'unit' or 'control' under [{self._table}]."

    def argv(self, verb: str) -> Sequence[str]:
        """The command for `start`, `stop`, `restart` or `status`. Raises CockpitError when it is not configured."""
        if isinstance(self.unit, str):
            return ("systemctl", "--no-ask-password", SYSTEMD.get(verb, verb), "--", self.unit)
        argv = self.commands.get(verb) if isinstance(self.commands, dict) else None
        if not isinstance(argv, list | tuple) or not argv or not all(isinstance(part, str) for part in argv):
            raise CockpitError(f"{self.name} has no command to {verb} it.", self._fix)
        return [str(part) for part in argv]

    def step(self, verb: str) -> str:
        """The command as an operator would type it."""
        return shlex.join(self.argv(verb))

    async def running(self) -> bool:
        """Whether the service manager says that it runs (exit status 0).

        Raises Unreachable when the manager cannot be asked, Unexpected when it does not know the service.
        """
        output = await self._execute("status")
        if self.unit and output.status == NO_SUCH_UNIT:
            raise Unexpected(f"systemd knows no unit '{self.unit}'.", self._fix)
        return output.status == 0

    async def identity(self) -> str:
        """What tells this run of the service from the one after a restart; empty while it does not run.

        It is systemd's InvocationID, or what the configured status command prints, which ought to name a process.
        Raises Unreachable and Unexpected as `running` does.
        """
        if self.unit:
            if not await self.running():
                return ""
            argv = ("systemctl", "show", "--property=InvocationID", "--value", "--", str(self.unit))
            return (await execute(argv, seconds=TIME_LIMIT)).text.strip()
        output = await self._execute("status")
        return "" if output.status else output.text.strip()[:500]

    async def _execute(self, verb: str) -> Output:
        argv = self.argv(verb)
        if self.unit and not systemd_runs():
            raise Unreachable(f"systemd does not run on this machine, and {self.name} names a unit.", self._fix)
        return await execute(argv, seconds=TIME_LIMIT)


class ServiceControl(ServiceStatus):
    """How one service is started and stopped; only what applies a change uses it."""

    async def run(self, verb: str) -> None:
        """Start, stop or restart it. Raises Unexpected with what the command printed when it fails."""
        output = await self._execute(verb)
        if output.status != 0:
            raise Unexpected(
                f"'{self.step(verb)}' ended with status {output.status}: {output.said or 'no output'}.",
                "Try it by hand.",
            )


def _options(service: Service, part: tuple[str, str] | None) -> Mapping[str, JSON]:
    if part is None:
        return service.options
    table = service.options.get(part[0])
    entry = table.get(part[1]) if isinstance(table, Mapping) else None
    if not isinstance(entry, Mapping):
        known = ", ".join(table) if isinstance(table, Mapping) and table else "none"
        raise CockpitError(f"{service.name} has nothing called '{part[1]}' under '{part[0]}'.", f"It has: {known}.")
    return entry


def systemd_runs() -> bool:
    """Whether systemd is this machine's service manager."""
    return BOOTED.is_dir()
