"""Service control: start, stop and restart through systemd or configured commands, never through a shell."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Sequence

from cockpit.model import CockpitError, Service, Unexpected, Unreachable
from cockpit.toolkit import Option

UNIT = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9@._:-]{0,254}")
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
SYSTEMD = {"status": "is-active"}

OPTIONS = (
    Option("unit", str, "The systemd unit that runs it, such as postgresql.service."),
    Option("control", dict, "Commands instead of a unit: start, stop, restart and status, each a list of arguments."),
)
"""The options of every kind whose service can be started and stopped."""


class ServiceControl:
    """How one service is started, stopped and asked whether it runs.

    Args:
        service: the service; its options `unit` or `control` say how.

    Raises:
        CockpitError: when neither is configured, or what is configured cannot be a command.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.unit = service.options.get("unit")
        self.commands = service.options.get("control")
        if self.unit is not None and not (isinstance(self.unit, str) and UNIT.fullmatch(self.unit)):
            raise CockpitError(f"The unit of {service.name} is not the name of a systemd unit.", self._fix)
        if not self.unit and not isinstance(self.commands, dict):
            raise CockpitError(f"{service.name} has no service control.", self._fix)

    @property
    def _fix(self) -> str:
        return f"Set 'unit' or 'control' under [services.{self.service.name.replace('/', '.')}]."

    def argv(self, verb: str) -> Sequence[str]:
        """The command for `start`, `stop`, `restart` or `status`. Raises CockpitError when it is not configured."""
        if isinstance(self.unit, str):
            return ("systemctl", "--no-ask-password", SYSTEMD.get(verb, verb), "--", self.unit)
        argv = self.commands.get(verb) if isinstance(self.commands, dict) else None
        if not isinstance(argv, list | tuple) or not argv or not all(isinstance(part, str) for part in argv):
            raise CockpitError(f"{self.service.name} has no command to {verb} it.", self._fix)
        return [str(part) for part in argv]

    def step(self, verb: str) -> str:
        """The command as an operator would type it."""
        return shlex.join(self.argv(verb))

    async def running(self) -> bool:
        """Whether the service manager says that it runs (exit status 0). Raises Unreachable."""
        code, _ = await self._execute("status")
        return code == 0

    async def run(self, verb: str) -> None:
        """Start, stop or restart it. Raises Unexpected with what the command printed when it fails."""
        code, printed = await self._execute(verb)
        if code != 0:
            raise Unexpected(f"'{self.step(verb)}' ended with status {code}: {printed or 'no output'}.", "Try it by hand.")

    async def _execute(self, verb: str) -> tuple[int, str]:
        argv = self.argv(verb)
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=ENVIRONMENT,
            )
        except OSError as error:
            raise Unreachable(f"'{argv[0]}' cannot be run: {error.strerror}.", self._fix) from error
        try:
            printed, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return process.returncode or 0, printed.decode(errors="replace").strip()[-500:]
