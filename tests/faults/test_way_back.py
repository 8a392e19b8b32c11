"""A change goes wrong while it is applied: what was done before it is put back, or said plainly to be left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.agent.healer import Healer
from cockpit.model import (
    JSON,
    Approval,
    Call,
    Change,
    ChangeState,
    Plan,
    Proposal,
    ProposalState,
    Service,
    Unexpected,
    Unreachable,
    Verdict,
)
from cockpit.safety.deadlines import Deadlines
from cockpit.safety.executor import Executor
from cockpit.settings import PolicySettings
from cockpit.store.store import Store
from cockpit.toolkit import Kind, Option, Registry, plan_of
from tests.faults.world import WorldReader, WorldWriter

shelf = Kind("shelf", "A folder", WorldReader, WorldWriter, (Option("folder", str, "Where it is.", required=True),))


async def _read(reader: WorldReader, key: JSON) -> JSON:
    if (reader.folder / "hidden").exists():
        raise Unreachable("Nobody answers.")
    return reader.value(str(key))


async def _write(writer: WorldWriter, key: JSON, before: JSON, after: JSON) -> None:
    """Write, unless the file `jam-KEY` says what happens instead."""
    jam = writer.folder / f"jam-{key}"
    match jam.read_text() if jam.exists() else "":
        case "":
            writer.set(str(key), str(after))
            return
        case "writes something else":
            writer.set(str(key), "else")
            return
        case "ignores it":
            return
        case "moves a":
            writer.set("a", "moved")
        case "jams a":
            (writer.folder / "jam-a").write_text("fails")
        case "mutes a":
            (writer.folder / "jam-a").write_text("ignores it")
        case "goes away":
            (writer.folder / "hidden").touch()
    raise Unexpected("It is jammed.")


async def _do(writer: WorldWriter, change: Change) -> None:
    writer.deed(str(change.key))


async def _done(reader: WorldReader, change: Change) -> bool:
    return reader.deeds(str(change.key)) > 0


place = shelf.resource(
    "place", read=_read, write=_write, steps=lambda key, before, after: [f"set {key}"], verification="It reads so.",
    patience=0.1,
)  # fmt: skip
deed = shelf.action(
    "shelf-deed", read=_read, do=_do, check=_done, steps=lambda key, before, after: [f"do {key}"],
    verification="It is counted.", no_undo="A deed stays done.", patience=0.1,
)  # fmt: skip


@shelf.remediation(approval=Approval.HARD, uses=(place, deed))
async def fill_shelf(reader: WorldReader, first: str) -> Plan:
    """Do the first thing, then put something in place b.

    Args:
        first: `set` to put something in place a, `do` for what has no way back.
    """
    name, a, b = reader.service.name, reader.value("a"), reader.value("b")
    begun = (
        place.change(name, "a", a, "new", why="asked")
        if first == "set"
        else deed.change(name, "a", a, "done", why="asked")
    )
    return plan_of("Fill it", begun, place.change(name, "b", b, "new", why="asked"), risk="none")


class Shelf:
    """An executor over a shelf, on which the next proposal goes as its jams say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shelf"
        self.folder.mkdir()
        for key in "ab":
            (self.folder / f"value-{key}").write_text("old")
        services = {"shelf/one": Service("shelf/one", {"folder": str(self.folder)}, timeout=30.0)}
        self.store = Store.open(folder / "data" / "cockpit.db")
        registry = Registry.of([shelf])
        self.executor = Executor(PolicySettings(), registry, self.store, services, Deadlines())
        self.healer = Healer(registry, self.store, services, self.executor)

    def jam(self, key: str, how: str) -> None:
        (self.folder / f"jam-{key}").write_text(how)

    async def carried_out(self, first: str = "set") -> Proposal:
        asked = await self.healer.request(Call("fill_shelf", "shelf/one", {"first": first}), by="ann", reason="")
        at = time.time()
        self.store.decide(asked.id, asked.digest, Verdict.APPROVED, by="ann", channel="keypress", at=at)
        return await self.executor.execute(asked.id)

    def run(self, first: str = "set") -> Proposal:
        return asyncio.run(self.carried_out(first))

    def values(self) -> tuple[str, str]:
        return (self.folder / "value-a").read_text(), (self.folder / "value-b").read_text()

    def states(self, proposal: Proposal) -> list[ChangeState]:
        return [applied.state for applied in self.store.reader.applied(proposal.id)]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    yield made
    made.store.close()


def test_what_fails_at_once_leaves_all_as_it_was_and_the_rest_is_not_begun(one: Shelf) -> None:
    one.jam("a", "fails")
    proposal = one.run()
    assert (proposal.state, proposal.outcome) == (ProposalState.FAILED, "Not applied.")
    assert one.states(proposal) == [ChangeState.FAILED, ChangeState.SKIPPED]
    assert one.values() == ("old", "old")
    assert "It is jammed." in one.store.reader.applied(proposal.id)[0].outcome


@pytest.mark.parametrize(
    ("jam", "state", "outcome", "values", "states"),
    [
        ("fails", ProposalState.FAILED, "was put back", ("old", "old"), [ChangeState.UNDONE, ChangeState.FAILED]),
        (
            "writes something else",
            ProposalState.UNKNOWN,
            "was put back",
            ("old", "else"),
            [ChangeState.UNDONE, ChangeState.UNKNOWN],
        ),
        ("ignores it", ProposalState.FAILED, "was put back", ("old", "old"), [ChangeState.UNDONE, ChangeState.FAILED]),
        ("moves a", ProposalState.FAILED, "not undone", ("moved", "old"), [ChangeState.DONE, ChangeState.FAILED]),
        ("jams a", ProposalState.FAILED, "the undo failed", ("new", "old"), [ChangeState.DONE, ChangeState.FAILED]),
        ("mutes a", ProposalState.FAILED, "was not verified", ("new", "old"), [ChangeState.DONE, ChangeState.FAILED]),
        (
            "goes away",
            ProposalState.UNKNOWN,
            "the undo failed",
            ("new", "old"),
            [ChangeState.DONE, ChangeState.UNKNOWN],
        ),
    ],
)
def test_what_was_done_before_a_failure_is_put_back_unless_that_cannot_be(
    one: Shelf, jam: str, state: ProposalState, outcome: str, values: tuple[str, str], states: list[ChangeState]
) -> None:
    one.jam("b", jam)
    proposal = one.run()
    assert proposal.state is state
    assert outcome in proposal.outcome
    assert one.values() == values
    assert one.states(proposal) == states


def test_what_has_no_way_back_is_left_and_said_to_be(one: Shelf) -> None:
    one.jam("b", "fails")
    proposal = one.run("do")
    assert proposal.state is ProposalState.FAILED
    assert proposal.outcome == "Applied in part. There is no way back: A deed stays done."
    assert one.states(proposal) == [ChangeState.DONE, ChangeState.FAILED]


def test_where_nothing_is_undone_unasked_the_undo_is_proposed(one: Shelf) -> None:
    one.executor.settings = PolicySettings(undo_on_failure=False)
    one.jam("b", "fails")
    failed = one.run()
    assert (failed.state, failed.outcome) == (ProposalState.FAILED, "Applied in part; the undo is proposed.")
    assert one.values() == ("new", "old")
    [undo] = one.store.reader.proposals(state=ProposalState.PENDING)
    assert (undo.undoes, undo.approval) == (failed.id, Approval.HARD)
    at = time.time()
    one.store.decide(undo.id, undo.digest, Verdict.APPROVED, by="ann", channel="keypress", at=at)
    assert asyncio.run(one.executor.execute(undo.id)).state is ProposalState.DONE
    assert one.values() == ("old", "old")


@pytest.mark.parametrize("moved", ["nothing left", "service gone"])
def test_a_plan_with_nothing_left_or_nowhere_to_go_is_not_begun(one: Shelf, moved: str) -> None:
    async def approved_then_moved() -> Proposal:
        asked = await one.healer.request(Call("fill_shelf", "shelf/one", {"first": "set"}), by="ann", reason="")
        at = time.time()
        one.store.decide(asked.id, asked.digest, Verdict.APPROVED, by="ann", channel="keypress", at=at)
        if moved == "service gone":
            one.executor.services = {}
        else:
            for key in "ab":
                (one.folder / f"value-{key}").write_text("new")
        return await one.executor.execute(asked.id)

    proposal = asyncio.run(approved_then_moved())
    assert proposal.state is ProposalState.SUPERSEDED
    assert ("no longer configured" if moved == "service gone" else "Nothing is left to do") in proposal.outcome
    assert one.states(proposal) == []
