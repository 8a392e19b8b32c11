"""Who is told what, and when: by severity, by kind of message, in quiet hours, in turn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cockpit.agent.spans import quiet_end, zone_of
from cockpit.model import Severity
from cockpit.serve.notify.messages import Message
from cockpit.settings import Settings

TICKETS = "gitea"
"""The channel that opens and closes issues."""


@dataclass(frozen=True)
class Route:
    """What one channel takes."""

    name: str
    min_severity: Severity = Severity.INFO
    only: tuple[str, ...] = ()
    quiet_hours: tuple[str, str] | None = None
    zone: str = ""
    later: bool = False
    """Whether it is told only when its turn in the escalation has come, and of the end of what it was told of."""

    def takes(self, message: Message, told: Collection[str]) -> bool:
        """Whether a message goes there; `told` are the channels that were told of its incident before."""
        if message.channel:
            return message.channel == self.name
        if self.only and message.kind not in self.only:
            return False
        if message.kind == "resolved":
            return self.name in told
        return not self.later and message.severity.rank >= self.min_severity.rank

    def not_before(self, message: Message, now: float) -> float:
        """When it may be told: now, or once the quiet hours end."""
        end = quiet_end(self.quiet_hours, zone_of(self.zone), now)
        return now if end is None or message.severity is Severity.CRITICAL else end


def routes(settings: Settings) -> list[Route]:
    """A route for each channel of the config."""
    later = settings.escalation.order[1:] if settings.escalation else ()
    found = [
        Route(each.name, each.min_severity, each.only, each.quiet_hours, each.zone, each.name in later)
        for each in settings.notify
    ]
    return [*found, Route(TICKETS, only=("escalated", "resolved"))] if settings.gitea else found
