"""Which models may be asked, in what order, and for how much: the table `models`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cockpit.model import Tier

if TYPE_CHECKING:
    from cockpit.settings.tables import Secret


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
    unasked: tuple[str, ...] = ()
    """Tools whose calls need no person's yes when a model proposes them, where the policy wants none either."""
    idle_minutes: float = 10.0
    """Minutes without a question after which the worker process ends."""
