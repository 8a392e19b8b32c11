"""Who is told next when nobody answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cockpit.agent.elapsed import Elapsed
from cockpit.agent.silences import Silences
from cockpit.model import Incident, IncidentStatus
from cockpit.settings.daemon import Escalation
from cockpit.store.notices import Unanswered
from cockpit.store.store import Store

POLL = 1.0
WAITS = (IncidentStatus.WAITING, IncidentStatus.ESCALATED)
GOES_ON = (IncidentStatus.OPEN, IncidentStatus.INVESTIGATING)
"""An incident that is looked at once more counts on: it has waited for a person already."""


@dataclass
class Escalations:
    """Counts for how long incidents wait for a person, and hands them to one channel after the other.

    Args:
        store: the log, which keeps how far each has come.
        settings: in which order, and after how long.
        silences: a muted service is handed to nobody.
    """

    store: Store
    settings: Escalation
    silences: Silences
    clock: Callable[[], float] = time.time
    elapsed: Elapsed = field(default_factory=Elapsed)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(POLL)

    def look(self) -> None:
        """Take every step whose time has come."""
        incidents = {incident.id: incident for incident in self.store.reader.incidents(unresolved_only=True)}
        known = {waiting.incident for waiting in self.store.notices.unanswered()}
        for incident in incidents.values():
            if incident.status in WAITS and incident.id not in known:
                self.store.notices.wait_for_person(incident.id, self.clock())
        for waiting in self.store.notices.unanswered():
            found = incidents.get(waiting.incident)
            if found is None or found.status not in (*WAITS, *GOES_ON):
                self.store.notices.stop_waiting(waiting.incident)
                self.elapsed.forget(str(waiting.incident))
            elif found.status in WAITS:
                self._step(found, waiting)

    def _step(self, incident: Incident, waiting: Unanswered) -> None:
        passed = self.elapsed.since(str(incident.id), waiting.since)
        step = waiting.step + 1
        if step >= len(self.settings.order) or passed < step * self.settings.after_minutes * 60.0:
            return
        if self.silences.why(incident.service) or self.store.notices.answered(incident.id, waiting.since):
            return
        channel = self.settings.order[step]
        text = f"Nobody answered for {passed / 60.0:.0f} min: '{channel}' is told next."
        self.store.notices.escalate(incident.id, incident.service, step, channel, text)
