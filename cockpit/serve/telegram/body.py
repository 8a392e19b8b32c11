"""What one message says, as plain data: parts of text with a style, buttons, perhaps a document.

Text is never written as markup. Each part is a span of its own, which becomes an entity when
the message is sent, so nothing in a stranger's text can be taken for a sign of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cockpit.model import JSON
from cockpit.settings.daemon import Right
from cockpit.text import clean, shorten

LONGEST = 4096
"""UTF-16 units that one message may have."""
BOLD, CODE, PRE, DIFF = "bold", "code", "pre", "diff"


@dataclass
class Body:
    """A message that is being written; `data` is what the outbox keeps."""

    parts: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[list[Mapping[str, JSON]]] = field(default_factory=list)
    silent: bool = False
    reply_to: str = ""
    """The subject of the message that it answers."""
    document: Mapping[str, str] | None = None

    def add(self, text: str, style: str = "") -> Body:
        """Append a piece of text, from anyone."""
        if text:
            self.parts.append((style, clean(text, lines=True)))
        return self

    def line(self, label: str, text: str, limit: int = 500) -> Body:
        """Append a line with a label, unless there is nothing to say."""
        if text:
            self.add(f"\n{label}: ", BOLD).add(shorten(clean(text), limit))
        return self

    def block(self, label: str, text: str, limit: int, style: str = PRE) -> Body:
        """Append a block of code under a label; what does not fit is cut off with a sign."""
        if text:
            self.add(f"\n{label}\n", BOLD).add(shorten(clean(text, lines=True), limit), style)
        return self

    def row(self, *buttons: Mapping[str, JSON]) -> Body:
        """Append a row of buttons."""
        self.buttons.append(list(buttons))
        return self

    @property
    def data(self) -> dict[str, JSON]:
        """The message as plain data."""
        result: dict[str, JSON] = {"parts": [list(part) for part in self.parts], "silent": self.silent}
        if self.buttons:
            result["buttons"] = [list(row) for row in self.buttons]
        if self.reply_to:
            result["reply_to"] = self.reply_to
        if self.document:
            result["document"] = dict(self.document)
        return result


def button(
    label: str, action: str, right: Right, *, until: float | None = None, digest: str = "", people: int = 1
) -> Mapping[str, JSON]:
    """A button as the outbox keeps it; its token is made when it is sent."""
    return {"label": label, "action": action, "right": right, "until": until, "digest": digest, "people": people}


@dataclass(frozen=True)
class Span:
    """A styled stretch of a text, in UTF-16 units."""

    type: str
    offset: int
    length: int
    language: str | None = None


def rendered(body: Mapping[str, Any]) -> tuple[str, Sequence[Span]]:
    """The text of a message and its styled spans, cut off where Telegram would refuse it."""
    text, spans, position = "", [], 0
    for style, piece in body["parts"]:
        room = LONGEST - position
        fitting = piece if units(piece) <= room else cut(piece, room)
        if not fitting:
            break
        if style:
            language = "diff" if style == DIFF else None
            spans.append(Span(PRE if style == DIFF else style, position, units(fitting), language))
        text += fitting
        position += units(fitting)
    return text, spans


def units(text: str) -> int:
    """The length of a text as Telegram counts it, in UTF-16 units."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, room: int) -> str:
    """As much of a text as fits into so many units, with a sign at its end; empty when not even that fits."""
    kept, used = [], 1
    for character in text:
        used += 2 if character > "\uffff" else 1
        if used > room:
            break
        kept.append(character)
    return "".join(kept) + "…" if room > 1 else ""
