"""Asks the configured models in order, within the budget; every call is kept in the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from cockpit.llm.breaker import Breaker
from cockpit.llm.budget import Budget, Spent
from cockpit.llm.call import Caller, Came, Heard, Order
from cockpit.llm.choice import in_order
from cockpit.llm.conversation import Prompt, Reply
from cockpit.llm.process import Worker
from cockpit.llm.requests import MOST_SAID, body, size
from cockpit.llm.veil import Veil
from cockpit.model import JSON, CockpitError, Severity, Tier
from cockpit.model.inquiries import CallOutcome, Estimate, Inquiry
from cockpit.settings.models import Model, ModelsSettings
from cockpit.store.store import Store
from cockpit.text import LONGEST_PLAIN, Redactor

Value = TypeVar("Value")

TURNS, GROWTH, SAID = 6, 700, 300
"""How an inquiry usually goes: its calls, the tokens each adds to the next, the tokens said in each."""
MARGIN = 1.25
"""The count of tokens before a call is not exact: so many times it are held back from the budget."""
PATIENCE = 20.0
"""Seconds that are waited for a model whose rate limit ends by then, where no other answers."""
SOON = 0.1
"""Seconds after which a model is asked again that did nothing wrong: the worker died."""
REMEMBERED = 64
"""Long texts whose redacted form is remembered: each call says again what the one before said."""


class NoModel(CockpitError):
    """No model could be asked, or none answered; the message says why of each."""


class _Passed(Exception):
    """One model was not asked, or did not answer."""

    def __init__(self, why: str, fix: str = "", *, again_in: float | None = None) -> None:
        super().__init__(why)
        self.fix = fix
        self.again_in = again_in


@dataclass(frozen=True)
class _Ready:
    """A prompt that may leave."""

    body: Mapping[str, JSON]
    tokens: int
    keys: Mapping[str, str | CockpitError]
    """By model its key, or why there is none."""


class Models:
    """Asks the configured models in order, within the budget; every call is kept in the log.

    Args:
        settings: the models and the budget.
        store: the log.
        redactor: takes secrets out of all that is sent.
        names: what is hidden from models beside secrets, where the settings say so.
        clock: tells the time of a call, its day and its month.
        worker: the process that talks to them, where others use it as well; else one of its own.
    """

    def __init__(
        self,
        settings: ModelsSettings,
        store: Store,
        redactor: Redactor,
        *,
        names: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
        worker: Worker | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._redactor = redactor
        self._veil = Veil(settings.hide, names)
        self._worker = worker or Worker(settings.idle_minutes * 60)
        self._caller = Caller(self._worker, store, self._veil, clock)
        self._budget = Budget(settings, store, clock)
        self._breakers = {model.name: Breaker() for model in settings.models}
        self._prices: dict[str, tuple[float, float] | None] = {}
        self._written = lru_cache(REMEMBERED)(self._write)

    async def warm(self) -> None:
        """Start the worker ahead of the first question. Raises CockpitError when it does not start."""
        await self._worker.warm()

    async def close(self) -> None:
        """End the worker."""
        await self._worker.close()

    async def estimate(self, prompt: Prompt, *, severity: Severity, hard: bool, kind: str = "") -> Estimate:
        """Who would be asked first, and what an inquiry that begins so costs as they usually go.

        Args:
            prompt: the first one.
            severity: how bad the incident is.
            hard: whether it is complex.
            kind: the kind of service it is about.

        Raises NoModel.
        """
        ready = await asyncio.to_thread(self._ready, prompt)
        passed: dict[str, _Passed] = {}
        for model in self._order(severity, kind, hard=hard):
            try:
                given, made = await self._allowed(model, None)
            except _Passed as why:
                passed[model.name] = why
                continue
            tokens = TURNS * ready.tokens + GROWTH * TURNS * (TURNS - 1) // 2
            return Estimate(model.name, ready.tokens, tokens * given + TURNS * SAID * made)
        raise self._none(passed)

    async def ask(
        self,
        prompt: Prompt,
        *,
        inquiry: Inquiry,
        severity: Severity,
        hard: bool,
        kind: str = "",
        heard: Heard = lambda text: None,
    ) -> Reply:
        """What the first model says that answers.

        Args:
            prompt: what is said to it.
            inquiry: what it is asked for; the calls are kept with it.
            severity: how bad the incident is.
            hard: whether it is complex.
            kind: the kind of service it is about.
            heard: gets the text said so far, while it is said.

        Raises NoModel. Cancelling it stops the call.
        """
        ready = await asyncio.to_thread(self._ready, prompt)
        left, passed = self._order(severity, kind, hard=hard), dict[str, _Passed]()
        for last in (False, True):
            for model in left:
                try:
                    return await self._attempt(model, ready, inquiry, heard)
                except _Passed as why:
                    passed[model.name] = why
            waits = {name: why.again_in for name, why in passed.items() if why.again_in is not None}
            if last or not waits:
                break
            await asyncio.sleep(min(waits.values()))
            left = [model for model in left if model.name in waits]
        raise self._none(passed)

    async def _attempt(self, model: Model, ready: _Ready, inquiry: Inquiry, heard: Heard) -> Reply:
        price = await self._allowed(model, inquiry.incident)
        key = ready.keys.get(model.name, "")
        if isinstance(key, CockpitError):
            raise _Passed(key.what, key.fix)
        await _by_worker(self._worker.warm())
        order = Order(model, inquiry, ready.body, ready.tokens, price, key)
        try:
            async with self._room(order):
                came = await self._caller.call(order, heard)
        except Spent as spent:
            raise _Passed(str(spent)) from None
        if model.tier is not Tier.LOCAL:
            self._budget.tell()
        self._judge(model, came)
        return Reply(model.name, came.text, came.wanted, came.stored)

    def _judge(self, model: Model, came: Came) -> None:
        """Take note of how the model did. Raises _Passed when it did not answer."""
        breaker = self._breakers[model.name]
        if came.outcome is CallOutcome.ANSWERED:
            breaker.worked()
            return
        if came.ours:
            raise _Passed(came.error, again_in=SOON)
        breaker.failed(came.outcome, retry_after=came.retry_after, lasting=came.lasting)
        raise _Passed(f"{came.outcome}: {came.error}", again_in=_soon(breaker))

    async def _allowed(self, model: Model, incident: int | None) -> tuple[float, float]:
        """The model's price, if it may be asked now. Raises _Passed."""
        breaker = self._breakers[model.name]
        if breaker.left:
            raise _Passed(
                f"left alone for {breaker.left:.0f} s more, for it was {breaker.why}", again_in=_soon(breaker)
            )
        price = await self._price(model)
        if model.tier is not Tier.LOCAL:
            try:
                self._budget.check(incident)
            except Spent as spent:
                raise _Passed(str(spent)) from None
        return price

    async def _price(self, model: Model) -> tuple[float, float]:
        """Dollars for an input and an output token. Raises _Passed where nobody knows them."""
        if model.input_price is not None and model.output_price is not None:
            return model.input_price / 1e6, model.output_price / 1e6
        if model.tier is Tier.LOCAL:
            return 0.0, 0.0
        if model.model not in self._prices:
            self._prices[model.model] = await _by_worker(self._worker.price(model.model))
        price = self._prices[model.model]
        if price is None:
            keys = f"Add 'input_price' and 'output_price' to [models.{model.name}], or tier = \"local\"."
            raise _Passed("nobody knows its price", keys)
        return price

    def _room(self, order: Order) -> AbstractAsyncContextManager[None]:
        if order.model.tier is Tier.LOCAL:
            return nullcontext()
        return self._budget.room(order.inquiry.incident, order.dollars(round(order.tokens * MARGIN), MOST_SAID))

    def _order(self, severity: Severity, kind: str, *, hard: bool) -> list[Model]:
        return in_order(self._settings.models, severity, self._store.reader.asked.shares(kind), hard=hard)

    def _none(self, passed: Mapping[str, _Passed]) -> NoModel:
        if not passed:
            return NoModel("No model is configured.", "Add one to the config: [models.NAME]")
        why = "; ".join(f"{name}: {reason}".rstrip(".") for name, reason in passed.items())
        fix = next((reason.fix for reason in passed.values() if reason.fix), "See what was tried: cockpit models")
        return NoModel(self._redactor.redact(f"No model answered: {why}."), fix)

    def _ready(self, prompt: Prompt) -> _Ready:
        """The prompt, redacted and veiled; keys are fetched before, so that the redactor knows them."""
        keys = {model.name: self._key(model) for model in self._settings.models}
        sent = body(prompt, self._text)
        return _Ready(sent, size(sent), keys)

    def _key(self, model: Model) -> str | CockpitError:
        if model.key is None:
            return ""
        try:
            key = model.key.fetched()
        except CockpitError as error:
            return error
        self._redactor.add(key, model.key.name)
        return key

    def _text(self, text: str) -> str:
        return self._written(text) if len(text) > LONGEST_PLAIN else self._write(text)

    def _write(self, text: str) -> str:
        return self._veil.cover(str(self._redactor.scrub(text)))


async def _by_worker(doing: Awaitable[Value]) -> Value:
    """What the worker is asked. Raises _Passed when it cannot be."""
    try:
        return await doing
    except CockpitError as error:
        raise _Passed(error.what, error.fix, again_in=SOON) from None


def _soon(breaker: Breaker) -> float | None:
    """Seconds until a model may be asked again, where waiting for it is worth it."""
    limited = breaker.why is CallOutcome.RATE_LIMITED
    return breaker.left if limited and breaker.left <= PATIENCE else None
