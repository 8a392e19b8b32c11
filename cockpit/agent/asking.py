"""Where runbooks are at their end: what models are asked, when, and what comes of it for the incident."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from cockpit.agent.investigator import Investigator
from cockpit.agent.questions import Questions
from cockpit.agent.recall import Recall
from cockpit.model import CockpitError, Diagnosis, Incident, Role
from cockpit.model.inquiries import Estimate, Inquiry, InquiryState
from cockpit.store.connection import StoreError

LOOK = 0.1
"""Seconds between two looks for a person's yes."""
MOST = 3
"""Inquiries into one bout of an incident; then a person is asked."""


@dataclass
class Asking:
    """Opens inquiries, and works on those that are open, whoever opened them."""

    investigator: Investigator
    _warming: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.recall = Recall(self.investigator)
        self.questions = Questions(self.investigator)
        self.store = self.investigator.analyst.store

    def settle(self) -> None:
        """End what a process left running when it died."""
        self.store.inquiries.abandoned()

    def open(self) -> list[Inquiry]:
        """What there is to do: inquiries that may begin, and questions that have no price yet; oldest first."""
        return [each for each in self.store.reader.asked.unended() if each.state is InquiryState.OPEN or unpriced(each)]

    def warm(self) -> None:
        """Let the models be ready by the time they are asked."""
        task = asyncio.create_task(self._warm())
        self._warming.add(task)
        task.add_done_callback(self._warming.discard)

    async def _warm(self) -> None:
        with suppress(CockpitError):  # why it does not start is said where an answer is wanted
            await self.investigator.models.warm()

    def at_once(self, incident: Incident) -> bool:
        """Whether no runbook answers its alerts, so that looking again for one is in vain."""
        analyst = self.investigator.analyst
        alerts = analyst.store.reader.alerts(incident=incident.id, firing_only=True)
        kind = incident.service.partition("/")[0]
        return not analyst.library.runbooks_for(kind, {raised.alert.name for raised in alerts})

    async def explain(self, incident: Incident) -> tuple[Diagnosis | None, str]:
        """What a model says of an incident that no runbook explains; and what there is to tell where that is nothing.

        Waits for the answer, unless the inquiry waits for a person's yes.
        """
        inquiry: Inquiry | str | None = self._unended(incident)
        if inquiry is None:
            if self._asked(incident) >= MOST:
                return None, f"Models were asked {MOST} times already."
            if recalled := await self._recalled(incident):
                return recalled, ""
            inquiry = await self._ask(incident)
        if isinstance(inquiry, str):
            return None, inquiry
        if inquiry.state is InquiryState.ASKING:
            return None, _waits(inquiry.estimate)
        return await self.look_into(inquiry, incident)

    async def look_into(self, inquiry: Inquiry, incident: Incident) -> tuple[Diagnosis | None, str]:
        """Work on an open inquiry into an incident, unless another does; a diagnosis and what is to be told."""
        if not self.store.inquiries.begin(inquiry.id):
            return None, ""
        digest = self.recall.digest(incident)
        diagnosis = await self.investigator.work(inquiry, incident)
        after = self.store.reader.asked.inquiry(inquiry.id)
        if after.state is InquiryState.ANSWERED:
            self.store.inquiries.keep(digest, inquiry.id)
            return diagnosis, ""
        return diagnosis, _told(after)

    async def _price(self, inquiry: Inquiry) -> None:
        """Write what answering a question would cost; it ends where no model can be asked."""
        try:
            estimate = await self.questions.price(inquiry)
        except StoreError:
            raise
        except CockpitError as error:
            self.store.inquiries.finish(inquiry.id, InquiryState.FAILED, str(error))
            return
        self.store.inquiries.estimated(inquiry.id, estimate)

    async def see_through(self, inquiry: int) -> None:
        """Take one question all the way: its price, a person's yes where it waits for one, its answer."""
        await self.answer(self.store.reader.asked.inquiry(inquiry))
        find = self.store.reader.asked.inquiry
        while (asked := find(inquiry)).state is InquiryState.ASKING:  # noqa: ASYNC110  another process may say yes
            await asyncio.sleep(LOOK)
        await self.answer(asked)

    async def answer(self, inquiry: Inquiry) -> None:
        """Answer an open question, unless another does; of one that waits for a yes, tell what it would cost."""
        if unpriced(inquiry):
            await self._price(inquiry)
        elif self.store.inquiries.begin(inquiry.id):
            await self.questions.work(inquiry)

    def over(self, incident: Incident) -> None:
        """The incident has ended: what still waits for a yes is not asked."""
        waiting = self._unended(incident)
        if waiting and waiting.state is not InquiryState.RUNNING:
            self.store.inquiries.decline(waiting.id, Role.ANALYST)

    async def _ask(self, incident: Incident) -> Inquiry | str:
        """Open an inquiry, with what it would cost; or say why none can be."""
        try:
            _, estimate = await self.investigator.prepare(incident)
        except StoreError:
            raise
        except CockpitError as error:
            return f"No model can be asked: {error}"
        wait = self.investigator.settings.ask
        return self.store.inquiries.ask(incident.id, incident.service, "", Role.ANALYST, estimate=estimate, wait=wait)

    async def _recalled(self, incident: Incident) -> Diagnosis | None:
        """The diagnosis of an equal investigation, where nothing was tried since and all it read reads the same."""
        kept = None if self.investigator.healer.proposals_now(incident.id) else self.recall.kept(incident)
        if kept is None:
            return None
        try:
            found = await self.recall.again(incident, kept)
        except StoreError:
            raise
        except CockpitError:  # its runs were pruned, or what it proposes is no longer there
            return None
        if found is None:
            return None
        inquiry = self.store.inquiries.ask(incident.id, incident.service, "", Role.ANALYST, estimate=None, wait=False)
        self.store.inquiries.begin(inquiry.id)
        outcome = f"As inquiry {kept.id} found, and its readings read the same: {found.diagnosis.cause}"
        self.store.inquiries.finish(inquiry.id, InquiryState.ANSWERED, outcome, found.answer)
        self.investigator.analyst.tell(incident, found.diagnosis)
        return found.diagnosis

    def _unended(self, incident: Incident) -> Inquiry | None:
        unended = self.store.reader.asked.unended()
        return next((each for each in unended if each.incident == incident.id and not each.question), None)

    def _asked(self, incident: Incident) -> int:
        """How often models were asked since the incident's alerts began to fire."""
        firing = self.store.reader.alerts(incident=incident.id, firing_only=True)
        since = min((raised.alert.starts_at for raised in firing), default=incident.opened_at)
        asked = self.store.reader.asked.of(incident.id)
        return sum(not each.question and each.created_at >= since for each in asked)


def unpriced(inquiry: Inquiry) -> bool:
    """Whether it is a question that waits for a yes, and nobody has told yet for how much."""
    return inquiry.state is InquiryState.ASKING and bool(inquiry.question) and inquiry.estimate is None


def _waits(estimate: Estimate | None) -> str:
    if estimate is None:
        return "A model can be asked: that waits for a yes."
    return f"{estimate.model} can be asked, for about ${estimate.dollars:.4f}: that waits for a yes."


def _told(inquiry: Inquiry) -> str:
    """What is told to a person of an inquiry that came to no cause."""
    look = inquiry.answer.get("next_look", "")
    guesses = inquiry.answer.get("guesses", ())
    ranked = [str(guess) for guess in guesses] if isinstance(guesses, list | tuple) else []
    others = f"Else: {'; '.join(ranked[1:4])}." if len(ranked) > 1 else ""
    if inquiry.state is InquiryState.FAILED:
        return f"No model could tell: {inquiry.outcome}"
    parts = [inquiry.outcome, others, f"Look next: {look}" if look else ""]
    return " ".join(part for part in parts if part)
