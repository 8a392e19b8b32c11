"""Commands that decide, freeze or undo; each is one row in the log, whoever acts on it."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from argparse import Namespace

from cockpit.cli import output
from cockpit.cli.exits import DENIED, FAILED, OK, PENDING, UsageError
from cockpit.cli.opening import engine, reading, settings_of, writing
from cockpit.cli.showing import plan_text, proposal_text
from cockpit.engine import Engine
from cockpit.model import CockpitError, Proposal, ProposalState, Verdict
from cockpit.settings import Settings

CHANNEL = "command line"
POLL = 0.2
"""Seconds between two looks for the outcome, when another process carries it out."""
ENDS = {
    ProposalState.DONE: OK,
    ProposalState.DENIED: DENIED,
    ProposalState.EXPIRED: DENIED,
    ProposalState.FAILED: FAILED,
    ProposalState.SUPERSEDED: FAILED,
    ProposalState.UNKNOWN: FAILED,
}
"""States in which nothing more happens to a proposal, with the exit status of each."""


def approve(arguments: Namespace) -> int:
    """Approve a proposal as shown, and wait for its outcome."""
    settings = settings_of(arguments)
    proposal = _found(settings, arguments.id)
    if proposal.state is not ProposalState.PENDING:
        output.talk(f"Proposal {proposal.id} is {proposal.state} already. {proposal.outcome}".rstrip())
        return ENDS.get(proposal.state, PENDING)
    name = _agreed(settings, proposal, arguments)
    return asyncio.run(_approve(settings, proposal, name, arguments.wait))


def deny(arguments: Namespace) -> int:
    """Deny a proposal."""
    settings = settings_of(arguments)
    proposal = _found(settings, arguments.id)
    with writing(settings) as store:
        store.decide(
            proposal.id,
            proposal.digest,
            Verdict.DENIED,
            by=settings.operator,
            channel=CHANNEL,
            at=time.time(),
            reason=arguments.reason,
        )
    output.talk(f"Proposal {proposal.id} is denied.")
    return OK


def undo(arguments: Namespace) -> int:
    """Propose to put back what a proposal changed."""
    with engine(settings_of(arguments)) as running:
        return waits(asyncio.run(running.undo(arguments.id)))


def freeze(arguments: Namespace) -> int:
    """Stop all changes at once; this needs no working config of the services."""
    settings = settings_of(arguments)
    with writing(settings) as store:
        store.freeze(settings.operator)
    output.talk("Changes are frozen. Allow them again with: cockpit unfreeze")
    return OK


def unfreeze(arguments: Namespace) -> int:
    """Allow changes again."""
    settings = settings_of(arguments)
    with writing(settings) as store:
        store.freeze(None, actor=settings.operator)
    output.talk("Changes are allowed again.")
    return OK


def waits(proposal: Proposal) -> int:
    """Show a proposal that was just made, say how to decide it, and return the exit status for that."""
    for line in plan_text(proposal.plan):
        output.line(line)
    output.talk(
        f"Proposal {proposal.id} waits for a decision: cockpit approve {proposal.id} --digest {proposal.digest[:12]}"
    )
    return PENDING


def _found(settings: Settings, id: int) -> Proposal:
    with reading(settings) as reader:
        if reader is None:
            raise CockpitError(
                f"There is no proposal {id}: nothing was ever recorded.", "Start the agent with: cockpit"
            )
        return reader.proposal(id)


def _agreed(settings: Settings, proposal: Proposal, arguments: Namespace) -> str:
    """The name to approve with, once the operator has agreed to exactly this plan."""
    if arguments.digest is not None:
        if not re.fullmatch("[0-9a-f]{8,64}", arguments.digest):
            raise UsageError(
                "A digest is given by its first 8 digits or more.", f"See: cockpit show {proposal.id} --proposal"
            )
        if not proposal.digest.startswith(arguments.digest):
            raise CockpitError(
                f"Proposal {proposal.id} is not the plan with the digest {arguments.digest}.",
                f"Look again: cockpit show {proposal.id} --proposal",
            )
        return str(arguments.name)
    if not sys.stdin.isatty():
        raise UsageError(
            "Nobody can be asked here.", f"Name the digest you saw: cockpit approve {proposal.id} --digest …"
        )
    return _asked(settings, proposal)


def _asked(settings: Settings, proposal: Proposal) -> str:
    with reading(settings) as reader:
        assert reader is not None
        for line in proposal_text(reader, proposal):
            output.line(line)
    sys.stdout.flush()
    wanted = proposal.call.service if proposal.needs_name else "yes"
    if output.ask(f"Type {wanted} to approve exactly this:") != wanted:
        raise CockpitError(f"Proposal {proposal.id} was not approved.", "It still waits.")
    return proposal.call.service


async def _approve(settings: Settings, proposal: Proposal, name: str, wait: float) -> int:
    with engine(settings, act=True) as running:
        await running.decide(proposal.id, proposal.digest, Verdict.APPROVED, channel=CHANNEL, name=name)
        if running.acts:
            await running.executor.execute(proposal.id)
        after = await _settled(running, proposal.id, wait)
    output.talk(f"Proposal {after.id} is {after.state}. {after.outcome}".rstrip())
    return ENDS.get(after.state, PENDING)


async def _settled(running: Engine, id: int, wait: float) -> Proposal:
    """The proposal once nothing more happens to it, or as it stands when the time is over."""
    deadline = time.monotonic() + wait
    while (proposal := running.reader.proposal(id)).state not in ENDS:
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(POLL)
    return proposal
