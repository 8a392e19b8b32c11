"""Which models may be asked, in what order, and for how much: the table `models`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cockpit.model import Tier
from cockpit.settings.checks import chosen, dotted, fitted
from cockpit.settings.services import NAME
from cockpit.settings.tables import Key, table, tables
from cockpit.settings.values import Keys, Origin, SettingsError

if TYPE_CHECKING:
    from cockpit.settings.sources import Found
    from cockpit.settings.tables import Secret
    from cockpit.settings.values import Settings

HIDDEN = ("addresses", "names")
TIERS = {tier.value: tier for tier in Tier}


@dataclass(frozen=True)
class Model:
    """One model that may be asked: a table `[models.NAME]`; they are asked in the order of the config."""

    name: str
    model: str
    """As litellm calls it, such as `openai/gpt-4o-mini` or `ollama_chat/qwen3`."""
    tier: Tier = Tier.FAST
    key: Secret | None = None
    base_url: str = ""
    """The server's address, where it is not the provider's own."""
    timeout: float = 60.0
    """Seconds one call may take."""
    input_price: float | None = None
    """Dollars per million input tokens, where litellm's price list is wrong or has none."""
    output_price: float | None = None


@dataclass(frozen=True)
class ModelsSettings:
    """Which models may be asked, and for how much."""

    models: tuple[Model, ...]
    ask: bool = False
    """Whether each inquiry waits for a person's yes, its estimated cost on show."""
    month: float = 1.0
    """Dollars a calendar month; at 80 % the operator is told, at 100 % only local models are asked."""
    day: float = 0.25
    incident: float = 0.10
    calls: int = 12
    """Diagnostics that one inquiry may run."""
    hide: tuple[str, ...] = ()
    """What is replaced by placeholders beside secrets before anything leaves: `addresses`, `names`."""
    idle_minutes: float = 10.0
    """Minutes without a question after which the worker process ends."""


def models(found: Found) -> ModelsSettings | None:
    """The table `models`; None where no model is configured. Raises SettingsError naming the place of what is wrong."""
    general: Found = {}
    each: Found = {}
    for keys, entry in found.items():
        if keys[0] == "models":
            (general if len(keys) == 2 and entry[0] != {} else each)[keys] = entry
    values = table("models", general, GENERAL) or {}
    configured = tuple(_model(name, table, found) for name, table in tables("models", each, MODEL).items())
    return ModelsSettings(configured, **values) if configured else None


def keys_of(settings: Settings) -> Iterator[Secret]:
    """The keys of the configured models."""
    return (model.key for model in (settings.models.models if settings.models else ()) if model.key is not None)


def _model(name: str, values: dict[str, Any], found: Found) -> Model:
    origin = next(origin for keys, (_, origin) in found.items() if keys[:2] == ("models", name))
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"{origin}: '{dotted(('models', name))}' is no name that can be used.",
            "Use letters, digits, '-', '_' and '.'.",
        )
    if ("input_price" in values) != ("output_price" in values):
        raise SettingsError(
            f"{origin}: '{dotted(('models', name))}' has one price and not the other.",
            "Give both 'input_price' and 'output_price', in dollars per million tokens.",
        )
    return Model(name, **values)


def _litellm_name(keys: Keys, raw: Any, origin: Origin) -> str:
    text: str = fitted(keys, raw, origin, str)
    if not re.fullmatch(r"[^\s/][^\s]*", text):
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' must be a model as litellm calls it.",
            'Write provider and model, like: model = "openai/gpt-4o-mini"',
        )
    return text


def _base_url(keys: Keys, raw: Any, origin: Origin) -> str:
    text: str = fitted(keys, raw, origin, str)
    if not re.fullmatch(r"(?:https?://[^\s/@?#]+(?:/[^\s?#]*)?)?", text):
        raise SettingsError(
            f"{origin}: '{dotted(keys)}' must be an address of the web, without a password in it.",
            'Write it like: base_url = "http://127.0.0.1:8080/v1"',
        )
    return text.rstrip("/")


def _hide(keys: Keys, raw: Any, origin: Origin) -> tuple[str, ...]:
    known = {what: what for what in HIDDEN}
    return tuple(chosen(keys, what, origin, known) for what in fitted(keys, raw, origin, list))


GENERAL = {
    "ask": Key(bool),
    "month": Key(float, least=0.0),
    "day": Key(float, least=0.0),
    "incident": Key(float, least=0.0),
    "calls": Key(int, least=1),
    "hide": Key(read=_hide),
    "idle_minutes": Key(float, least=0.1),
}
MODEL = {
    "model": Key(required=True, read=_litellm_name),
    "tier": Key(choices=TIERS),
    "key": Key(secret=True),
    "base_url": Key(read=_base_url),
    "timeout": Key(float, least=1.0),
    "input_price": Key(float, least=0.0),
    "output_price": Key(float, least=0.0),
}
