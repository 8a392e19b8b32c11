"""No sequence of decisions, expiries, crashes and moves of the world applies what was not approved."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cockpit.agent.healer import Healer
from cockpit.model import Call, CockpitError, ProposalState, Verdict
from cockpit.safety.deadlines import Deadlines
from cockpit.safety.executor import Executor
from cockpit.safety.recovery import recover
from cockpit.settings import PolicySettings
from cockpit.store.store import Store
from tests.faults import world
from tests.faults.invariants import check_invariants


class Died(BaseException):
    """Stands for the end of the process: nothing catches it."""


class Machine(RuleBasedStateMachine):
    """One store and one world, moved at random."""

    @initialize()
    def begin(self) -> None:
        self.home = tempfile.TemporaryDirectory()
        self.data, self.folder = Path(self.home.name) / "data", Path(self.home.name) / "world"
        self.folder.mkdir()
        self.offset = 0.0
        self.start()

    def start(self) -> None:
        self.store = Store.open(self.data / "cockpit.db")
        known = {"world/one": world.service(self.folder)}
        self.executor = Executor(
            PolicySettings(changes_per_hour=1000, failures_before_pause=1000),
            world.registry(),
            self.store,
            known,
            Deadlines(self.now),
            self.now,
        )
        self.healer = Healer(world.registry(), self.store, known, self.executor, self.now)

    def now(self) -> float:
        return time.time() + self.offset

    @rule(key=st.sampled_from("ab"), to=st.sampled_from(["x", "y"]), deed=st.booleans())
    def propose(self, key: str, to: str, deed: bool) -> None:
        call = (
            Call("do_world_deed", "world/one", {"key": key})
            if deed
            else Call("set_world_value", "world/one", {"key": key, "to": to})
        )
        with contextlib.suppress(CockpitError):
            asyncio.run(self.healer.request(call, by="tester", reason=""))

    @rule(pick=st.integers(0, 9), approve=st.booleans(), right=st.booleans())
    def decide(self, pick: int, approve: bool, right: bool) -> None:
        proposals = self.store.reader.proposals()
        if proposals:
            chosen = proposals[pick % len(proposals)]
            verdict = Verdict.APPROVED if approve else Verdict.DENIED
            digest = chosen.digest if right else "0" * 64
            try:
                self.store.decide(chosen.id, digest, verdict, by="tester", channel="keypress", at=self.now())
                assert right
            except CockpitError:
                pass

    @rule(pick=st.integers(0, 9))
    def execute(self, pick: int) -> None:
        proposals = self.store.reader.proposals()
        if proposals:
            asyncio.run(self.executor.execute(proposals[pick % len(proposals)].id))

    @rule(
        pick=st.integers(0, 9),
        step=st.sampled_from(["claim", "applying", "verifying", "finish", "settle"]),
        after=st.booleans(),
    )
    def crash_while_executing(self, pick: int, step: str, after: bool) -> None:
        approved = self.store.reader.proposals(state=ProposalState.APPROVED)
        if not approved:
            return
        original = getattr(self.store, step)

        def die(*args: object, **kwargs: object) -> object:
            if after:
                original(*args, **kwargs)
            raise Died

        setattr(self.store, step, die)
        with contextlib.suppress(Died):
            asyncio.run(self.executor.execute(approved[pick % len(approved)].id))
        self.store.close()
        self.start()
        asyncio.run(recover(self.executor))

    @rule(key=st.sampled_from("ab"), text=st.sampled_from(["x", "y", "z"]))
    def the_world_moves(self, key: str, text: str) -> None:
        (self.folder / f"value-{key}").write_text(text)

    @rule(seconds=st.sampled_from([10.0, 200.0, 400.0, -3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.offset += seconds
        self.store.expire(self.now())

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.start()
        asyncio.run(recover(self.executor))

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def all_invariants_hold(self) -> None:
        check_invariants(self.store, self.folder, self.data)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.home.cleanup()


TestNoSequence = Machine.TestCase
TestNoSequence.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
