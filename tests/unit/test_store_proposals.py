"""Proposals, decisions and the journal of changes: what may follow what, and what may not."""

from __future__ import annotations

import dataclasses
import itertools
import sqlite3
from pathlib import Path

import pytest

from cockpit.model import Approval, ChangeState, CockpitError, ProposalState, Verdict, digest
from cockpit.store.store import Store
from tests.unit.store_examples import START, Log, call_of, plan_of_one


def state_of(log: Log, proposal: int) -> ProposalState:
    return log.store.reader.proposal(proposal).state


def test_a_proposal_comes_back_as_it_was_given(log: Log) -> None:
    proposal = log.proposed(log.opened())
    assert log.store.reader.proposal(proposal.id) == proposal
    assert (proposal.call, proposal.plan) == (call_of(), plan_of_one())
    assert digest(proposal.call, proposal.plan) == proposal.digest
    assert log.store.reader.proposals(state=ProposalState.PENDING, incident=1) == [proposal]


def test_what_a_plan_asks_for_by_itself_comes_back_too(log: Log) -> None:
    plan = dataclasses.replace(plan_of_one(), approval=Approval.HARD)
    given = digest(call_of(), plan)
    kept = log.store.propose(None, call_of(), plan, given, Approval.HARD, START + 9, reason="", at=START)
    assert log.store.reader.proposal(kept.id).plan.approval is Approval.HARD


def test_a_digest_that_is_not_the_plans_is_refused(log: Log) -> None:
    with pytest.raises(CockpitError, match="not that of the plan"):
        log.store.propose(None, call_of(), plan_of_one(), "0" * 64, Approval.HARD, START + 300, reason="full", at=START)
    assert log.store.reader.proposals() == []


@pytest.mark.parametrize("field", ["key", "before", "after"])
def test_a_plan_that_scrubbing_would_alter_is_not_stored(tmp_path: Path, field: str) -> None:
    def scrub(value: object) -> object:
        if isinstance(value, dict):
            return {key: scrub(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [scrub(inner) for inner in value]
        return "‹secret:1›" if value == "hunter2" else value

    plan = plan_of_one()
    change = dataclasses.replace(plan.changes[0], **{field: "hunter2"})
    plan = dataclasses.replace(plan, changes=(change,))
    with Store.open(tmp_path / "log.db", scrub=scrub) as store, pytest.raises(CockpitError, match="holds a secret"):
        store.propose(None, call_of(), plan, digest(call_of(), plan), Approval.HARD, START + 9, reason="", at=START)


def test_prose_of_a_plan_is_scrubbed_and_the_digest_stays(tmp_path: Path) -> None:
    plan = dataclasses.replace(plan_of_one(), summary="hunter2", risk="hunter2")

    def scrub(value: object) -> object:
        if isinstance(value, dict):
            return {key: "‹secret:1›" if inner == "hunter2" else inner for key, inner in value.items()}
        return value

    with Store.open(tmp_path / "log.db", scrub=scrub) as store:
        wanted = digest(call_of(), plan)
        kept = store.propose(None, call_of(), plan, wanted, Approval.HARD, START + 9, reason="", at=START)
    assert (kept.plan.summary, kept.plan.risk, kept.digest) == ("‹secret:1›", "‹secret:1›", wanted)


def test_a_newer_proposal_of_an_incident_takes_the_place_of_the_pending_one(log: Log) -> None:
    incident = log.opened()
    older, newer = log.proposed(incident), log.proposed(incident, after=3)
    assert (state_of(log, older.id), state_of(log, newer.id)) == (ProposalState.SUPERSEDED, ProposalState.PENDING)


def test_proposals_for_two_services_of_an_incident_and_by_hand_stand_side_by_side(log: Log) -> None:
    incident = log.opened()
    made = [log.proposed(incident), log.proposed(incident, "redis/replica"), log.proposed(), log.proposed(after=3)]
    assert {state_of(log, proposal.id) for proposal in made} == {ProposalState.PENDING}


def test_a_decision_names_who_decided_and_how(log: Log) -> None:
    proposal = log.proposed(log.opened())
    assert log.store.reader.decision(proposal.id) is None
    made = log.store.decide(
        proposal.id, proposal.digest, Verdict.DENIED, by="ann", channel="telegram", at=START + 9, reason="not now"
    )
    assert log.store.reader.decision(proposal.id) == made
    assert (made.verdict, made.by, made.channel, made.reason) == (Verdict.DENIED, "ann", "telegram", "not now")
    last = log.store.reader.events()[-1]
    assert (last.kind, last.actor, last.data["digest"], last.data["state"]) == (
        "decision",
        "ann",
        proposal.digest,
        "denied",
    )


@pytest.mark.parametrize("first", [Verdict.APPROVED, Verdict.DENIED])
@pytest.mark.parametrize("second", [Verdict.APPROVED, Verdict.DENIED])
def test_a_proposal_is_decided_once(log: Log, first: Verdict, second: Verdict) -> None:
    proposal = log.proposed()
    for verdict in (first, second):
        if verdict is second and log.store.reader.decision(proposal.id):
            with pytest.raises(CockpitError, match=f"is {first} already by ann"):
                log.store.decide(proposal.id, proposal.digest, second, by="bob", channel="keypress", at=START)
        else:
            log.store.decide(proposal.id, proposal.digest, first, by="ann", channel="keypress", at=START)
    decision = log.store.reader.decision(proposal.id)
    assert decision is not None and (decision.by, decision.verdict) == ("ann", first)


def test_an_approval_of_another_digest_is_refused(log: Log) -> None:
    proposal, other = log.proposed(), log.proposed(after=3)
    with pytest.raises(CockpitError, match="digest differs"):
        log.store.decide(proposal.id, other.digest, Verdict.APPROVED, by="ann", channel="keypress", at=START)
    assert state_of(log, proposal.id) is ProposalState.PENDING


def test_an_approval_after_the_deadline_is_refused_and_a_denial_is_not(log: Log) -> None:
    proposal = log.proposed()
    with pytest.raises(CockpitError, match="has expired"):
        log.store.decide(
            proposal.id, proposal.digest, Verdict.APPROVED, by="ann", channel="keypress", at=proposal.expires_at
        )
    log.store.decide(proposal.id, proposal.digest, Verdict.DENIED, by="ann", channel="keypress", at=START + 999)
    assert state_of(log, proposal.id) is ProposalState.DENIED


def test_nobody_decides_that_something_expired(log: Log) -> None:
    proposal = log.proposed()
    with pytest.raises(CockpitError, match="expires by itself"):
        log.store.decide(proposal.id, proposal.digest, Verdict.EXPIRED, by="ann", channel="keypress", at=START)


def test_a_decision_about_nothing_is_refused(log: Log) -> None:
    with pytest.raises(CockpitError, match="There is no proposal 5"):
        log.store.decide(5, "0" * 64, Verdict.APPROVED, by="ann", channel="keypress", at=START)


def test_what_nobody_decided_expires_at_its_deadline_and_not_before(log: Log) -> None:
    proposal = log.proposed()
    assert log.store.expire(proposal.expires_at - 0.001) == []
    assert log.store.expire(proposal.expires_at) == [proposal.id]
    assert log.store.expire(proposal.expires_at + 1) == []
    decision = log.store.reader.decision(proposal.id)
    assert decision is not None
    assert (decision.verdict, decision.by, decision.channel) == (Verdict.EXPIRED, "policy", "deadline")


def test_an_approval_that_was_not_carried_out_in_time_expires_and_stays_on_the_record(log: Log) -> None:
    proposal = log.approved()
    assert log.store.expire(proposal.expires_at) == [proposal.id]
    assert state_of(log, proposal.id) is ProposalState.EXPIRED
    decision = log.store.reader.decision(proposal.id)
    assert decision is not None and decision.verdict is Verdict.APPROVED
    assert log.store.claim(proposal.id, proposal.digest, START) is None


@pytest.mark.parametrize("verdict", [None, Verdict.DENIED])
def test_what_was_not_approved_is_never_claimed(log: Log, verdict: Verdict | None) -> None:
    proposal = log.proposed()
    if verdict:
        log.store.decide(proposal.id, proposal.digest, verdict, by="ann", channel="keypress", at=START)
    assert log.store.claim(proposal.id, proposal.digest, START) is None
    assert log.store.reader.changes() == []


def test_an_approved_proposal_is_claimed_once(log: Log) -> None:
    proposal = log.approved()
    [applied] = log.claimed(proposal)
    assert (applied.change, applied.state, applied.position) == (plan_of_one().changes[0], ChangeState.CLAIMED, 0)
    assert log.store.claim(proposal.id, proposal.digest, START) is None
    assert log.store.reader.applied(proposal.id) == log.store.reader.unsettled() == [applied]


def test_a_claim_after_the_deadline_is_refused(log: Log) -> None:
    proposal = log.approved()
    with pytest.raises(CockpitError, match="has expired"):
        log.store.claim(proposal.id, proposal.digest, proposal.expires_at)
    assert log.store.reader.changes() == []


def test_a_claim_of_another_digest_is_refused(log: Log) -> None:
    proposal = log.approved()
    with pytest.raises(CockpitError, match="digest differs"):
        log.store.claim(proposal.id, "0" * 64, START)


def test_a_plan_that_was_edited_in_the_file_is_not_claimed(log: Log) -> None:
    proposal = log.approved()
    raw = sqlite3.connect(log.path)
    raw.execute("drop trigger proposal_is_fixed")
    raw.execute("update proposal set plan = replace(plan, 'maxmemory 2mb', 'maxmemory 9mb')")
    raw.commit()
    raw.close()
    with pytest.raises(CockpitError, match="not what was approved"):
        log.store.claim(proposal.id, proposal.digest, START)


def test_one_change_a_service_at_a_time(log: Log) -> None:
    first, second, elsewhere = log.approved(), log.approved(after=3), log.approved(service="redis/other")
    [applied] = log.claimed(first)
    assert log.store.claim(second.id, second.digest, START) is None
    assert log.store.claim(elsewhere.id, elsewhere.digest, START) is not None
    log.store.finish(applied.id, ChangeState.SKIPPED, "Nothing was left to do.", START)
    log.store.settle(first.id, ProposalState.DONE, "Nothing was left to do.")
    assert log.store.claim(second.id, second.digest, START) is not None


def test_a_change_goes_its_way_and_every_step_is_an_event(log: Log) -> None:
    proposal = log.approved(log.opened())
    log.carried_out(proposal)
    [applied] = log.store.reader.changes()
    assert (applied.state, applied.outcome, applied.finished_at) == (ChangeState.DONE, "It reads as wanted.", START)
    assert state_of(log, proposal.id) is ProposalState.DONE
    steps = [event.data["changes"] for event in log.store.reader.events(incident=1) if event.kind == "change"]
    assert steps == [{"1": state} for state in ("claimed", "applying", "verifying", "done")]


LEGAL = {
    ("claimed", "applying"), ("claimed", "failed"), ("claimed", "skipped"),
    ("applying", "verifying"), ("applying", "done"), ("applying", "failed"),
    ("applying", "unknown"), ("applying", "undone"),
    ("verifying", "done"), ("verifying", "failed"), ("verifying", "unknown"), ("verifying", "undone"),
    ("done", "undone"), ("failed", "undone"),
    ("unknown", "done"), ("unknown", "failed"), ("unknown", "undone"),
}  # fmt: skip
WAYS = {"applying": ["applying"], "verifying": ["applying", "verifying"], "claimed": [], "skipped": ["skipped"]}


def step(log: Log, change: int, state: str) -> None:
    match state:
        case "applying":
            log.store.applying(change)
        case "verifying":
            log.store.verifying(change)
        case _:
            log.store.finish(change, ChangeState(state), "so", START)


@pytest.mark.parametrize(("before", "after"), itertools.product([s.value for s in ChangeState], repeat=2))
def test_a_change_moves_only_as_the_journal_allows(log: Log, before: str, after: str) -> None:
    [applied] = log.claimed(log.approved())
    for state in WAYS.get(before, ["applying", before]):
        step(log, applied.id, state)
    if (before, after) in LEGAL:
        step(log, applied.id, after)
        assert log.store.reader.changes()[0].state == after
    else:
        with pytest.raises(CockpitError, match=f"is {before} and cannot become {after}"):
            step(log, applied.id, after)
        assert log.store.reader.changes()[0].state == before
    assert log.store.check() == []


def test_a_proposal_is_not_settled_before_its_changes(log: Log) -> None:
    proposal = log.approved()
    [applied] = log.claimed(proposal)
    with pytest.raises(CockpitError, match="not settled"):
        log.store.settle(proposal.id, ProposalState.DONE, "done")
    log.store.applying(applied.id)
    log.store.finish(applied.id, ChangeState.UNKNOWN, "The process died.", START)
    log.store.settle(proposal.id, ProposalState.UNKNOWN, "Look at it.")
    log.store.settle(proposal.id, ProposalState.FAILED, "A person looked.")
    with pytest.raises(CockpitError, match="is failed and cannot become done"):
        log.store.settle(proposal.id, ProposalState.DONE, "again")


@pytest.mark.parametrize("state", [ProposalState.PENDING, ProposalState.APPROVED, ProposalState.EXECUTING])
def test_a_proposal_is_never_settled_as_something_on_the_way(log: Log, state: ProposalState) -> None:
    with pytest.raises(CockpitError, match="cannot become"):
        log.store.settle(log.proposed().id, state, "")


def test_only_what_is_not_begun_is_withdrawn(log: Log) -> None:
    pending, approved = log.proposed(), log.approved(after=3)
    for proposal in (pending, approved):
        log.store.supersede(proposal.id, "The condition cleared.")
        assert log.store.reader.proposal(proposal.id).outcome == "The condition cleared."
        with pytest.raises(CockpitError, match="is superseded"):
            log.store.decide(proposal.id, proposal.digest, Verdict.DENIED, by="ann", channel="keypress", at=START)
    executing = log.approved(after=4)
    log.claimed(executing)
    with pytest.raises(CockpitError, match="is executing and cannot become superseded"):
        log.store.supersede(executing.id, "too late")


def test_changes_are_listed_newest_first_and_in_pages(log: Log) -> None:
    for after in range(2, 7):
        log.carried_out(log.approved(after=after))
    assert [applied.id for applied in log.store.reader.changes(limit=2)] == [5, 4]
    assert [applied.id for applied in log.store.reader.changes(before=4, limit=2)] == [3, 2]


def test_failures_and_changes_are_counted_for_the_policy(log: Log) -> None:
    log.carried_out(log.approved(after=2))
    for after, state in ((3, ChangeState.FAILED), (4, ChangeState.UNKNOWN), (5, ChangeState.SKIPPED)):
        log.clock.now += 10
        proposal = log.approved(after=after)
        [applied] = log.claimed(proposal)
        if state is not ChangeState.SKIPPED:
            log.store.applying(applied.id)
        log.store.finish(applied.id, state, "", log.clock.now)
        log.store.settle(proposal.id, ProposalState.FAILED, "")
    reader = log.store.reader
    assert (reader.failures("redis/main", START), reader.failures("redis/main", START + 11)) == (2, 1)
    assert reader.failures("redis/other", START) == 0
    assert (reader.changes_since(START), reader.changes_since(START + 5)) == (3, 2)


def test_an_undo_of_a_good_change_is_no_failure(log: Log) -> None:
    log.carried_out(log.approved())
    log.store.finish(1, ChangeState.UNDONE, "Put back by proposal 2.", START + 60)
    assert log.store.reader.failures("redis/main", START) == 0
