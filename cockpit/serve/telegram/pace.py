"""How fast, how often and how late things are said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cockpit.safety.policy import quiet

MORNING = "07:00"


@dataclass(frozen=True)
class Pace:
    """Times in seconds; the defaults obey Telegram's limits."""

    hold: float = 2.0
    """An incident waits so long for its cause, so that both come in one message."""
    gather: float = 60.0
    """What nobody has to be called for is collected for so long."""
    settle: float = 1.0
    """A message about an incident is not edited more often than this."""
    look: float = 0.2
    """Between two looks for news in the log."""
    private: float = 1.0
    """Between two messages to a private chat."""
    group: float = 3.0
    """Between two messages to a group, which Telegram lets have 20 a minute."""
    poll: float = 30.0
    """How long Telegram may hold a request for updates open."""
    timeout: float = 10.0
    """How long any other request may take."""
    longest_pause: float = 60.0
    """Between two attempts while Telegram does not answer, at the most; the first comes after half a second."""
    head: float = 60.0
    """Between two looks whether the head of the log has to be sent today."""
    check: float = 60.0
    """Between two looks whether Telegram can bring updates, where it is to."""
    type_name: float = 120.0
    """How long a person may take to type a name."""


def quiet_end(hours: tuple[str, str] | None, now: float) -> float | None:
    """When the quiet hours that are on now end; None when they are not on."""
    local = datetime.fromtimestamp(now)
    if hours is None or not quiet(hours, local.time()):
        return None
    return _next(hours[1], local)


def morning(hours: tuple[str, str] | None, now: float) -> float:
    """The next morning: when the quiet hours end, else at 7."""
    return _next(hours[1] if hours else MORNING, datetime.fromtimestamp(now))


def _next(clock: str, local: datetime) -> float:
    hour, minute = (int(part) for part in clock.split(":"))
    at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (at if at > local else at + timedelta(days=1)).timestamp()
