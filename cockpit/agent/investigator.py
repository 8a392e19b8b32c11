"""The investigator: what no runbook explains, a model looks into, with diagnostics alone, and its word is weighed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.agent.analyst import Analyst
from cockpit.agent.answer import Answer, read, read_text, weigh
from cockpit.agent.conclusion import Conclusion, conclude, wrong_calls
from cockpit.agent.dialogue import TIME_LIMIT, Dialogue, ending
from cockpit.agent.dossier import Dossier
from cockpit.agent.healer import Healer
from cockpit.agent.hearsay import Sources
from cockpit.agent.looking import Ended, Looks, not_run
from cockpit.agent.offers import CONCLUDE, Toolbox, size
from cockpit.agent.prompts import offer, prompt
from cockpit.agent.topology import near
from cockpit.llm.conversation import Message, Prompt, Reply, Speaker
from cockpit.model import CockpitError, Diagnosis, Incident, Role, Run, canonical
from cockpit.model.inquiries import Estimate, Inquiry, InquiryState
from cockpit.settings.models import ModelsSettings
from cockpit.store.rows import Raised

if TYPE_CHECKING:
    from cockpit.llm.models import Models

FIRST_PROMPT = 22_000
"""Characters of the first prompt, the tools on offer among them: at four a token, 5,500 tokens."""


@dataclass
class Investigator:
    """Asks models why an incident happened, and believes them as far as the readings they cite.

    Args:
        analyst: runs diagnostics and keeps them.
        healer: plans what a model proposes; nothing is proposed here.
        models: who is asked.
        settings: how much may be asked.
        notes_folder: the operator's notes.
    """

    analyst: Analyst
    healer: Healer
    models: Models
    settings: ModelsSettings
    notes_folder: Path

    @property
    def dossier(self) -> Dossier:
        """What writes up an incident."""
        analyst = self.analyst
        return Dossier(analyst.store.reader, analyst.registry, analyst.services, self.notes_folder, analyst.clock)

    async def prepare(self, incident: Incident) -> tuple[Prompt, Estimate]:
        """The first prompt about an incident, and what asking would cost. Raises NoModel when none can be asked."""
        begun = self._prompt(incident, self.runs(incident), self._toolbox(incident))
        kind = incident.service.partition("/")[0]
        hard = self._hard(incident)
        return begun, await self.models.estimate(begun, severity=incident.severity, hard=hard, kind=kind)

    async def work(self, inquiry: Inquiry, incident: Incident) -> Diagnosis | None:
        """Look into an incident until there is a conclusion, and end the inquiry, which was begun before.

        Returns the diagnosis, a guess when its confidence is below the threshold; None when there is none.
        """
        log = self.analyst.store.inquiries
        with ending(log, inquiry):
            dialogue, looks = self._begin(inquiry, incident)
            async with asyncio.timeout(TIME_LIMIT):
                found = await self._until_concluded(dialogue, looks, incident)
            state = InquiryState.ANSWERED if found.sure else InquiryState.INCONCLUSIVE
            log.finish(inquiry.id, state, found.outcome, found.answer)
            for text in found.passed_over:
                self._note(incident, text)
            if found.diagnosis.cause:
                self.analyst.tell(incident, found.diagnosis)
                return found.diagnosis
        return None

    def _begin(self, inquiry: Inquiry, incident: Incident) -> tuple[Dialogue, Looks]:
        runs, toolbox, log = self.runs(incident), self._toolbox(incident), self.analyst.store.inquiries
        first = list(self._prompt(incident, runs, toolbox).messages)
        for text in self.dossier.notes(incident, self._alerts(incident))[1]:
            self._note(incident, text)
        dialogue = Dialogue(self.models, log, inquiry, incident.severity, self._hard(incident), first)
        return dialogue, Looks(inquiry, toolbox, self.analyst, log.chose, runs, self.settings.calls)

    async def _until_concluded(self, dialogue: Dialogue, looks: Looks, incident: Incident) -> Conclusion:
        """Hand the model what it asks for until it concludes. Raises Ended when it does not."""
        corrected = False
        while True:
            if not self._alerts(incident):
                raise Ended("Its alerts cleared meanwhile.")
            reply = await self._asked(dialogue, looks)
            answer, problems = _concluded(reply)
            if answer is None and not problems:
                await dialogue.go_on(reply, looks)
                continue
            weighed = weigh(answer or Answer(), looks.runs, self.quotes)
            problems += [*weighed.problems, *wrong_calls(weighed.answer.proposals, self.healer)]
            if not problems or corrected:
                sources = self.sources(incident, looks.runs)
                return await conclude(incident, reply.model, weighed, sources, self.healer)
            corrected = True
            _send_back(dialogue, reply, problems)

    async def _asked(self, dialogue: Dialogue, looks: Looks) -> Reply:
        """The model's next answer; one that calls no tools may conclude in words that hold to the schema."""
        if dialogue.wordy and not looks.used:
            return await dialogue.ask((), offer(CONCLUDE).parameters)
        return await dialogue.ask(looks.toolbox.offers(conclude=True, look=looks.left > 0))

    def _prompt(self, incident: Incident, runs: Sequence[Run], toolbox: Toolbox) -> Prompt:
        system, offers = prompt("investigate", calls=self.settings.calls), toolbox.offers(conclude=True)
        room = FIRST_PROMPT - len(system) - sum(map(size, offers))
        dossier = self.dossier.incident(incident, runs, room)
        return Prompt((Message(Speaker.SYSTEM, system), Message(Speaker.USER, dossier)), offers)

    def _toolbox(self, incident: Incident) -> Toolbox:
        best = [record.tool for record in self.dossier.record(incident, self._alerts(incident))]
        services = self.analyst.services
        return Toolbox(self.analyst.registry, services, near(services, incident.service), best)

    def runs(self, incident: Incident) -> list[Run]:
        """What was read of an incident since its alerts fire: of each look the latest."""
        since = min((raised.alert.starts_at for raised in self._alerts(incident)), default=incident.opened_at)
        latest: dict[str, Run] = {}
        for run in self.analyst.store.reader.runs(incident.id):
            if run.started_at >= since:
                key = canonical([run.call.tool, run.call.service, dict(run.call.arguments)])
                latest.pop(key, None)
                latest[key] = run
        return list(latest.values())

    def _alerts(self, incident: Incident) -> list[Raised]:
        return self.analyst.store.reader.alerts(incident=incident.id, firing_only=True)

    def _hard(self, incident: Incident) -> bool:
        """Whether it takes a strong model: several services are in it, or one was asked about it in vain."""
        asked = self.analyst.store.reader.asked.of(incident.id)
        in_vain = any(each.state.ended and not each.question for each in asked)
        return in_vain or len({raised.alert.service for raised in self._alerts(incident)}) > 1

    def quotes(self, tool: str) -> bool:
        """Whether a diagnostic hands on what others wrote; one that is no longer there may have."""
        known = self.analyst.registry.tools.get(tool)
        return known is None or known.quotes

    def sources(self, incident: Incident, runs: Sequence[Run]) -> Sources:
        """Where the values in a proposal may come from."""
        alerts = self._alerts(incident)
        notes = [note.text for note in self.dossier.notes(incident, alerts)[0]]
        owners = [service.note for service in self.analyst.services.values()]
        return Sources(runs, self.quotes, alerts, [*self.analyst.services, *notes, *owners])

    def _note(self, incident: Incident, text: str) -> None:
        self.analyst.store.note(Role.ANALYST, "note", text, incident=incident.id, service=incident.service)


def _concluded(reply: Reply) -> tuple[Answer | None, list[str]]:
    """The conclusion in a reply, or what is wrong with it; neither when there is none."""
    wanted = next((each for each in reply.wanted if each.name == CONCLUDE), None)
    if wanted is not None and wanted.malformed:
        return None, ["The arguments of conclude are no JSON object."]
    try:
        if wanted is not None:
            return read(wanted.arguments), []
        return (None if reply.wanted else read_text(reply.text)), []
    except CockpitError as error:
        return None, [str(error)]


def _send_back(dialogue: Dialogue, reply: Reply, problems: Sequence[str]) -> None:
    """Say what is wrong with a conclusion, in the place where its answer is expected."""
    text = prompt("correct", problems="\n".join(f"- {problem}" for problem in problems))
    if not reply.wanted:
        dialogue.say(text)
    for each in reply.wanted:
        dialogue.messages += not_run([each], text if each.name == CONCLUDE else "Not run: you concluded.")
