"""What each model did and what may still be spent, for whoever only looks: from the log and the config alone."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from cockpit.model import CockpitError, Tier
from cockpit.model.inquiries import Budget, ModelRecord, ModelStanding
from cockpit.settings.models import Model, ModelsSettings
from cockpit.store.asked import Asked

NEVER = ModelRecord("", 0, 0, 0, 0, 0.0, 0.0, 0, 0)


def budgets(settings: ModelsSettings, asked: Asked, now: float) -> tuple[Budget, Budget]:
    """The budget of the calendar month and that of the day, in local time."""
    year, month, day = time.localtime(now)[:3]
    return (
        Budget("month", asked.spent(_midnight(year, month, 1)), settings.month),
        Budget("day", asked.spent(_midnight(year, month, day)), settings.day),
    )


def standings(settings: ModelsSettings, asked: Asked, now: float) -> list[ModelStanding]:
    """Every configured model in the order of the config, then those that the log knows of besides."""
    records = {record.model: record for record in asked.records()}
    used = next((budget.name for budget in budgets(settings, asked, now) if budget.used >= 1.0), "")
    found = [_standing(each, records.pop(each.name, replace(NEVER, model=each.name)), used) for each in settings.models]
    return [*found, *(ModelStanding(name, record) for name, record in records.items())]


def _standing(model: Model, record: ModelRecord, used: str) -> ModelStanding:
    return ModelStanding(model.name, record, model.model, model.tier, " ".join(_unasked(model, used)))


def _unasked(model: Model, used: str) -> Iterable[str]:
    if used and model.tier is not Tier.LOCAL:
        yield f"The budget of the {used} is used up; only local models are asked."
    if model.key:
        try:
            model.key.fetched()
        except CockpitError as error:
            yield str(error)


def _midnight(year: int, month: int, day: int) -> float:
    return time.mktime((year, month, day, 0, 0, 0, 0, 0, -1))
