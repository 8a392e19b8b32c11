"""A process that approves and applies one proposal, and kills itself with SIGKILL at the k-th step.

A step is every call of the journal and every write to the world, before and after it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from cockpit.agent.healer import Healer
from cockpit.model import Call, ProposalState, Verdict
from cockpit.safety.deadlines import Deadlines
from cockpit.safety.executor import Executor
from cockpit.safety.recovery import recover
from cockpit.settings import PolicySettings
from cockpit.store.store import Store
from tests.faults import world

JOURNAL = ("propose", "decide", "claim", "applying", "verifying", "finish", "settle")


class Steps:
    """Counts steps and dies at the chosen one."""

    def __init__(self, die_at: int) -> None:
        self.count = 0
        self.die_at = die_at

    def step(self) -> None:
        self.count += 1
        if self.count == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, target: type, name: str) -> None:
        original = getattr(target, name)

        def stepped(*args: object, **kwargs: object) -> object:
            self.step()
            result = original(*args, **kwargs)
            self.step()
            return result

        setattr(target, name, stepped)


def parts(data: Path, folder: Path) -> tuple[Store, Executor, Healer]:
    store = Store.open(data / "cockpit.db")
    services = {"world/one": world.service(folder)}
    executor = Executor(PolicySettings(), world.registry(), store, services, Deadlines())
    return store, executor, Healer(world.registry(), store, services, executor)


async def live(data: Path, folder: Path, tool: str, *, naive: bool = False) -> None:
    """Recover, then propose unless there is something left to carry out, approve, and apply."""
    store, executor, healer = parts(data, folder)
    if naive:
        await run_again(executor)
    else:
        await recover(executor)
    if not store.reader.proposals():
        arguments = (
            {"key": "a"}
            if tool == "do_world_deed"
            else {"to": "new"}
            if tool == "set_two_values"
            else {"key": "a", "to": "new"}
        )
        await healer.request(Call(tool, "world/one", arguments), by="tester", reason="")
    proposal = store.reader.proposals()[0]
    if proposal.state is ProposalState.PENDING:
        now = time.time()
        store.decide(proposal.id, proposal.digest, Verdict.APPROVED, by="tester", channel="keypress", at=now)
    if store.reader.proposal(proposal.id).state is ProposalState.APPROVED:
        await executor.execute(proposal.id)
    store.close()


async def run_again(executor: Executor) -> None:
    """The broken twin of recovery: what was being applied is simply applied again."""
    for applied in executor.store.reader.unsettled():
        await executor._write(applied.change)


def main(data: Path, folder: Path, tool: str, die_at: int) -> None:
    steps = Steps(die_at)
    for name in JOURNAL:
        steps.around(Store, name)
    for name in ("set", "deed"):
        steps.around(world.WorldWriter, name)
    asyncio.run(live(data, folder, tool))
