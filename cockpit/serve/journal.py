"""What the daemon says on standard error: one line a fact, cleaned and redacted, for people or for programs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import TextIO, TypeAlias

from cockpit.model import JSON, CockpitError, Event, Severity
from cockpit.store.reader import Reader
from cockpit.text import Redactor, clean, counted

POLL = 0.25
"""Seconds between two looks whether something new is in the log."""
QUIET = ("run", "choice")
"""Kinds of event that are many and of note only to whoever follows one incident."""
ALERTS_AT_ONCE = 20
"""Alerts of one look that are told one by one; those of a storm that come after them are counted."""
GRAVE = {"escalated", "failed", "unknown", "down"}


class Level(IntEnum):
    """How grave a line is, as syslog counts."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


Fact: TypeAlias = tuple[Level, str, Mapping[str, JSON]]
"""How grave it is, what is said, and what programs are told besides."""


@dataclass
class Journal:
    """Writes lines, from any thread.

    Args:
        stream: where to.
        redactor: takes secrets out.
        as_json: one JSON object a line instead of text.
        prefixed: whether systemd's journal reads it: then a line starts with its priority, and bears no time.
    """

    stream: TextIO
    redactor: Redactor
    as_json: bool = False
    prefixed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _following: threading.Lock = field(default_factory=threading.Lock)
    _last: int = 0

    def say(self, level: Level, text: str, **fields: JSON) -> None:
        """Write one line; a stream that is gone or full of errors stops nothing."""
        self._write([(level, text, fields)])

    def _write(self, facts: Sequence[Fact]) -> None:
        lines = "".join(self._lines(facts))
        with self._lock, contextlib.suppress(OSError, ValueError):
            self.stream.write(lines)
            self.stream.flush()

    def _lines(self, facts: Sequence[Fact]) -> Iterator[str]:
        scrubbed = self.redactor.scrub([text for _, text, _ in facts])
        assert isinstance(scrubbed, list)
        for (level, _, fields), text in zip(facts, scrubbed, strict=True):
            told = clean(str(text))
            shown = self._json(level, told, fields) if self.as_json else self._plain(level, told)
            yield f"<{level.value}>{shown}\n" if self.prefixed else f"{shown}\n"

    def _plain(self, level: Level, text: str) -> str:
        return text if self.prefixed else f"{_time(time.time())} {level.name.lower():7} {text}"

    def _json(self, level: Level, text: str, fields: Mapping[str, JSON]) -> str:
        scrubbed = self.redactor.scrub(dict(fields))
        assert isinstance(scrubbed, dict)
        line = {"time": _time(time.time()), "level": level.name.lower(), "message": text, **scrubbed}
        return json.dumps(line, ensure_ascii=True).replace("\x7f", "\\u007f")

    async def follow(self, reader: Reader, after: int) -> None:
        """Write every event after that one, whichever process it comes from, until cancelled."""
        self._last, version = after, -1
        try:
            while True:
                with contextlib.suppress(CockpitError):  # a log that cannot be read now is told by whoever writes it
                    if (now := reader.version()) != version:
                        await asyncio.to_thread(self._catch_up, reader)
                        version = now
                await asyncio.sleep(POLL)
        finally:
            with contextlib.suppress(CockpitError):
                self._catch_up(reader)

    def _catch_up(self, reader: Reader) -> None:
        with self._following:
            while found := reader.events(after=self._last):
                self._write([*_facts(found)])
                self._last = found[-1].id


class LibraryLines(logging.Handler):
    """Brings what libraries log into the journal, from warnings on: their chatter holds addresses with tokens."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; its traceback is cut down to the error and its place."""
        text = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            text = f"{text}: {explained(error)}"
        level = Level.ERROR if record.levelno >= logging.ERROR else Level.WARNING
        self._journal.say(level, f"{record.name}: {text}", logger=record.name)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group of groups; of any other error itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error


def explained(error: BaseException) -> str:
    """An error in one line; one that is a bug names the place it came from."""
    error = next(leaves(error))
    if isinstance(error, CockpitError):
        return str(error)
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    code = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {error}{code}"


def read_by_systemd(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the stream is the one that systemd's journal reads, as $JOURNAL_STREAM says."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _facts(events: Sequence[Event]) -> Iterator[Fact]:
    """What was put into the log, line by line; of a storm of alerts the first, and how many more there are."""
    more: list[Event] = []
    told = 0
    for event in events:
        fires = event.kind == "alert" and not event.data.get("cleared")
        told += fires
        if fires and told > ALERTS_AT_ONCE:
            more.append(event)
        elif event.kind not in QUIET:
            yield _fact(event)
    if more:
        yield _summed_up(more)


def _summed_up(events: Sequence[Event]) -> Fact:
    services = counted(len({event.service for event in events}), "service")
    critical = sum(event.data.get("severity") == Severity.CRITICAL for event in events)
    text = f"More alerts fired: {counted(len(events), 'event')}, {critical} of them critical, of {services}."
    fields: dict[str, JSON] = {"kind": "alert", "first": events[0].id, "last": events[-1].id, "events": len(events)}
    return Level.WARNING, f"{text} See: cockpit incidents", fields


def _fact(event: Event) -> Fact:
    """What was put into the log."""
    where = f"incident {event.incident}: " if event.incident is not None else ""
    named = not event.service or event.text.startswith(event.service)
    service = "" if named else f"{event.service}: "
    fields: dict[str, JSON] = {
        "event": event.id,
        "kind": event.kind,
        "actor": event.actor,
        "incident": event.incident,
        "service": event.service,
        "at": _time(event.at),
    }
    return _level(event), f"{where}{service}{event.text} [{event.kind} by {event.actor}]", fields


def _level(event: Event) -> Level:
    if event.kind == "alert":
        return Level.NOTICE if event.data.get("cleared") else Level.WARNING
    words = {str(event.data.get(key)) for key in ("status", "state", "level")}
    if words & GRAVE:
        return Level.ERROR
    return Level.INFO if event.kind in ("note", "health") else Level.NOTICE


def _time(at: float) -> str:
    return f"{_second(int(at))}.{int(at % 1 * 1000):03d}Z"


@lru_cache(maxsize=16)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
