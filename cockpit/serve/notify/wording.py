"""What waits for a channel as one message: a line an incident, short, and without anything that calls for people."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cockpit.model import Severity
from cockpit.store.notices import Notice
from cockpit.text import clean

LINE = 400
"""Characters of one line at the most."""
LONGEST = 1900
"""Characters of one message at the most; some chats take no more than 2000."""
CALLS = re.compile(r"@(?=everyone|here|channel|all|room)|<(?=[!@#&])", re.IGNORECASE)
"""What makes chats call everyone, or somebody, when it stands in a text."""


def worst(notices: Sequence[Notice]) -> Severity:
    """The highest severity among them."""
    return max((notice.severity for notice in notices), key=lambda severity: severity.rank)


def title(notices: Sequence[Notice]) -> str:
    """One line for what may be many."""
    lines = gathered(notices)
    if len(lines) == 1:
        return f"{lines[0].severity}: {_harmless(lines[0].service) or 'cockpit'}, {lines[0].kind}"
    return f"cockpit: {len(lines)} messages, {worst(lines)} the worst"


def body(notices: Sequence[Notice]) -> str:
    """The last of each incident on a line of its own, as many as there is room for."""
    lines = [_line(notice) for notice in gathered(notices)]
    shown, room = 0, LONGEST - len("… and 1000 more. See: cockpit incidents")
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        shown += 1
    rest = [f"… and {len(lines) - shown} more. See: cockpit incidents"] if shown < len(lines) else []
    return "\n".join([*lines[:shown], *rest])


def gathered(notices: Sequence[Notice]) -> list[Notice]:
    """The last of each incident, and all that belong to none, oldest first."""
    last: dict[tuple[str, int], Notice] = {}
    for notice in sorted(notices, key=lambda notice: notice.event):
        key = ("event", notice.event) if notice.incident is None else ("incident", notice.incident)
        last.pop(key, None)
        last[key] = notice
    return list(last.values())


def _line(notice: Notice) -> str:
    about = f" (incident {notice.incident})" if notice.incident is not None else ""
    text = _harmless(f"[{notice.severity}] {notice.service}: {notice.text}")
    return (text if len(text) <= LINE else f"{text[: LINE - 1]}…") + about


def _harmless(text: str) -> str:
    """Cleaned, on one line, and with a joiner of no width within what would call for people."""
    return CALLS.sub(lambda call: f"{call[0]}\u2060", " ".join(clean(text).split()))
