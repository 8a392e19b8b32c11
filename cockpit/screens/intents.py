"""What an operator's intents do: each asks the engine and returns the sentence that the screen says about it."""

from __future__ import annotations

from collections.abc import Iterator

from cockpit.model import Call, Plan, Proposal, Verdict, digest
from cockpit.screens.desk import Desk
from widgets.case import DIGEST_SHOWN
from widgets.line import Ink, Line, block, line
from widgets.plan import plan_lines

CHANNEL = "keypress"


async def approve(desk: Desk, proposal: Proposal, name: str = "") -> str:
    """Approve exactly this proposal, by its digest. Raises CockpitError."""
    await desk.acting().decide(proposal.id, proposal.digest, Verdict.APPROVED, channel=CHANNEL, name=name)
    return f"Approved #{proposal.id}: {proposal.plan.summary}"


async def deny(desk: Desk, proposal: Proposal, reason: str) -> str:
    """Deny a proposal. Raises CockpitError."""
    await desk.acting().decide(proposal.id, proposal.digest, Verdict.DENIED, channel=CHANNEL, reason=reason)
    return f"Denied #{proposal.id}."


async def undo(desk: Desk, proposal: int) -> str:
    """Propose to put back what a proposal did. Raises CockpitError."""
    made = await desk.acting().undo(proposal)
    return f"Proposed as #{made.id}: press 1 and answer it there."


async def propose(desk: Desk, call: Call) -> str:
    """Propose a remediation in the operator's name. Raises CockpitError."""
    made = await desk.acting().propose(call, "")
    return f"Proposed as #{made.id}: press 1 and answer it there."


async def freeze(desk: Desk, on: bool) -> str:
    """Stop all changes, or allow them again. Raises CockpitError."""
    await desk.acting().freeze(on)
    return "All changes are frozen; looking goes on." if on else "Changes are allowed again."


async def allow(desk: Desk, inquiry: int) -> str:
    """Let a model be asked. Raises CockpitError."""
    await desk.acting().allow(inquiry)
    return "A model will be asked."


async def decline(desk: Desk, inquiry: int) -> str:
    """Let no model be asked. Raises CockpitError."""
    await desk.acting().decline(inquiry)
    return "No model will be asked."


async def ask(desk: Desk, question: str, subject: int | str | None) -> int:
    """Ask models a question about an incident, a service or anything; returns the inquiry's id. Raises CockpitError."""
    incident = subject if isinstance(subject, int) else None
    service = subject if isinstance(subject, str) else ""
    asked = await desk.acting().ask(question, incident=incident, service=service)
    return asked.id


async def inject(desk: Desk, fault: str) -> str:
    """Make a fault happen in the demo's lab. Raises CockpitError."""
    lab = desk.acting().lab
    if lab:
        await lab.inject(fault)
    return f"Injected {fault}: watch the overview."


async def clear(desk: Desk, fault: str) -> str:
    """Take a fault away from the demo's lab. Raises CockpitError."""
    lab = desk.acting().lab
    if lab:
        await lab.clear(fault)
    return f"Cleared {fault}."


def compared(proposal: Proposal, plan: Plan, room: int) -> Iterator[Line]:
    """A new dry run beside the proposal: still the same, or what it would be now."""
    now = digest(proposal.call, plan)
    if now == proposal.digest:
        yield line((" ✔ Still the same plan", Ink.GOOD), (f"  digest {now[:DIGEST_SHOWN]}", Ink.DIM))
    else:
        yield from block(
            "",
            "The world has moved: the plan would be another one now. Approving will be refused.",
            room,
            Ink.WARN,
            indent=1,
        )
        yield line((f" digest {now[:DIGEST_SHOWN]} instead of {proposal.digest[:DIGEST_SHOWN]}", Ink.DIM))
    yield line()
    yield from block("", plan.summary, room, Ink.STRONG, indent=1)
    yield from plan_lines(plan, room)
