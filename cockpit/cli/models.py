"""Lists the models, and prints what was sent to them."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from cockpit.cli import output
from cockpit.cli.exits import OK
from cockpit.cli.opening import reading, settings_of
from cockpit.llm.accounts import budgets, standings
from cockpit.model.accounts import Budget, ModelStanding
from cockpit.model.inquiries import CallOutcome, Inquiry, ModelCall
from cockpit.screens.courses import course
from cockpit.store.reader import Reader
from widgets.figures import dollars, duration, moment
from widgets.inquiry import followed_lines
from widgets.line import plain

LATELY = 20
"""The last calls that are listed."""


def models(arguments: Namespace) -> int:
    """List the models: record, cost, what is left of the budget, why one is not asked, and the last calls."""
    settings, now = settings_of(arguments), time.time()
    if settings.models is None:
        if arguments.json:
            output.as_json(models=[], budgets=[], calls=[])
        output.talk("No model is configured. Add a table [models.NAME] to the config.")
        return OK
    with reading(settings) as reader:
        if reader is None:
            output.talk("Nothing was asked yet: nothing was ever recorded.")
            return OK
        found = standings(settings.models, reader.asked, now)
        purses, calls = budgets(settings.models, reader.asked, now), reader.asked.lately(LATELY)
    if arguments.json:
        output.as_json(
            models=[asdict(each) for each in found],
            budgets=[{**asdict(each), "used": each.used} for each in purses],
            calls=[brief(call) for call in calls],
        )
        return OK
    _print(found, purses, calls, now)
    return OK


def _print(found: Sequence[ModelStanding], purses: Sequence[Budget], calls: Sequence[ModelCall], now: float) -> None:
    headings = ("model", "tier", "calls", "answered", "tokens", "cost", "takes", "confirmed", "why it is not asked")
    output.table(headings, [_row(each) for each in found])
    output.line()
    for each in purses:
        left = max(each.limit - each.spent, 0.0)
        output.line(f"{each.name:6} {dollars(each.spent)} of {dollars(each.limit)} used, {dollars(left)} left")
    if calls:
        output.line()
    output.table(
        ("when", "inquiry", "model", "outcome", "took", "cost", "what came"),
        [
            (
                moment(call.at, now),
                call.inquiry,
                call.model,
                call.outcome,
                duration(call.seconds),
                dollars(call.dollars),
                call.error or f"{call.input_tokens} + {call.output_tokens} tokens",
            )
            for call in calls
        ],
    )


def _row(each: ModelStanding) -> tuple[output.Cell, ...]:
    record = each.record
    return (
        each.name,
        each.tier or "gone",
        record.calls,
        record.answered,
        f"{record.input_tokens} + {record.output_tokens}",
        dollars(record.dollars),
        duration(record.seconds) if record.answered else None,
        f"{record.confirmed}/{record.diagnoses}",
        each.unasked,
    )


def brief(call: ModelCall) -> dict[str, Any]:
    """A call as plain data, without what was sent and answered."""
    return {name: value for name, value in asdict(call).items() if name not in ("sent", "reply")}


def told(reader: Reader, incident: int) -> list[dict[str, Any]]:
    """What was asked about an incident, oldest first, each with its calls."""
    return [
        {**asdict(each), "calls": [brief(call) for call in reader.asked.costs(each.id)]}
        for each in reversed(reader.asked.of(incident))
    ]


def lines(reader: Reader, incident: int) -> Iterator[str]:
    """What was asked about an incident, oldest first, as the screen shows it."""
    for each in reversed(reader.asked.of(incident)):
        yield ""
        yield from (plain(line).rstrip() for line in followed_lines(course(reader, each.id), 100))


def sent(reader: Reader, incident: int, *, as_json: bool) -> None:
    """Print what was sent to models for an incident, exactly as it left."""
    calls = [call for each in reversed(reader.asked.of(incident)) for call in reader.asked.calls(each.id)]
    if as_json:
        output.as_json(calls=[asdict(call) for call in calls])
        return
    for call in calls:
        answered = call.outcome is CallOutcome.ANSWERED
        came = f"{call.input_tokens} + {call.output_tokens} tokens, {dollars(call.dollars)}" if answered else call.error
        output.line(f"Call {call.id}, inquiry {call.inquiry}, {call.model}: {call.outcome}, {came}".rstrip(", "))
        output.line(json.dumps(call.sent, ensure_ascii=False, indent=2))
    if not calls:
        output.talk(f"Nothing was sent to any model for incident {incident}.")


def asking_table(found: Sequence[Inquiry]) -> None:
    """Print what waits for a person's yes, with what it would cost."""
    output.line()
    output.table(
        ("asks", "incident", "service", "model", "about", "question"),
        [
            (
                each.id,
                each.incident,
                each.service or None,
                each.estimate.model if each.estimate else None,
                dollars(each.estimate.dollars) if each.estimate else None,
                each.question or "why?",
            )
            for each in found
        ],
    )
    output.talk("A model is asked once you say so: cockpit allow ID, or m on the screen.")
