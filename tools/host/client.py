"""Clients of this machine: one that looks, and one that may change what its config names."""

from __future__ import annotations

import asyncio
import glob
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from cockpit.model import CockpitError, Denied, Unexpected
from cockpit.toolkit import Client
from tools.control import ServiceControl, ServiceStatus
from tools.host.census import start_ticks

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Folder:
    """A folder that the config names."""

    name: str
    path: Path
    quota_bytes: int
    """0 when it has no quota of its own."""
    temporary: bool
    """Whether old files in it may be deleted."""


@dataclass(frozen=True)
class LogFile:
    """A log of a configured set: where it stands below the set's own folder."""

    set: str
    root: Path
    """The part of the pattern that the config spells out."""
    below: str

    @property
    def path(self) -> Path:
        """The whole path."""
        return self.root / self.below


class HostReader(Client):
    """Reads this machine: /proc, statvfs, and the folders, logs and units that the config names."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that reads files in a thread; its OSErrors leave in our words."""
        try:
            return await asyncio.to_thread(function, *args, **kwargs)
        except PermissionError as error:
            raise Denied(
                f"{error.filename or 'That'}: {error.strerror}.", "Run cockpit under an account that may."
            ) from error
        except OSError as error:
            raise Unexpected(f"{error.filename or 'That'}: {error.strerror}.", "Look at that path.") from error

    def folders(self) -> list[Folder]:
        """The configured folders. Raises CockpitError for one without an absolute path."""
        return [self._folder(name, entry) for name, entry in self._table("folders").items()]

    def folder(self, name: str) -> Folder:
        """The configured folder of that name. Raises CockpitError."""
        return self._folder(name, self._entry("folders", name))

    def logs(self, name: str = "") -> list[LogFile]:
        """The files of one log set, or of all, that are there now. Raises CockpitError for an unknown set."""
        sets = {name: self._entry("logs", name)} if name else self._table("logs")
        return [file for set_name, patterns in sets.items() for file in self._files(set_name, patterns)]

    def units(self) -> list[str]:
        """The names of the configured services of this machine."""
        return sorted(self._table("units"))

    async def running(self, unit: str) -> bool:
        """Whether that service runs: by its pid file where it has one, else by its service manager."""
        entry = self._entry("units", unit)
        pid_file = entry.get("pid_file") if isinstance(entry, Mapping) else None
        if isinstance(pid_file, str):
            return bool(await self.call(_process_in, Path(pid_file)))
        return await ServiceStatus(self.service, ("units", unit)).running()

    async def identity(self, unit: str) -> str:
        """What tells this run of that service from the next; empty while it does not run."""
        entry = self._entry("units", unit)
        pid_file = entry.get("pid_file") if isinstance(entry, Mapping) else None
        if isinstance(pid_file, str):
            return await self.call(_process_in, Path(pid_file))
        return await ServiceStatus(self.service, ("units", unit)).identity()

    def step(self, unit: str, verb: str) -> str:
        """The command that starts, stops or restarts that service. Raises CockpitError when there is none."""
        return ServiceStatus(self.service, ("units", unit)).step(verb)

    def _table(self, option: str) -> Mapping[str, Any]:
        table = self.service.options.get(option) or {}
        if not isinstance(table, Mapping):
            raise self._wrong(option, "a table", table)
        return table

    def _entry(self, option: str, name: str) -> Any:
        table = self._table(option)
        if name not in table:
            known = ", ".join(sorted(table)) or "none"
            raise CockpitError(f"{self.service.name} has nothing of that name under '{option}'.", f"It has: {known}.")
        return table[name]

    def _folder(self, name: str, entry: Any) -> Folder:
        options = entry if isinstance(entry, Mapping) else {"path": entry}
        path, quota = options.get("path"), options.get("quota_mb", 0)
        if not isinstance(path, str) or not path.startswith("/"):
            raise self._wrong(f"folders.{name}.path", "an absolute path", path)
        if isinstance(quota, bool) or not isinstance(quota, int | float):
            raise self._wrong(f"folders.{name}.quota_mb", "a number", quota)
        return Folder(name, Path(path), int(quota * 1_000_000), options.get("temporary") is True)

    def _files(self, name: str, patterns: Any) -> list[LogFile]:
        listed = [patterns] if isinstance(patterns, str) else patterns
        if not isinstance(listed, list | tuple) or not all(isinstance(one, str) and one[:1] == "/" for one in listed):
            raise self._wrong(f"logs.{name}", "a list of absolute paths", patterns)
        found = {}
        for pattern in listed:
            root = _spelled_out(Path(pattern))
            for path in sorted(root.glob(str(Path(pattern).relative_to(root)))):
                if path.is_file() and not path.is_symlink():
                    found[path] = LogFile(name, root, str(path.relative_to(root)))
        return list(found.values())


class HostWriter(HostReader):
    """Changes this machine; the executor alone opens one."""

    async def control(self, unit: str, verb: str) -> None:
        """Start, stop or restart a configured service. Raises Unexpected when the command fails."""
        await ServiceControl(self.service, ("units", unit)).run(verb)

    async def signal(self, pid: int, started: int, number: signal.Signals) -> None:
        """Send a signal to exactly that process; one that is gone by now is no error."""
        await self.call(_signal, pid, started, number)


def _process_in(pid_file: Path) -> str:
    """Which process a pid file names; empty when that is gone or a zombie."""
    import psutil

    try:
        text, written = pid_file.read_text().strip(), pid_file.stat().st_mtime
        process = psutil.Process(int(text))
        # A process that started after the file was written has only inherited the pid.
        if process.status() == psutil.STATUS_ZOMBIE or process.create_time() > written + 1:
            return ""
    except (FileNotFoundError, ValueError, OverflowError, psutil.NoSuchProcess):
        return ""
    return f"process {process.pid}, started at tick {start_ticks(process.pid)}"


def _signal(pid: int, started: int, number: signal.Signals) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # The descriptor holds on to one process; only then is it certain whose start time is compared.
        if start_ticks(pid) == started:
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def _spelled_out(pattern: Path) -> Path:
    """The folders of a pattern before its first wildcard."""
    parent = pattern.parent
    while glob.has_magic(str(parent)):
        parent = parent.parent
    return parent
