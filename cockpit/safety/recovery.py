"""After a crash: what was being applied is unknown until its target has been read; nothing is run again."""

from __future__ import annotations

from cockpit.model import Applied, ChangeState, CockpitError, ProposalState, Role
from cockpit.safety.executor import Executor
from cockpit.toolkit import programs


async def recover(executor: Executor) -> list[Applied]:
    """Settle every change that a dead process left unfinished; returns them as they were found.

    A program that one left at work is ended first: its target must not change once it is read.
    A change that was only claimed has written nothing. One that was being applied is read
    from its target: applied, not applied, or unknown, and then a person is asked.
    """
    store = executor.store
    for program in await programs.end_left(executor.programs):
        store.note(Role.HEALER, "note", f"A program that a dead process left at work was ended: {program.command}")
    left = store.reader.unsettled()
    for applied in left:
        if applied.state is ChangeState.CLAIMED:
            state, outcome = ChangeState.SKIPPED, "Not applied: the process ended before it was begun."
        else:
            state, outcome = await _read_back(executor, applied)
        store.finish(applied.id, state, outcome, executor.clock())
    for proposal in store.reader.proposals(state=ProposalState.EXECUTING):
        _settle(executor, proposal.id)
    return left


async def _read_back(executor: Executor, applied: Applied) -> tuple[ChangeState, str]:
    try:
        state, outcome = await executor.verdict(applied.change)
    except CockpitError as error:
        return ChangeState.UNKNOWN, f"The process died while applying it. {error.what}"
    return state, f"The process died while applying it. {outcome}"


def _settle(executor: Executor, proposal: int) -> None:
    """Settle a proposal from all of its changes, those settled before the crash included."""
    states = {applied.state for applied in executor.store.reader.applied(proposal)}
    if ChangeState.UNKNOWN in states:
        outcome = ProposalState.UNKNOWN, "Interrupted; its target has to be looked at by a person."
    elif states == {ChangeState.DONE}:
        outcome = ProposalState.DONE, "Interrupted, and found applied."
    elif ChangeState.DONE in states:
        outcome = ProposalState.FAILED, "Interrupted half-way: applied in part. The undo can be proposed."
    else:
        outcome = ProposalState.FAILED, "Interrupted, and found not applied."
    executor.store.settle(proposal, *outcome)
