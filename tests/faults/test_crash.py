"""SIGKILL at every step between proposal and outcome: applied once or not at all, and the log says which."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from cockpit.model import ChangeState, ProposalState
from cockpit.store.store import Store
from tests.faults.crash_process import live, main
from tests.faults.invariants import check_invariants
from tests.forks import FORKS

STEPS = 40
"""More than any of the tools takes: the sweep ends at the first run that lives."""


@pytest.mark.parametrize("tool", ["set_world_value", "set_two_values", "do_world_deed"])
def test_a_kill_at_any_step_neither_loses_nor_doubles_a_change(tool: str, tmp_path: Path) -> None:
    landed = 0
    for die_at in range(1, STEPS):
        data, folder = fresh(tmp_path, die_at)
        if not killed(data, folder, tool, die_at):
            break
        landed += 1
        restart(data, folder, tool)
        store = Store.open(data / "cockpit.db")
        check_invariants(store, folder, data)
        assert settled(store)
        store.close()
    assert 10 < landed < STEPS - 1, f"{landed} kills landed"


def test_a_second_kill_during_recovery_is_survived(tmp_path: Path) -> None:
    for die_at in range(1, 8):
        data, folder = fresh(tmp_path, die_at)
        assert killed(data, folder, "do_world_deed", 8)
        killed(data, folder, "do_world_deed", die_at)
        restart(data, folder, "do_world_deed")
        store = Store.open(data / "cockpit.db")
        check_invariants(store, folder, data)
        assert settled(store)
        store.close()


def test_the_twin_that_runs_again_what_was_being_applied_doubles_a_change(tmp_path: Path) -> None:
    doubled = 0
    for die_at in range(1, STEPS):
        data, folder = fresh(tmp_path, die_at)
        if not killed(data, folder, "do_world_deed", die_at):
            break
        asyncio.run(live(data, folder, "do_world_deed", naive=True))
        effects = folder / "effects"
        doubled += effects.exists() and effects.read_text().count("deed a") > 1
    assert doubled > 0


def fresh(tmp_path: Path, number: int) -> tuple[Path, Path]:
    data, folder = tmp_path / f"data{number}", tmp_path / f"world{number}"
    data.mkdir(mode=0o700)
    folder.mkdir()
    (folder / "value-a").write_text("old")
    (folder / "value-b").write_text("old")
    return data, folder


def killed(data: Path, folder: Path, tool: str, die_at: int) -> bool:
    """Run the process to its kill; False when it lived."""
    process = FORKS.Process(target=main, args=(data, folder, tool, die_at))
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == -signal.SIGKILL


def restart(data: Path, folder: Path, tool: str) -> None:
    asyncio.run(live(data, folder, tool))


def settled(store: Store) -> bool:
    """Nothing is left half-way, and no proposal is open."""
    states = {proposal.state for proposal in store.reader.proposals()}
    return (
        not store.reader.unsettled()
        and states <= {ProposalState.DONE, ProposalState.FAILED}
        and all(
            applied.state in (ChangeState.DONE, ChangeState.FAILED, ChangeState.SKIPPED)
            for proposal in store.reader.proposals()
            for applied in store.reader.applied(proposal.id)
        )
    )
