"""In which order models are asked: by what is at stake, by how they did with such incidents, then by the config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cockpit.model import Severity, Tier
from cockpit.settings.models import Model

ENOUGH = 5
"""Causes a model must have given for a kind of service before its record counts."""
UNKNOWN = 0.5
"""The share that stands for a record that does not count yet: a poor one is behind it, a good one before."""


def in_order(
    models: Sequence[Model], severity: Severity, shares: Mapping[str, tuple[int, int]], *, hard: bool
) -> list[Model]:
    """The models, the one to ask first at the head; local ones are last.

    Args:
        models: in the order of the config.
        severity: how bad the incident is.
        shares: by model, causes given and confirmed for this kind of service.
        hard: whether it is complex.
    """
    strong_first = severity is Severity.CRITICAL and hard
    tiers = [Tier.STRONG, Tier.FAST] if strong_first else [Tier.FAST, Tier.STRONG]
    rank = {tier: number for number, tier in enumerate([*tiers, Tier.LOCAL])}
    return sorted(models, key=lambda model: (rank[model.tier], -_share(shares.get(model.name, (0, 0)))))


def _share(record: tuple[int, int]) -> float:
    given, confirmed = record
    return confirmed / given if given >= ENOUGH else UNKNOWN
