"""The daemon as a process of its own, over a world that counts every effect, found as a plug-in."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from cockpit.model import Proposal, ProposalState, Verdict
from cockpit.store.reader import Reader
from cockpit.store.store import Store
from tests.account import MAIN, Account
from tests.faults.invariants import check_invariants
from tests.stopwatch import Stopwatch

Found = TypeVar("Found")

RUNBOOK = """
kind: world
conditions:
  - {id: trouble, when: samples.trouble == 1.0, severity: critical, summary: There is trouble}
runbooks:
  - id: mendable
    title: It can be mended
    alerts: [trouble]
    look: {seen: {tool: look_at_world}}
    holds: seen.trouble == 1.0
    cause: "The value is ${seen.value}."
    propose: [{tool: set_world_value, with: {key: a, to: mended}}]
"""


def until(what: Callable[[], Found | None], within: float = 60.0) -> Found:
    """What it returns once that is something. Fails when it takes too long."""
    deadline = time.monotonic() + within
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


class Place(Account):
    """An account with a log and worlds; daemons and commands are started in it."""

    def __init__(
        self, folder: Path, environ: dict[str, str] | None = None, *, worlds: int = 1, interval: float = 0.3
    ) -> None:
        super().__init__(folder, environ)
        self.worlds, self.interval = worlds, interval
        (self.runbooks / "world.yaml").write_text(RUNBOOK)
        for number in range(worlds):
            self.world(number).mkdir()
            (self.world(number) / "value-a").write_text("old")
        self.configure()

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    def world(self, number: int = 0) -> Path:
        return self.folder / f"world{number}"

    def configure(self, more: str = "") -> None:
        services = "".join(
            f'[services.world.w{number}]\nfolder = "{self.world(number)}"\ninterval = {self.interval}\n'
            for number in range(self.worlds)
        )
        self.config.write_text(f'operator = "ada"\n{services}{more}\n')

    def spawn(self, *argv: str, under: Sequence[str] = (), **environ: str) -> subprocess.Popen[str]:
        """Start a daemon, if wanted under another program; its lines go to the log file."""
        with self.log.open("a") as lines:
            return subprocess.Popen(
                [*under, sys.executable, "-c", MAIN, "--daemon", *argv],
                env=self.environment() | environ, stdout=lines, stderr=lines, stdin=subprocess.DEVNULL, text=True,
            )  # fmt: skip

    @contextlib.contextmanager
    def daemon(self, *argv: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
        """A daemon that works; ended afterwards, if it has not ended itself."""
        process = self.spawn(*argv, **environ)
        try:
            until(lambda: f"Process {process.pid} acts" in self.said() or process.poll() is not None)
            assert process.poll() is None, self.said()
            yield process
        finally:
            end(process)

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def reader(self) -> Reader:
        return Reader(self.data / "cockpit.db")

    def trouble(self, number: int = 0) -> None:
        (self.world(number) / "trouble").touch()

    def waiting(self, reader: Reader) -> Proposal:
        """The proposal that waits, once there is one."""
        return until(lambda: next(iter(reader.proposals(state=ProposalState.PENDING)), None))

    def approve(self, proposal: Proposal, *more: str) -> subprocess.CompletedProcess[str]:
        return self.command("approve", str(proposal.id), "--digest", proposal.digest, *more)

    def decide(self, proposal: Proposal, verdict: Verdict = Verdict.APPROVED) -> None:
        """Decide at once, without a command that has to start first."""
        with Store.open(self.data / "cockpit.db") as store:
            at = time.time()
            store.decide(proposal.id, proposal.digest, verdict, by="ada", channel="command line", at=at)

    def check(self, number: int = 0, accepted: Collection[str] = ()) -> None:
        """Everything that must hold, in a log that nobody has open; `accepted` are alerts that were answered."""
        with Store.open(self.data / "cockpit.db") as store:
            check_invariants(store, self.world(number), self.data, accepted=accepted)


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    """End a daemon, and wait for it."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)
            raise
    return process.returncode


def timed_end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, float]:
    """End a daemon; its status, and the seconds that it took for it."""
    watch = Stopwatch(process.pid)
    process.send_signal(number)
    while process.poll() is None:
        seconds = watch.seconds()
        time.sleep(0.01)
    return end(process), seconds


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket like the service manager's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        yield manager


def effects(place: Place) -> list[str]:
    """What reached the world."""
    file = place.world() / "effects"
    return file.read_text().splitlines() if file.exists() else []
