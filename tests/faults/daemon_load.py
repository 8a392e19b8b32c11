"""A process beside the daemon: it sends alerts, asks for changes and decides them, until its input ends.

Run as: python -m tests.faults.daemon_load DATA WORLD SERVICES
It prints one line for all that it was told is written: `alert FINGERPRINT`, `approved ID`, `denied ID`.
"""

from __future__ import annotations

import asyncio
import random
import select
import sys
import time
from pathlib import Path

from cockpit.agent.healer import Healer
from cockpit.model import Alert, Call, Severity, Verdict
from cockpit.safety.deadlines import Deadlines
from cockpit.safety.executor import Executor
from cockpit.settings import PolicySettings
from cockpit.store.store import Store
from tests.faults import world

OPEN_AT_MOST = 12
PAUSE = 0.05


class Load:
    """What the operators and the monitoring of a busy homelab do."""

    def __init__(self, data: Path, folder: Path, services: int) -> None:
        self.store = Store.open(data / "cockpit.db")
        self.names = [f"world/w{number}" for number in range(services)]
        known = {name: world.service(folder, name) for name in self.names}
        policy = PolicySettings(changes_per_hour=10**6, failures_before_pause=10**6)
        self.healer = Healer(
            world.registry(), self.store, known, Executor(policy, world.registry(), self.store, known, Deadlines())
        )
        self.dice = random.Random(7)

    def alert(self, number: int) -> None:
        fingerprint = f"load:{number}"
        service = f"other/{number % 20}"
        self.store.ingest_alerts([Alert(fingerprint, service, "load", Severity.INFO, "busy", time.time())])
        print(f"alert {fingerprint}", flush=True)

    async def change(self, number: int) -> None:
        service = self.dice.choice(self.names)
        tool = self.dice.choice(["do_world_deed", "set_world_value"])
        arguments = {"key": f"k{number}"} | ({"to": "new"} if tool == "set_world_value" else {})
        proposal = await self.healer.request(Call(tool, service, arguments), by="ada", reason="load")
        verdict = Verdict.DENIED if number % 7 == 0 else Verdict.APPROVED
        self.store.decide(proposal.id, proposal.digest, verdict, by="ada", channel="keypress", at=time.time())
        print(f"{verdict} {proposal.id}", flush=True)

    def busy(self) -> bool:
        return len([one for one in self.store.reader.proposals(limit=100) if one.state == "approved"]) >= OPEN_AT_MOST


def main() -> None:
    load = Load(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    number = 0
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        number += 1
        load.alert(number)
        if not load.busy():
            asyncio.run(load.change(number))
    load.store.close()


if __name__ == "__main__":
    main()
