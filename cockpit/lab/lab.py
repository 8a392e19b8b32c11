"""The lab as a folder: its servers' ports, processes and data, usable from any process.

All that a lab is stands in its folder, so that `cockpit lab inject`, the service control
commands and a later clean-up work from other processes than the one that started it.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cockpit.lab import ports, processes
from cockpit.lab.parts import Launch, Server
from cockpit.model import CockpitError, Service

PREFIX = "cockpit-lab-"
READY_WITHIN = 15.0
ROOT = Path(__file__).parents[2]


class Lab:
    """A homelab of real servers in one folder.

    Args:
        folder: the lab's folder; `Lab.create` makes a new one.
        servers: the servers it has, in no order.
    """

    def __init__(self, folder: Path, servers: Sequence[Server]) -> None:
        self.folder = folder
        self.servers = {server.name: server for server in servers}

    @classmethod
    def create(cls, servers: Sequence[Server]) -> Lab:
        """A new lab in a new temporary folder, not yet started."""
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent_folder()))
        folder.chmod(0o755)  # a server under another account has to pass through
        _write(folder / "owner", processes.identity(os.getpid()))
        _write_control(folder)
        _write(folder / "modules", {server.name: server.prepare.__module__ for server in servers})
        return cls(folder, servers)

    @classmethod
    def with_server(cls, folder: Path, name: str) -> Lab:
        """The lab in that folder with one of its servers, its module alone loaded. Raises CockpitError."""
        module = (_read(folder / "modules") or {}).get(name)
        if module is None:
            raise CockpitError(
                f"The lab in {folder} has no server '{name}'.", "Look for its name in the service's options."
            )
        found: tuple[Server, ...] = importlib.import_module(str(module)).SERVERS
        return cls(folder, [server for server in found if server.name == name])

    async def up(self) -> None:
        """Start every server at once, then fill them. Raises CockpitError naming the one that does not start."""
        await _together(self.start(name) for name in self.servers)
        await _together(server.seed(self) for server in self.servers.values() if server.seed)

    async def down(self) -> None:
        """End every process of the lab and remove its folder; safe to call twice."""
        await asyncio.to_thread(sweep, self.folder)

    def services(self) -> list[Service]:
        """The services cockpit watches in this lab."""
        return [service for server in self.servers.values() for service in server.services(self)]

    def path(self, name: str) -> Path:
        """A server's own folder, made where it is missing."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def port(self, name: str) -> int:
        """A loopback port for that name: free when first asked for, the same ever after."""
        return ports.kept(self.folder / f"{name}.port")

    def control(self, name: str) -> dict[str, list[str]]:
        """The service control commands of a server, for a service's `control` option."""
        command = [str(self.folder / "control"), name]
        return {verb: [*command, verb] for verb in ("start", "stop", "restart", "status")}

    async def start(self, name: str) -> None:
        """Start a server unless it runs, and wait until it answers. Raises CockpitError when it does not."""
        async with self._turn(name):
            for _ in range(2):  # once more: a port may be held for a moment by who had it before
                if await self._started(name):
                    return
            said = self.log(name).read_text(errors="replace").strip().rpartition("\n")[2][-300:]
            raise CockpitError(
                f"The lab's {name} does not start: {said or 'it says nothing'}", f"Its log: {self.log(name)}"
            )

    async def stop(self, name: str) -> None:
        """Stop a server and wait until its process is gone."""
        async with self._turn(name):
            await self.release(name)

    async def restart(self, name: str) -> None:
        """Stop, then start."""
        await self.stop(name)
        await self.start(name)

    def hold(self, name: str, *argv: str) -> None:
        """Start a process that makes or holds a fault: `python -m cockpit.lab.<argv[0]> FOLDER <rest>`."""
        module, *rest = argv
        python = [sys.executable, "-m", f"cockpit.lab.{module}", str(self.folder), *rest]
        self.spawn(name, Launch(python, {"PYTHONPATH": str(ROOT)}), "SIGKILL")

    async def release(self, name: str) -> None:
        """End a process by its own stop signal; nothing happens when there is none."""
        await asyncio.to_thread(self._end, name)

    def log(self, name: str) -> Path:
        """Where a process of the lab writes what it prints."""
        return self.folder / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """The process id of a server or of what holds a fault, while that runs."""
        kept = _read(self.folder / f"{name}.process")
        return int(kept["pid"]) if kept and processes.alive(kept) else None

    def spawn(self, name: str, launch: Launch, stop_signal: str = "SIGTERM") -> None:
        """Start a process in a session of its own, and write down which it is and what stops it."""
        _write(
            self.folder / f"{name}.process",
            {**processes.spawn(launch, self.log(name), self.folder), "stop_signal": stop_signal},
        )

    async def _started(self, name: str) -> bool:
        server = self.servers[name]
        if self.pid(name) is None:
            self.spawn(name, await server.prepare(self), server.stop_signal)
        deadline = time.monotonic() + READY_WITHIN
        while not await server.ready(self):
            if self.pid(name) is None or time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.03)
        return True

    def _end(self, name: str) -> None:
        file = self.folder / f"{name}.process"
        if kept := _read(file):
            processes.end([(kept, str(kept["stop_signal"]))])
            file.unlink(missing_ok=True)

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncIterator[None]:
        """One start or stop of a server at a time, across processes."""
        with (self.folder / f"{name}.lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.02)
            yield


async def _together(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all at once; the first failure ends the others before it is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except* Exception as failed:
        raise failed.exceptions[0] from None


def parent_folder() -> Path:
    """Where labs are made: the temporary folder, unless accounts other than ours cannot pass through it."""
    chosen = Path(tempfile.gettempdir()).resolve()
    if all(folder.stat().st_mode & 0o001 for folder in (chosen, *chosen.parents)):
        return chosen
    return Path("/tmp") if os.geteuid() == 0 else chosen  # noqa: S108 - mkdtemp makes the folder itself, unguessable


def living() -> list[Path]:
    """The folders of this user's labs whose cockpit runs, newest first."""
    found = [folder for folder in _ours() if _owner_lives(folder) is True]
    return sorted(found, key=lambda folder: folder.stat().st_mtime, reverse=True)


def _write_control(folder: Path) -> None:
    """The lab's service control command, short enough to be read where it is shown as a step."""
    module = shlex.join([sys.executable, "-m", "cockpit.lab", "control", str(folder)])
    script = folder / "control"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {module} "$@"\n')
    script.chmod(0o755)


def sweep(folder: Path) -> None:
    """End every process of the lab in that folder, and remove the folder."""
    kept = [entry for file in folder.glob("*.process") if (entry := _read(file))]
    processes.end((entry, str(entry["stop_signal"])) for entry in kept)
    # One that was started in the instant its cockpit was killed is not written down, but marked.
    processes.end((one, "SIGKILL") for one in processes.marked(folder))
    shutil.rmtree(folder, ignore_errors=True)


def sweep_orphans() -> list[Path]:
    """End the labs whose cockpit is gone, such as after a SIGKILL; returns their folders."""
    orphans = [folder for folder in _ours() if _owner_lives(folder) is False]
    for folder in orphans:
        sweep(folder)
    return orphans


def _ours() -> list[Path]:
    found = []
    for folder in parent_folder().glob(f"{PREFIX}*"):
        try:
            if folder.lstat().st_uid == os.geteuid() and folder.is_dir() and not folder.is_symlink():
                found.append(folder)
        except FileNotFoundError:
            continue
    return found


def _owner_lives(folder: Path) -> bool | None:
    owner = _read(folder / "owner")
    return processes.alive(owner) if owner else None


def _write(file: Path, entry: Mapping[str, float | str]) -> None:
    draft = file.with_suffix(f"{file.suffix}.{os.getpid()}.draft")
    draft.write_text(json.dumps(entry))
    draft.replace(file)


def _read(file: Path) -> dict[str, float] | None:
    try:
        entry: dict[str, float] = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return entry
