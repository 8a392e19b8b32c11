"""Questions of an operator, about an incident or about anything: a model looks, and answers in words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cockpit.agent.dialogue import TIME_LIMIT, Dialogue, ending
from cockpit.agent.dossier import age, bullets, told
from cockpit.agent.investigator import Investigator
from cockpit.agent.looking import Ended, Looks
from cockpit.agent.notes import notes_for
from cockpit.agent.offers import Toolbox
from cockpit.agent.prompts import prompt
from cockpit.agent.quoting import quoted
from cockpit.agent.topology import near
from cockpit.llm.conversation import Message, Prompt, Reply, Speaker
from cockpit.model import JSON, Incident, IncidentStatus, Severity
from cockpit.model.inquiries import Estimate, Inquiry, InquiryState
from cockpit.text import clean, shorten

BEFORE, INCIDENTS, NOTES = 4, 8, 3
"""Earlier questions, open incidents and notes that are told at the most."""
ROOM = 9000
"""Characters of what is told of the incident that a question is about."""


@dataclass
class Questions:
    """Answers by looking; nothing is proposed."""

    investigator: Investigator

    async def price(self, inquiry: Inquiry) -> Estimate:
        """What answering a question would cost. Raises NoModel when none can be asked."""
        incident = self._incident(inquiry)
        looks = self._looks(inquiry, incident)
        first = Prompt(tuple(self._first(inquiry, incident, looks)), looks.toolbox.offers(conclude=False))
        return await self.investigator.models.estimate(first, severity=_severity(incident), hard=False)

    async def work(self, inquiry: Inquiry) -> None:
        """Answer a question, and end its inquiry, which was begun before."""
        log = self.investigator.analyst.store.inquiries
        incident = self._incident(inquiry)
        with ending(log, inquiry):
            looks, severity = self._looks(inquiry, incident), _severity(incident)
            first = self._first(inquiry, incident, looks)
            dialogue = Dialogue(self.investigator.models, log, inquiry, severity, False, first)
            async with asyncio.timeout(TIME_LIMIT):
                reply = await self._until_answered(dialogue, looks)
            text = str(clean(reply.text, lines=True)).strip()
            known = {run.id for run in looks.runs}
            named = [number for found in re.findall(r"\brun (\d{1,9})\b", text) if (number := int(found)) in known]
            answer: dict[str, JSON] = {"text": text, "runs": list(dict.fromkeys(named)), "model": reply.model}
            log.finish(inquiry.id, InquiryState.ANSWERED, shorten(" ".join(text.split()), 200), answer)

    async def _until_answered(self, dialogue: Dialogue, looks: Looks) -> Reply:
        while True:
            reply = await dialogue.ask(looks.toolbox.offers(conclude=False))
            if not reply.wanted:
                if not reply.text.strip():
                    raise Ended("It answers nothing.")
                return reply
            await dialogue.go_on(reply, looks, now="answer_now")

    def _incident(self, inquiry: Inquiry) -> Incident | None:
        return self.investigator.analyst.store.reader.incident(inquiry.incident) if inquiry.incident else None

    def _looks(self, inquiry: Inquiry, incident: Incident | None) -> Looks:
        analyst = self.investigator.analyst
        toolbox = Toolbox(analyst.registry, analyst.services, self._scope(inquiry, incident))
        runs = self.investigator.runs(incident) if incident else []
        chose = analyst.store.inquiries.chose
        return Looks(inquiry, toolbox, analyst, chose, runs, self.investigator.settings.calls)

    def _scope(self, inquiry: Inquiry, incident: Incident | None) -> list[str]:
        services = self.investigator.analyst.services
        about = incident.service if incident else inquiry.service
        return near(services, about) or list(services)

    def _first(self, inquiry: Inquiry, incident: Incident | None, looks: Looks) -> list[Message]:
        system = prompt("question", calls=looks.most)
        parts = [self._about(inquiry, incident, looks.toolbox.near)]
        if incident and incident.service in self.investigator.analyst.services:
            parts.append(self.investigator.dossier.incident(incident, looks.runs, ROOM))
        return [Message(Speaker.SYSTEM, system), Message(Speaker.USER, "\n\n".join(parts))]

    def _about(self, inquiry: Inquiry, incident: Incident | None, scope: Iterable[str]) -> str:
        """The question, and what is known of all it may be about."""
        dossier = self.investigator.dossier
        facts = {"services": scope, "kinds": {name.partition("/")[0] for name in scope}}
        notes = [] if incident else notes_for(dossier.notes_folder, facts)[0]
        return prompt(
            "about",
            question=told(inquiry.question),
            found=self._found(incident) if incident else "",
            before=bullets(self._before(inquiry)),
            services=bullets(self._services()),
            incidents=bullets(self._incidents()),
            changes="" if incident else bullets(dossier.changes(scope)),
            notes="\n\n".join(told(note.text) for note in notes[:NOTES]),
        )

    def _services(self) -> Iterable[str]:
        for watched in self.investigator.dossier.reader.services():
            note = f" Its owner says: {told(watched.service.note, 200)}" if watched.service.note else ""
            yield f"{watched.service.name}, {watched.health.level}: {quoted(watched.health.summary, 160)}{note}"

    def _incidents(self) -> Iterable[str]:
        now = self.investigator.analyst.clock()
        for incident in self.investigator.dossier.reader.incidents(unresolved_only=True)[:INCIDENTS]:
            what = f"incident {incident.id} on {quoted(incident.service, 80)}, {incident.status}"
            yield f"{what}, for {age(now - incident.opened_at)}: {quoted(incident.title)}"

    def _found(self, incident: Incident) -> str:
        """What the investigations before came to."""
        ended = "It is over." if incident.status is IncidentStatus.RESOLVED else ""
        cause = f"The cause was found to be: {quoted(incident.cause, 600)}" if incident.cause else ""
        return f"{cause} {ended}".strip()

    def _before(self, inquiry: Inquiry) -> Iterable[str]:
        asked = self.investigator.dossier.reader.asked
        earlier = asked.of(inquiry.incident) if inquiry.incident else []
        answered = [each for each in earlier if each.question and each.answer and each.id < inquiry.id]
        for each in reversed(answered[:BEFORE]):
            yield f"{told(each.question, 300)} Answered: {quoted(str(each.answer.get('text', '')), 600)}"


def _severity(incident: Incident | None) -> Severity:
    return incident.severity if incident else Severity.INFO
