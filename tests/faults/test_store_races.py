"""Many that decide, carry out and write at once: one winner each."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cockpit.model import CockpitError, Decision, Proposal, ProposalState, Verdict
from cockpit.store.store import Store
from tests.unit.store_examples import START, Log, alert

THREADS = 8
RACES = 500


def raced(stores: list[Store], action: Callable[[Store], object]) -> list[Any]:
    """What each of the stores got when all began at once; a refusal counts as None."""
    ready = threading.Barrier(len(stores))

    def begin(store: Store) -> object:
        ready.wait()
        try:
            return action(store)
        except CockpitError as error:
            assert "already" in error.what, error
            return None

    with ThreadPoolExecutor(len(stores)) as pool:
        return [made for made in pool.map(begin, stores) if made is not None]


def approve(store: Store, proposal: Proposal) -> Decision:
    return store.decide(proposal.id, proposal.digest, Verdict.APPROVED, by="ann", channel="keypress", at=START)


def test_500_races_of_eight_to_decide_and_to_carry_out_have_one_winner_each(log: Log) -> None:
    waiting = [log.proposed(service=f"redis/{number}") for number in range(RACES)]
    stores = [Store.open(log.path, clock=log.clock) for _ in range(THREADS)]
    decided, claimed = Counter[int](), Counter[int]()
    for proposal in waiting:
        decided[proposal.id] += len(raced(stores, lambda s, p=proposal: approve(s, p)))
        claimed[proposal.id] += len(raced(stores, lambda s, p=proposal: s.claim(p.id, p.digest, START)))
    for store in stores:
        store.close()
    assert set(decided.values()) == set(claimed.values()) == {1}
    assert len(decided) == len(log.store.reader.changes(limit=RACES + 1)) == RACES
    assert log.problems() == []


def test_the_broken_twin_that_looks_before_it_writes_decides_twice(log: Log) -> None:
    proposal = log.proposed()
    looked, won = threading.Barrier(THREADS), []

    def naive() -> None:
        raw = sqlite3.connect(log.path, timeout=60, isolation_level=None)
        state = raw.execute("select state from proposal where id = ?", [proposal.id]).fetchone()[0]
        looked.wait()
        if state == "pending":
            won.append(raw.execute("update proposal set state = 'approved' where id = ?", [proposal.id]).rowcount)
        raw.close()

    threads = [threading.Thread(target=naive) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(won) == THREADS


def test_an_approval_and_a_denial_at_once_have_one_winner(log: Log) -> None:
    stores = [Store.open(log.path, clock=log.clock) for _ in range(2)]
    verdicts = dict(zip(stores, (Verdict.APPROVED, Verdict.DENIED), strict=True))
    for number in range(50):
        proposal = log.proposed(service=f"redis/{number}")
        [made] = raced(
            stores,
            lambda s, p=proposal: s.decide(p.id, p.digest, verdicts[s], by="ann", channel="keypress", at=START),
        )
        assert log.store.reader.decision(proposal.id) == made
        assert log.store.reader.proposal(proposal.id).state == made.verdict
    for store in stores:
        store.close()


def test_proposals_for_one_service_are_claimed_by_one_of_many(log: Log) -> None:
    stores = [Store.open(log.path, clock=log.clock) for _ in range(THREADS)]
    approved = dict(zip(stores, [log.approved(after=number) for number in range(2, 2 + THREADS)], strict=True))
    won = raced(stores, lambda s: s.claim(approved[s].id, approved[s].digest, START))
    for store in stores:
        store.close()
    assert len(won) == 1
    assert len(log.store.reader.proposals(state=ProposalState.EXECUTING)) == 1


def test_many_threads_of_one_store_write_one_unbroken_chain(log: Log) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(lambda n: log.store.note("ann", "note", str(n)).id, range(400)))
    assert sorted(made) == list(range(1, 401))
    log.store.freeze("ann")
    assert log.problems() == []


def test_alerts_taken_in_by_many_processes_at_once_make_one_incident(log: Log) -> None:
    stores = [Store.open(log.path, clock=log.clock) for _ in range(THREADS)]
    found = raced(stores, lambda store: store.ingest_alerts([alert()]))
    for store in stores:
        store.close()
    assert found == [[1]] * THREADS
    [raised] = log.store.reader.alerts()
    assert raised.times == THREADS
