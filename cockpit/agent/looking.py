"""Carries out what a model wants to look at: each distinct call once, at the same time where they come together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cockpit.agent.analyst import Analyst
from cockpit.agent.dossier import told_run
from cockpit.agent.offers import SEARCH, Toolbox
from cockpit.llm.conversation import Message, Speaker, Wanted
from cockpit.model import Call, CockpitError, Run, canonical
from cockpit.model.inquiries import Inquiry
from cockpit.store.connection import StoreError

AGAIN = 3
"""How often a model may ask for what it has been told already, before the inquiry ends."""
MISTAKES = 8
"""Calls that cannot be carried out, before the inquiry ends."""
FRESH = 60.0
"""Seconds for which a run from before the inquiry is as good as a new one."""


class Ended(CockpitError):
    """The model does not come to an end by itself; the message says how."""


@dataclass
class Looks:
    """What one inquiry has looked at, and may still look at.

    Args:
        inquiry: the inquiry; its runs are the incident's.
        toolbox: what may be asked.
        analyst: runs a diagnostic and keeps it.
        chose: is told of every choice, with its reason.
        runs: what was known before.
        most: diagnostics that may be run.
    """

    inquiry: Inquiry
    toolbox: Toolbox
    analyst: Analyst
    chose: Callable[[int, Call, str], object]
    runs: list[Run]
    most: int
    used: int = 0
    again: int = 0
    mistakes: int = 0
    _known: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        now = self.analyst.clock()
        self._known = {_key(run.call): run.id for run in self.runs if now - run.started_at < FRESH}

    @property
    def left(self) -> int:
        """Diagnostics that may still be run."""
        return self.most - self.used

    async def carry_out(self, wanted: Sequence[Wanted]) -> list[Message]:
        """Run what is wanted, and say for each what came of it, in its order.

        Raises Ended when it wants the same too often, or too much that cannot be.
        """
        calls: dict[str, Call] = {}
        said: dict[str, str] = {}
        for each in wanted:
            try:
                if each.name == SEARCH:
                    said[each.id] = self._search(each)
                else:
                    calls[each.id] = self._admit(each)
            except StoreError:
                raise
            except CockpitError as error:
                self.mistakes += 1
                said[each.id] = str(error)
        runs = await asyncio.gather(*(self._look(call) for call in calls.values()))
        self.runs += runs
        for id, run in zip(calls, runs, strict=True):
            self._known[_key(run.call)] = run.id
            said[id] = told_run(run, self.analyst.clock())
        if self.again >= AGAIN:
            raise Ended(f"It asked for the same {self.again} times again.")
        if self.mistakes >= MISTAKES:
            raise Ended(f"It asked {self.mistakes} times for what cannot be done.")
        return [Message(Speaker.TOOL, said[each.id], answers=each.id) for each in wanted]

    def _search(self, wanted: Wanted) -> str:
        words, why = (str(wanted.arguments.get(name, "")) for name in ("words", "why"))
        key = f"{SEARCH} {words.lower().split()}"
        if key in self._known:
            return self._told_again("You searched for that already.")
        self._known[key] = 0
        self.chose(self.inquiry.id, Call(SEARCH, self.inquiry.service, {"words": words}), why)
        return self.toolbox.search(words)

    def _admit(self, wanted: Wanted) -> Call:
        """The call, once it is sure that it may be made. Raises CockpitError, for the model to read."""
        call, why = self.toolbox.call(wanted)
        key = _key(call)
        if key in self._known:
            self.again += 1
            raise CockpitError(f"You have that already: run {self._known[key] or 'under way'}.")
        if self.left <= 0:
            raise CockpitError("No more diagnostics can be run.", "Conclude with what you have.")
        self.used += 1
        self._known[key] = 0
        self.chose(self.inquiry.id, call, why)
        return call

    def _told_again(self, text: str) -> str:
        self.again += 1
        return text

    async def _look(self, call: Call) -> Run:
        return await self.analyst.look(self.inquiry.incident, self.analyst.services[call.service], call)


def _key(call: Call) -> str:
    return canonical({"tool": call.tool, "service": call.service, "arguments": dict(call.arguments)})


def not_run(wanted: Sequence[Wanted], why: str) -> list[Message]:
    """What is answered to tools that are not run."""
    return [Message(Speaker.TOOL, why, answers=each.id) for each in wanted]
