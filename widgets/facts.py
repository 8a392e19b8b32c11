"""What is known of a service: its state, its config without secrets, and what it depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cockpit.model import JSON
from widgets.figures import age, duration
from widgets.line import Ink, Line, block, line
from widgets.plan import text_of
from widgets.services import Seen
from widgets.signs import LEVELS


@dataclass(frozen=True)
class Facts:
    """A service with its surroundings."""

    seen: Seen
    dependants: tuple[str, ...] = ()
    options: Mapping[str, JSON] | None = None
    """The options of its kind that hold no secret; None while the config has not been read."""


def fact_lines(facts: Facts, now: float, room: int) -> Iterator[Line]:
    """The facts, one labelled line each."""
    watched = facts.seen.watched
    service, health = watched.service, watched.health
    sign = LEVELS[health.level]
    since = f"  for {age(now - watched.since)}" if watched.since and now - watched.since >= 60 else ""
    yield line((f" {sign.glyph} {sign.word}", sign.ink), (f"  {service.name}", Ink.STRONG), (since, Ink.DIM))
    yield from block("Now", health.summary, room)
    yield from block("Latency", duration(health.latency), room)
    yield from block("Needs", ", ".join(service.depends_on) or "nothing else that is watched", room)
    yield from block("Needed by", ", ".join(facts.dependants) or "nothing else that is watched", room)
    if service.note:
        yield from block("Note", service.note, room, Ink.WARN)
    yield from block(
        "Probe", f"every {duration(service.interval)}, given up after {duration(service.timeout)}", room, Ink.DIM
    )
    marks = [
        *(("critical",) if service.critical else ()),
        *(("expected down",) if service.expected_down else ()),
        *service.tags,
    ]
    if marks:
        yield from block("Marks", ", ".join(marks), room, Ink.DIM)
    for index, (name, value) in enumerate((facts.options or {}).items()):
        yield from block("Config" if index == 0 else "", f"{name} = {text_of(value)}", room, Ink.DIM)
