"""Checks the configured models, without sending anything to one."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from cockpit.cli.crash import redactor
from cockpit.cli.doctor import Check, wrong
from cockpit.llm.process import Worker
from cockpit.model import CockpitError, Tier
from cockpit.settings.models import Model, ModelsSettings
from widgets.figures import dollars

REACHED_WITHIN = 5.0
"""Seconds a local server may take to take a connection."""
PORTS = {"http": 80, "https": 443}


async def checks(settings: ModelsSettings) -> list[Check]:
    """Whether each model's key is there, its price known, and a local one's server reachable."""
    worker = Worker(idle=60.0)  # it knows the prices, and is started when one is asked for
    try:
        found = await asyncio.gather(*(_model(model, worker) for model in settings.models))
    finally:
        await worker.close()
    budget = f"{dollars(settings.month)} a month, {dollars(settings.day)} a day and {dollars(settings.incident)}"
    return [Check("models", f"they may cost {budget} an incident"), *found]


async def _model(model: Model, worker: Worker) -> Check:
    what = f"model {model.name}"
    try:
        key = _key(model)
        cost = await _cost(model, worker)
        reached = await _reached(model)
    except CockpitError as error:
        return wrong(what, error)
    return Check(what, ", ".join(part for part in (model.model, model.tier, key, cost, reached) if part))


def _key(model: Model) -> str:
    if model.key is None:
        return "" if model.tier is Tier.LOCAL else "without a key"
    redactor.add(model.key.fetched(), model.key.name)
    return "its key is there"


async def _cost(model: Model, worker: Worker) -> str:
    if model.input_price is not None and model.output_price is not None:
        return f"{_prices(model.input_price, model.output_price)} by the config"
    if model.tier is Tier.LOCAL:
        return "costs nothing"
    price = await worker.price(model.model)
    if price is None:
        raise CockpitError(
            "nobody knows its price, so it is not asked",
            f"Add 'input_price' and 'output_price' to [models.{model.name}], or tier = \"local\".",
        )
    return _prices(price[0] * 1e6, price[1] * 1e6)


def _prices(given: float, made: float) -> str:
    return f"{dollars(given)} and {dollars(made)} for a million tokens"


async def _reached(model: Model) -> str:
    """Whether a local server takes a connection; one without an address of its own is litellm's to find."""
    if model.tier is not Tier.LOCAL or not model.base_url:
        return ""
    address = urlsplit(model.base_url)
    port = address.port or PORTS[address.scheme]
    try:
        async with asyncio.timeout(REACHED_WITHIN):
            _, writer = await asyncio.open_connection(address.hostname, port)
    except OSError as error:  # a time-out is one as well
        why = error.strerror or f"no answer within {REACHED_WITHIN:.0f} s"
        raise CockpitError(
            f"{model.base_url} cannot be reached: {why}", "Start its server, or correct its base_url."
        ) from None
    writer.close()
    return f"{model.base_url} is reachable"
