"""One incident through the whole engine, on a world that counts every effect."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cockpit.agent.communicator import happened_since, markdown
from cockpit.engine import Engine
from cockpit.model import (
    Alert,
    Approval,
    CockpitError,
    IncidentStatus,
    Proposal,
    ProposalState,
    Refused,
    Severity,
    Verdict,
)
from cockpit.settings import PolicySettings, Settings
from cockpit.settings.models import ModelsSettings
from cockpit.text import Redactor
from tests.faults import world
from tests.faults.invariants import check_invariants

RUNBOOK = """
kind: world
conditions:
  - {id: trouble, when: samples.trouble == 1.0, severity: critical, summary: There is trouble}
runbooks:
  - id: mendable
    title: It can be mended
    alerts: [trouble]
    look: {seen: {tool: look_at_world}}
    holds: seen.trouble == 1.0 && seen.value != "hopeless"
    cause: "The value is ${seen.value}."
    propose: [{tool: set_world_value, with: {key: a, to: mended}}, {tool: do_world_deed, with: {key: a}}]
  - id: hopeless
    title: It cannot be mended
    alerts: [trouble]
    look: {seen: {tool: look_at_world}}
    holds: seen.value == "hopeless"
    cause: It is hopeless.
    advice: Leave it alone.
  - id: slow
    title: It is slow
    alerts: [slow]
    look: {seen: {tool: look_at_world}}
    holds: seen.trouble == 0.0
    cause: It is slow.
    propose: [{tool: set_world_value, with: {key: b, to: quick}}]
"""


class Running:
    """An engine that runs in a thread, as under the screen."""

    def __init__(self, tmp_path: Path, models: ModelsSettings | None = None, **policy: object) -> None:
        self.folder, self.data = tmp_path / "world", tmp_path / "data"
        for folder in (self.folder, self.data, tmp_path / "runbooks"):
            folder.mkdir(exist_ok=True, mode=0o700)
        (tmp_path / "runbooks" / "world.yaml").write_text(RUNBOOK)
        (self.folder / "value-a").write_text("old")
        settings = Settings(
            data_folder=self.data,
            services=(world.service(self.folder),),
            policy=PolicySettings(**policy),  # type: ignore[arg-type]  # keywords of the policy
            runbook_folder=tmp_path / "runbooks",
            operator="tester",
            models=models,
        )
        self.engine = Engine(settings, world.registry(), Redactor())
        self.thread = threading.Thread(target=lambda: asyncio.run(self.engine.run()), daemon=True)

    def start(self) -> None:
        self.thread.start()

    def trouble(self) -> None:
        (self.folder / "trouble").touch()

    def stop(self) -> None:
        self.engine.stop()
        if self.thread.ident:
            self.thread.join(60)
            assert not self.thread.is_alive()
        self.engine.close()

    def until(self, what: Callable[[], object], within: float = 60.0) -> None:
        deadline = time.monotonic() + within
        while not what():
            assert time.monotonic() < deadline, [event.text for event in self.engine.reader.events()]
            time.sleep(0.02)

    def status(self) -> IncidentStatus | None:
        incidents = self.engine.reader.incidents()
        return incidents[0].status if incidents else None

    def pending(self) -> Proposal | None:
        proposals = self.engine.reader.proposals(state=ProposalState.PENDING)
        return proposals[0] if proposals else None

    def waiting(self) -> Proposal:
        self.until(self.pending)
        proposal = self.pending()
        assert proposal
        return proposal

    def decide(self, proposal: Proposal, verdict: Verdict, **more: str) -> None:
        asyncio.run(self.engine.decide(proposal.id, proposal.digest, verdict, channel="keypress", **more))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    system = Running(tmp_path)
    yield system
    system.stop()


def test_trouble_is_seen_explained_approved_fixed_verified_and_written_down(running: Running) -> None:
    running.start()
    running.trouble()
    proposal = running.waiting()
    assert proposal.reason == "The value is old."
    assert proposal.plan.changes[0].before == "old"
    running.decide(proposal, Verdict.APPROVED, reason="go")
    running.until(lambda: running.status() is IncidentStatus.RESOLVED)
    assert (running.folder / "value-a").read_text() == "mended"
    check_invariants(running.engine.store, running.folder, running.data)
    document = markdown(running.engine.reader, 1)
    assert "The value is old" in document
    assert "approved by tester over keypress" in document
    kinds = [event.kind for event in running.engine.reader.events(incident=1)]
    for kind in ("alert", "run", "diagnosis", "proposal", "decision", "change", "status"):
        assert kind in kinds


def test_and_it_is_undone_through_a_new_proposal(running: Running) -> None:
    running.start()
    running.trouble()
    proposal = running.waiting()
    running.decide(proposal, Verdict.APPROVED)
    running.until(lambda: running.status() is IncidentStatus.RESOLVED)
    undo = asyncio.run(running.engine.undo(proposal.id))
    assert undo.state is ProposalState.PENDING
    assert (undo.plan.changes[0].before, undo.plan.changes[0].after) == ("mended", "old")
    running.decide(undo, Verdict.APPROVED)
    running.until(lambda: running.engine.reader.proposal(undo.id).state is ProposalState.DONE)
    assert (running.folder / "value-a").read_text() == "old"
    check_invariants(running.engine.store, running.folder, running.data)


def test_a_denied_proposal_changes_nothing_and_asks_for_a_person(running: Running) -> None:
    running.start()
    running.trouble()
    running.decide(running.waiting(), Verdict.DENIED, reason="not now")
    running.until(lambda: running.status() is IncidentStatus.ESCALATED)
    assert not (running.folder / "effects").exists()


def test_what_clears_by_itself_is_resolved_and_its_proposal_withdrawn(running: Running) -> None:
    running.start()
    running.trouble()
    proposal = running.waiting()
    (running.folder / "trouble").unlink()
    running.until(lambda: running.status() is IncidentStatus.RESOLVED)
    assert running.engine.reader.proposal(proposal.id).state is ProposalState.SUPERSEDED
    with pytest.raises(CockpitError, match="superseded"):
        running.decide(proposal, Verdict.APPROVED)


def test_where_no_change_is_right_a_person_is_asked_with_advice(running: Running) -> None:
    (running.folder / "value-a").write_text("hopeless")
    running.start()
    running.trouble()
    running.until(lambda: running.status() is IncidentStatus.ESCALATED)
    assert running.pending() is None
    assert "Leave it alone." in running.engine.reader.events(incident=1)[-1].text


def test_drift_brings_a_new_proposal_and_never_a_silent_change(running: Running) -> None:
    running.start()
    running.trouble()
    first = running.waiting()
    (running.folder / "value-a").write_text("moved")
    running.decide(first, Verdict.APPROVED)
    running.until(lambda: running.engine.reader.proposal(first.id).state is ProposalState.SUPERSEDED)
    second = running.waiting()
    assert second.id != first.id
    assert second.plan.changes[0].before == "moved"
    assert not (running.folder / "effects").exists()


def test_a_graver_alert_withdraws_what_was_proposed_for_a_lesser_one(running: Running) -> None:
    def reported(name: str) -> None:
        alert = Alert(f"world/one:{name}", "world/one", name, Severity.WARNING, f"It is {name}", time.time())
        running.engine.store.ingest_alerts([alert])

    running.start()
    reported("slow")
    first = running.waiting()
    reported("noisy")
    running.trouble()
    running.until(lambda: running.engine.reader.proposal(first.id).state is not ProposalState.PENDING)
    withdrawn = running.engine.reader.proposal(first.id)
    assert (withdrawn.state, withdrawn.outcome) == (ProposalState.SUPERSEDED, "A graver alert joined its incident.")
    assert {event.text for event in running.engine.reader.events()} >= {"It is noisy", "There is trouble"}
    second = running.waiting()
    assert second.call.arguments == {"key": "a", "to": "mended"} and second.incident == first.incident
    running.decide(second, Verdict.APPROVED)
    running.until(lambda: running.engine.reader.proposal(second.id).state is ProposalState.DONE)
    assert (running.folder / "effects").read_text().splitlines() == ["set a mended"]


def test_a_soft_call_is_done_at_once_and_told(tmp_path: Path) -> None:
    running = Running(tmp_path, levels={"set_world_value": Approval.SOFT})
    running.start()
    running.trouble()
    running.until(lambda: running.status() is IncidentStatus.RESOLVED)
    decision = running.engine.reader.decision(1)
    assert decision is not None
    assert (decision.by, decision.channel) == ("policy", "policy")
    running.stop()


def test_a_forbidden_call_is_passed_over_for_the_next(tmp_path: Path) -> None:
    running = Running(tmp_path, levels={"set_world_value": Approval.FORBIDDEN})
    running.start()
    running.trouble()
    assert running.waiting().call.tool == "do_world_deed"
    running.stop()


def test_nobody_answers_in_time_and_it_is_denied_as_expired(tmp_path: Path) -> None:
    running = Running(tmp_path, deadline=0.5)
    running.start()
    running.trouble()
    running.until(lambda: running.status() is IncidentStatus.ESCALATED)
    proposal = running.engine.reader.proposals()[0]
    decision = running.engine.reader.decision(proposal.id)
    assert proposal.state is ProposalState.EXPIRED
    assert decision is not None and decision.verdict is Verdict.EXPIRED
    running.stop()


def test_frozen_nothing_is_applied_until_it_is_unfrozen(running: Running) -> None:
    running.start()
    asyncio.run(running.engine.freeze(True))
    running.trouble()
    proposal = running.waiting()
    running.decide(proposal, Verdict.APPROVED)
    running.until(lambda: running.engine.reader.proposal(proposal.id).state is ProposalState.SUPERSEDED)
    assert not (running.folder / "effects").exists()
    asyncio.run(running.engine.freeze(False))
    running.decide(running.waiting(), Verdict.APPROVED)
    running.until(lambda: running.status() is IncidentStatus.RESOLVED)


def test_a_restart_goes_on_from_the_last_arrow(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.start()
    running.trouble()
    proposal = running.waiting()
    running.stop()
    again = Running(tmp_path)
    (again.folder / "value-a").write_text("old")
    again.decide(proposal, Verdict.APPROVED)
    again.start()
    again.until(lambda: again.status() is IncidentStatus.RESOLVED)
    check_invariants(again.engine.store, again.folder, again.data)
    again.stop()


def test_a_second_engine_attaches_and_can_approve(running: Running, tmp_path: Path) -> None:
    running.start()
    running.trouble()
    proposal = running.waiting()
    second = Engine(running.engine.settings, world.registry(), Redactor())
    assert (running.engine.mode, second.mode) == ("live", "attached")
    asyncio.run(second.decide(proposal.id, proposal.digest, Verdict.APPROVED, channel="keypress"))
    running.until(lambda: running.status() is IncidentStatus.RESOLVED)
    second.close()


def test_a_dry_run_applies_nothing_even_when_approved(tmp_path: Path) -> None:
    running = Running(tmp_path, dry_run=True)
    running.start()
    running.trouble()
    running.decide(running.waiting(), Verdict.APPROVED)
    running.until(lambda: running.engine.reader.proposals()[-1].state is ProposalState.SUPERSEDED)
    assert not (running.folder / "effects").exists()
    running.stop()


def test_the_operator_is_told_what_happened_meanwhile(running: Running) -> None:
    assert asyncio.run(running.engine.looked()) is None
    looked = asyncio.run(running.engine.looked())
    running.start()
    running.trouble()
    running.waiting()
    assert "1 new" in happened_since(running.engine.reader, looked)


def test_what_was_never_done_cannot_be_undone(running: Running) -> None:
    running.start()
    running.trouble()
    proposal = running.waiting()
    with pytest.raises(Refused, match="only what was done"):
        asyncio.run(running.engine.undo(proposal.id))


def test_an_agent_that_its_log_refused_tells_why_and_goes_on(running: Running) -> None:
    running.start()
    running.until(lambda: all(watched.checked_at for watched in running.engine.reader.services()))
    with sqlite3.connect(running.data / "cockpit.db") as other:
        other.execute("begin immediate")
        running.until(lambda: running.engine.trouble)
        other.rollback()
    other.close()
    assert "locked by another process" in running.engine.trouble
    running.trouble()
    running.decide(running.waiting(), Verdict.APPROVED)
    running.until(lambda: running.status() is IncidentStatus.RESOLVED)
    check_invariants(running.engine.store, running.folder, running.data)


def test_while_nothing_happens_no_step_is_taken_and_the_agent_is_known_to_live(running: Running) -> None:
    running.start()
    running.trouble()
    proposal = running.waiting()
    running.until(lambda: running.status() is IncidentStatus.WAITING)
    agent = running.engine._running
    assert agent
    steps: list[float] = []
    step = agent.step
    agent.step = lambda: (steps.append(time.monotonic()), step())[1]  # type: ignore[method-assign]  # counts its steps
    began = time.monotonic()
    running.until(lambda: time.monotonic() - began > 2.0)
    assert len(steps) <= 1, "at most the one that looks at what the last one wrote"
    assert running.engine.stalled < 1.0
    decided = time.monotonic()
    running.decide(proposal, Verdict.DENIED)
    running.until(lambda: any(at >= decided for at in steps), within=2.0)
    running.until(lambda: running.status() is IncidentStatus.ESCALATED)
