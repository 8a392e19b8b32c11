"""The lab as a folder: its servers' ports, processes and data, usable from any process.

All that a lab is stands in its folder, so that `cockpit lab inject`, the service control
commands and a later clean-up work from other processes than the one that started it.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from cockpit.lab.parts import Launch, Server
from cockpit.model import CockpitError, Service

PREFIX = "cockpit-lab-"
READY_WITHIN = 15.0


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
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        folder.chmod(0o755)  # a server under another account has to pass through
        (folder / "owner").write_text(json.dumps(_identity(os.getpid())))
        return cls(folder, servers)

    async def up(self) -> None:
        """Start every server at once, then fill them. Raises CockpitError naming the one that does not start."""
        await asyncio.gather(*(self.start(name) for name in self.servers))
        await asyncio.gather(*(server.seed(self) for server in self.servers.values() if server.seed))

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
        kept = self.folder / f"{name}.port"
        if not kept.exists():
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                kept.write_text(str(probe.getsockname()[1]))
        return int(kept.read_text())

    def control(self, name: str) -> dict[str, list[str]]:
        """The service control commands of a server, for a service's `control` option."""
        command = [sys.executable, "-m", "cockpit.lab", "control", str(self.folder), name]
        return {verb: [*command, verb] for verb in ("start", "stop", "restart", "status")}

    async def start(self, name: str) -> None:
        """Start a server unless it runs, and wait until it answers."""
        if self.pid(name) is not None:
            return
        server = self.servers[name]
        self.spawn(name, await server.prepare(self))
        deadline = time.monotonic() + READY_WITHIN
        while not await server.ready(self):
            if self.pid(name) is None or time.monotonic() > deadline:
                raise CockpitError(f"The lab's {name} does not start.", f"Its log: {self.log(name)}")
            await asyncio.sleep(0.03)

    async def stop(self, name: str) -> None:
        """Stop a server and wait until its process is gone."""
        await asyncio.to_thread(self._end, name, self.servers[name].stop_signal if name in self.servers else "SIGTERM")

    async def restart(self, name: str) -> None:
        """Stop, then start."""
        await self.stop(name)
        await self.start(name)

    def hold(self, name: str, *argv: str) -> None:
        """Start a helper process that makes or holds a fault: `python -m cockpit.lab.<argv[0]> FOLDER <rest>`."""
        module, *rest = argv
        self.spawn(name, Launch([sys.executable, "-m", f"cockpit.lab.{module}", str(self.folder), *rest]))

    async def release(self, name: str) -> None:
        """End a helper process; nothing happens when there is none."""
        await asyncio.to_thread(self._end, name, "SIGKILL")

    def log(self, name: str) -> Path:
        """Where a process of the lab writes what it prints."""
        return self.folder / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """The process id of a server or helper that runs, by pid and start time."""
        kept = self.folder / f"{name}.process"
        if not kept.exists():
            return None
        identity = json.loads(kept.read_text())
        return identity["pid"] if alive(identity) else None

    def spawn(self, name: str, launch: Launch) -> None:
        """Start a process in a group of its own, and write down which it is before anything else."""
        account = pwd.getpwnam(launch.user) if launch.user and os.geteuid() == 0 else None
        with self.log(name).open("ab") as output:
            process = subprocess.Popen(
                list(launch.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=launch.cwd or self.folder,
                env={**os.environ, **launch.env},
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        (self.folder / f"{name}.process").write_text(json.dumps(_identity(process.pid)))

    def _end(self, name: str, how: str) -> None:
        kept = self.folder / f"{name}.process"
        if kept.exists():
            end(json.loads(kept.read_text()), how)
            kept.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """End every process that a lab's folder names, and remove the folder."""
    for kept in folder.glob("*.process"):
        end(json.loads(kept.read_text()), "SIGTERM")
    shutil.rmtree(folder, ignore_errors=True)


def sweep_orphans() -> list[Path]:
    """End the labs whose cockpit is gone, such as after a SIGKILL; returns their folders."""
    swept = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = folder / "owner"
        if folder.owner() == pwd.getpwuid(os.geteuid()).pw_name and owner.exists() and not alive(json.loads(owner.read_text())):
            sweep(folder)
            swept.append(folder)
    return swept


def _identity(pid: int) -> dict[str, float]:
    return {"pid": pid, "started": psutil.Process(pid).create_time()}


def alive(identity: dict[str, float]) -> bool:
    """Whether the process that was written down still runs; a reused pid does not count."""
    try:
        process = psutil.Process(int(identity["pid"]))
        return process.create_time() == identity["started"] and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end(identity: dict[str, float], how: str, patience: float = 5.0) -> None:
    """Send the signal to the process and its children, and SIGKILL to what is left when patience ends."""
    if not alive(identity):
        return
    process = psutil.Process(int(identity["pid"]))
    family = [process, *process.children(recursive=True)]
    process.send_signal(getattr(signal, how))
    _, left = psutil.wait_procs(family, timeout=patience)
    for survivor in left:
        survivor.kill()
    psutil.wait_procs(left, timeout=patience)
