"""What each model did and what may still be spent, for whoever only looks: from the config and the log alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from cockpit.llm.breaker import Breaker
from cockpit.model import CockpitError, Tier
from cockpit.model.accounts import Budget, ModelStanding
from cockpit.model.inquiries import CallOutcome, ModelCall, ModelRecord
from cockpit.settings.models import Model, ModelsSettings
from cockpit.store.asked import Asked

NEVER = ModelRecord("", 0, 0, 0, 0, 0.0, 0.0, 0, 0)
LATELY = 200
"""The newest calls from which it is told whether a model is left alone."""


def budgets(settings: ModelsSettings, asked: Asked, now: float) -> tuple[Budget, Budget]:
    """The budget of the calendar month and that of the day, in local time."""
    today = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        Budget("month", asked.spent(today.replace(day=1).timestamp()), settings.month),
        Budget("day", asked.spent(today.timestamp()), settings.day),
    )


def standings(settings: ModelsSettings, asked: Asked, now: float) -> list[ModelStanding]:
    """Every configured model in the order of the config, then those that the log knows of besides."""
    records = {record.model: record for record in asked.records()}
    used = next((budget.name for budget in budgets(settings, asked, now) if budget.used >= 1.0), "")
    calls = asked.lately(LATELY)
    found = []
    for model in settings.models:
        own = [call for call in reversed(calls) if call.model == model.name]
        why = " ".join((*_unpaid(model, used), *_without_key(model), *_left_alone(own, now)))
        record = records.pop(model.name, replace(NEVER, model=model.name))
        found.append(ModelStanding(model.name, record, model.model, model.tier, why))
    return [*found, *(ModelStanding(name, record) for name, record in records.items())]


def _unpaid(model: Model, used: str) -> Iterator[str]:
    if used and model.tier is not Tier.LOCAL:
        yield f"The budget of the {used} is used up; only local models are asked."


def _without_key(model: Model) -> Iterator[str]:
    try:
        if model.key:
            model.key.fetched()
    except CockpitError as error:
        yield str(error)


def _left_alone(calls: Sequence[ModelCall], now: float) -> Iterator[str]:
    """Why whoever asks models leaves this one alone, as its last calls tell it; oldest first."""
    moment = now
    breaker = Breaker(lambda: moment)
    for call in calls:
        moment = call.at + call.seconds
        if call.outcome is CallOutcome.ANSWERED:
            breaker.worked()
        else:
            breaker.failed(call.outcome, lasting=True)
    moment = now
    if breaker.left and breaker.why:
        until = datetime.fromtimestamp(now + breaker.left).strftime("%H:%M")
        yield f"It is left alone until about {until}, for its last call was {breaker.why}: {calls[-1].error}"
