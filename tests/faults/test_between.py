"""The world, the plan or the policy moves between approval and execution: nothing runs."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cockpit.agent.healer import Healer
from cockpit.model import Approval, Call, Proposal, ProposalState, Service, Verdict
from cockpit.safety.deadlines import Deadlines
from cockpit.safety.executor import Executor
from cockpit.settings import PolicySettings
from cockpit.store.store import Store
from tests.corpus import hostile
from tests.faults import world
from tests.faults.invariants import check_invariants

VALUE = Call("set_world_value", "world/one", {"key": "a", "to": "new"})
TWO = Call("set_two_values", "world/one", {"to": "new"})
DEED = Call("do_world_deed", "world/one", {"key": "a"})


@dataclass
class Scene:
    """An approved proposal that is about to be carried out."""

    data: Path
    folder: Path
    store: Store
    executor: Executor
    proposal: Proposal

    def edit(self, sql: str, *values: object) -> None:
        """Write the log as somebody with the file and no manners does."""
        with sqlite3.connect(self.data / "cockpit.db") as raw:
            for (name,) in raw.execute("select name from sqlite_master where type = 'trigger'").fetchall():
                raw.execute(f'drop trigger "{name}"')
            raw.execute(sql, values)
        raw.close()

    def edit_plan(self, edit: Callable[[dict[str, object]], None]) -> None:
        with sqlite3.connect(self.data / "cockpit.db") as raw:
            plan = json.loads(raw.execute("select plan from proposal").fetchone()[0])
        raw.close()
        edit(plan)
        self.edit("update proposal set plan = ?", json.dumps(plan))

    def policy(self, **settings: object) -> None:
        self.executor.settings = dataclasses.replace(self.executor.settings, **settings)


Mutation = Callable[[Scene], None]


def in_the_world() -> Iterator[tuple[str, Call, Mutation]]:
    for number, text in enumerate(
        ["", " old", "old ", "OLD", "old\n", "new ", "оld", "0", "null", "None", *hostile()[:30]]
    ):
        yield f"value becomes {number}", VALUE, lambda s, t=text: put(s.folder / "value-a", t)
    for key in ("a", "b"):
        yield f"value {key} of two changes", TWO, lambda s, k=key: put(s.folder / f"value-{k}", "other")
        yield f"value {key} of two disappears", TWO, lambda s, k=key: (s.folder / f"value-{k}").unlink()
    yield "value disappears", VALUE, lambda s: (s.folder / "value-a").unlink()
    yield "value is there already", VALUE, lambda s: put(s.folder / "value-a", "new")
    yield "link to another file", VALUE, lambda s: link(s.folder / "value-a", s.folder / "value-b")
    yield "link to nowhere", VALUE, lambda s: link(s.folder / "value-a", s.folder / "nothing")
    yield "a folder in its place", VALUE, lambda s: folder_at(s.folder / "value-a")
    yield "not readable as text", VALUE, lambda s: (s.folder / "value-a").write_bytes(b"\xff\xfe")
    yield "the world refuses", VALUE, lambda s: put(s.folder / "refuse", "")
    for number, text in enumerate(["two", "", "one ", "ONE"]):
        yield f"re-created under the same name {number}", DEED, lambda s, t=text: put(s.folder / "identity-a", t)
    yield "identity gone", DEED, lambda s: (s.folder / "identity-a").unlink()


def in_the_config() -> Iterator[tuple[str, Call, Mutation]]:
    for call in (VALUE, DEED):
        yield f"service gone, {call.tool}", call, lambda s: services(s)
        yield f"service elsewhere, {call.tool}", call, lambda s: services(s, folder=str(s.data))
        yield f"service of no folder, {call.tool}", call, lambda s: services(s, folder=7)
    for call in (VALUE, DEED, TWO):
        yield f"forbidden, {call.tool}", call, lambda s, c=call: s.policy(levels={c.tool: Approval.FORBIDDEN})
        yield f"dry run, {call.tool}", call, lambda s: s.policy(dry_run=True)
        yield f"no changes an hour, {call.tool}", call, lambda s: s.policy(changes_per_hour=0)
        yield f"frozen, {call.tool}", call, lambda s: s.store.freeze("somebody")
        yield f"deadline passed, {call.tool}", call, lambda s: later(s)


def in_the_plan() -> Iterator[tuple[str, Call, Mutation]]:
    fields: dict[str, list[object]] = {
        "service": ["world/two", "", "world"],
        "item": ["deed", "value2", ""],
        "key": ["b", "", None, ["a"]],
        "before": ["new", None, ""],
        "after": ["evil", None, "new ", ["new"]],
        "steps": [[], ["rm -rf /"]],
        "verification": ["", "none"],
        "undo": ["", "nothing"],
        "no_undo": ["there is a way", "none"],
    }
    for call in (VALUE, DEED, TWO):
        for name, values in fields.items():
            for number, value in enumerate(values):
                if (call, name, value) in [(DEED, "item", "deed"), (DEED, "undo", "")]:
                    continue
                yield f"{call.tool} {name} {number}", call, lambda s, n=name, v=value: s.edit_plan(change_field(n, v))
        yield f"{call.tool} change added", call, lambda s: s.edit_plan(lambda p: p["changes"].append(p["changes"][0]))
        yield f"{call.tool} changes gone", call, lambda s: s.edit_plan(lambda p: p.update(changes=[]))


def in_the_log() -> Iterator[tuple[str, Call, Mutation]]:
    yield "tool", VALUE, lambda s: s.edit("update proposal set tool = 'do_world_deed'")
    yield "service", VALUE, lambda s: s.edit("update proposal set service = 'world/two'")
    yield "arguments", VALUE, lambda s: s.edit("""update proposal set arguments = '{"key":"a","to":"evil"}'""")
    yield "digest of the proposal", VALUE, lambda s: s.edit("update proposal set digest = ?", "0" * 64)
    yield "digest of the decision", VALUE, lambda s: s.edit("update decision set digest = ?", "0" * 64)
    yield "verdict", VALUE, lambda s: s.edit("update decision set verdict = 'denied'")
    yield "decision gone", VALUE, lambda s: s.edit("delete from decision")
    yield "expired meanwhile", VALUE, lambda s: s.edit("update proposal set expires_at = 1")
    for state in ("pending", "denied", "expired", "done", "failed", "unknown", "superseded", "executing"):
        yield f"state {state}", VALUE, lambda s, v=state: s.edit("update proposal set state = ?", v)


CASES = [*in_the_world(), *in_the_config(), *in_the_plan(), *in_the_log()]


def test_there_are_at_least_120_of_them() -> None:
    assert len(CASES) >= 120


@pytest.mark.parametrize(("call", "mutation"), [pytest.param(c, m, id=n) for n, c, m in CASES])
def test_what_was_approved_does_not_run_when_it_is_no_longer_so(call: Call, mutation: Mutation, tmp_path: Path) -> None:
    scene = approved(tmp_path, call)
    mutation(scene)
    asyncio.run(scene.executor.execute(scene.proposal.id))
    assert not (scene.folder / "effects").exists()
    assert scene.store.reader.proposal(scene.proposal.id).state is not ProposalState.DONE or mutation_set_done(scene)
    scene.store.close()


def test_without_a_mutation_the_same_scenes_do_run(tmp_path: Path) -> None:
    for call in (VALUE, DEED, TWO):
        folder = tmp_path / call.tool
        folder.mkdir()
        scene = approved(folder, call)
        assert asyncio.run(scene.executor.execute(scene.proposal.id)).state is ProposalState.DONE
        check_invariants(scene.store, scene.folder, scene.data)
        scene.store.close()


def test_the_twin_that_does_not_look_again_lets_mutations_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def admit_all(executor: Executor, proposal: Proposal) -> None:
        return None

    monkeypatch.setattr(Executor, "_admit", admit_all)
    ran = 0
    for number, (_, call, mutation) in enumerate(CASES[:40]):
        folder = tmp_path / str(number)
        folder.mkdir()
        scene = approved(folder, call)
        mutation(scene)
        asyncio.run(scene.executor.execute(scene.proposal.id))
        ran += (scene.folder / "effects").exists()
        scene.store.close()
    assert ran > 0


def approved(tmp_path: Path, call: Call) -> Scene:
    """A scene with one approved proposal."""
    data, folder = tmp_path / "data", tmp_path / "world"
    folder.mkdir()
    for name, text in (("value-a", "old"), ("value-b", "old"), ("identity-a", "one")):
        put(folder / name, text)
    store = Store.open(data / "cockpit.db")
    known = {"world/one": world.service(folder)}
    executor = Executor(PolicySettings(), world.registry(), store, known, Deadlines())
    proposal = asyncio.run(Healer(world.registry(), store, known, executor).request(call, by="tester", reason=""))
    store.decide(proposal.id, proposal.digest, Verdict.APPROVED, by="tester", channel="keypress", at=time.time())
    return Scene(data, folder, store, executor, proposal)


def mutation_set_done(scene: Scene) -> bool:
    """Whether the log was edited to say `done`: then nothing is there to carry out."""
    return not scene.store.reader.applied(scene.proposal.id)


def put(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", errors="surrogatepass")


def link(file: Path, target: Path) -> None:
    file.unlink()
    target.write_text("other") if target.name == "value-b" else None
    file.symlink_to(target)


def folder_at(file: Path) -> None:
    file.unlink()
    file.mkdir()


def services(scene: Scene, **options: object) -> None:
    scene.executor.services = {"world/one": Service("world/one", options)} if options else {}  # type: ignore[arg-type]  # hostile options on purpose


def later(scene: Scene) -> None:
    scene.executor.clock = lambda: time.time() + 3600
    scene.executor.deadlines = Deadlines(lambda: time.time() + 3600)


def change_field(name: str, value: object) -> Callable[[dict[str, object]], None]:
    def edit(plan: dict[str, object]) -> None:
        plan["changes"][0][name] = value  # type: ignore[index]  # a plan as JSON

    return edit
