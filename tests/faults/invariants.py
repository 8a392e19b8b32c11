"""What must hold after every fault: the invariants I1 to I8 over the store and the world."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from cockpit.model import ChangeState, ProposalState, Verdict, digest
from cockpit.store.audit import verify
from cockpit.store.store import Store


def check_invariants(store: Store, folder: Path, data: Path, *, accepted: Collection[str] = ()) -> None:
    """Fail with the invariant that is broken.

    Args:
        store: the log, opened anew after the fault; that it opens without a hand is the first half of I8.
        folder: the world.
        data: the log's folder.
        accepted: fingerprints of the alerts that were answered as taken.
    """
    reader = store.reader
    known = {raised.alert.fingerprint for raised in reader.alerts()}
    assert set(accepted) <= known, "I6: an alert was answered and lost"
    assert not store.reader.unsettled(), "I8: a change was left half-way, and nothing settled it"
    effects_file = folder / "effects"
    effects = effects_file.read_text().splitlines() if effects_file.exists() else []
    explained: dict[str, int] = {}
    for proposal in reader.proposals(limit=10_000):
        decision = reader.decision(proposal.id)
        for applied in reader.applied(proposal.id):
            if applied.state in (ChangeState.SKIPPED, ChangeState.CLAIMED):
                continue
            assert decision is not None and decision.verdict is Verdict.APPROVED, "I1: changed without approval"
            assert decision.digest == proposal.digest == digest(proposal.call, proposal.plan), "I1: another digest ran"
            assert applied.claimed_at <= proposal.expires_at, "I4: ran after its deadline"
            line = effect_of(applied.change.item, str(applied.change.key), applied.change.after)
            if applied.state in (ChangeState.DONE, ChangeState.UNDONE):
                assert line in effects, f"I3: {line} is done and has no effect"
            if applied.state is not ChangeState.FAILED:
                explained[line] = explained.get(line, 0) + 1
            if applied.state is ChangeState.UNDONE:
                back = effect_of(applied.change.item, str(applied.change.key), applied.change.before)
                explained[back] = explained.get(back, 0) + 1
        if proposal.state is ProposalState.PENDING:
            assert any(
                e.kind == "proposal" and e.data.get("proposal") == proposal.id for e in reader.events(limit=10_000)
            ), "I7: a pending proposal was never told"
    for line in set(effects):
        assert effects.count(line) <= explained.get(line, 0), f"I2/I3: {line} happened more often than the log says"
    problems = verify(data / "cockpit.db", data / "audit.key", [data / "audit.head"])
    assert not problems, f"I5: {problems}"
    assert store.check() in (None, [], ""), "I5: the file is damaged"


def effect_of(item: str, key: str, after: object) -> str:
    """The line that one application of a change leaves in the world."""
    return f"deed {key}" if item in ("deed", "order") else f"set {key} {after}"
