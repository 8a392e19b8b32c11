"""One call of one model: sent over the worker, read, priced, and kept in the log whatever came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cockpit.llm import answers
from cockpit.llm.conversation import Wanted
from cockpit.llm.frames import Frame
from cockpit.llm.process import Worker, WorkerEnded
from cockpit.llm.texts import tokens_of
from cockpit.llm.veil import Veil
from cockpit.model import JSON, CockpitError
from cockpit.model.inquiries import CallOutcome, Inquiry, ModelCall
from cockpit.settings.models import Model
from cockpit.store.store import Store
from cockpit.text import clean

EVERY = 0.1
"""Seconds between two looks at what is said while it is said."""

Heard = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What one model is asked."""

    model: Model
    inquiry: Inquiry
    body: Mapping[str, JSON]
    tokens: int
    """About how many the body is."""
    price: tuple[float, float]
    """Dollars for an input and an output token."""
    key: str = ""

    @property
    def in_json(self) -> bool:
        """Whether the answer must be a JSON object."""
        return "response_format" in self.body

    def dollars(self, given: int, made: int) -> float:
        """What so many input and output tokens cost."""
        return given * self.price[0] + made * self.price[1]


@dataclass(frozen=True)
class Came:
    """What came of a call."""

    outcome: CallOutcome
    error: str = ""
    text: str = ""
    wanted: tuple[Wanted, ...] = ()
    raw: Mapping[str, JSON] = field(default_factory=dict)
    """The answer as it came."""
    usage: tuple[int, int] | None = (0, 0)
    """Tokens that the provider counted; None where it may have counted some and did not say."""
    retry_after: float | None = None
    lasting: bool = False
    """Whether asking again soon is no use."""
    ours: bool = False
    """Whether the worker failed, and not the model."""
    stored: int = 0
    """The id of the stored call."""


class Caller:
    """Makes calls.

    Args:
        worker: where litellm runs.
        store: the log.
        veil: puts back what was hidden.
        clock: tells when a call was made.
    """

    def __init__(self, worker: Worker, store: Store, veil: Veil, clock: Callable[[], float]) -> None:
        self._worker = worker
        self._store = store
        self._veil = veil
        self._clock = clock

    async def call(self, order: Order, heard: Heard) -> Came:
        """Make a call, and keep it. Cancelled, it is stopped and kept as well."""
        at, began, ear = self._clock(), time.monotonic(), _Ear(heard, self._veil)
        try:
            came = await self._made(order, ear)
        except asyncio.CancelledError:
            self._keep(order, Came(CallOutcome.CANCELLED, usage=None), ear.text, at, time.monotonic() - began)
            raise
        stored = self._keep(order, came, ear.text, at, time.monotonic() - began)
        return replace(came, stored=stored.id)

    async def _made(self, order: Order, ear: _Ear) -> Came:
        sent = {
            "request": {"model": order.model.model, **order.body},
            "api_key": order.key or ("none" if order.model.base_url else ""),
            "base_url": order.model.base_url,
        }
        try:
            frame = await self._worker.ask(sent, order.model.timeout, ear.hear)
        except TimeoutError:
            late = f"It did not answer within {order.model.timeout:g} s."
            return Came(CallOutcome.TIMEOUT, late, usage=None)
        except WorkerEnded as error:
            return Came(CallOutcome.OUTAGE, error.what, usage=None if error.taken else (0, 0), ours=True)
        except CockpitError as error:
            return Came(CallOutcome.OUTAGE, str(error), ours=True)
        return self._failed(frame["failed"], ear) if "failed" in frame else self._answered(order, frame["reply"])

    def _answered(self, order: Order, said: Frame) -> Came:
        usage = (int(said["usage"][0]), int(said["usage"][1])) if said["usage"] else None
        raw: dict[str, JSON] = {name: said[name] for name in ("text", "calls", "finish")}
        try:
            text, wanted = answers.read(said, in_json=order.in_json, lift=self._veil.lift)
        except answers.NoAnswer as error:
            return Came(error.outcome, str(error), raw=raw, usage=usage)
        return Came(CallOutcome.ANSWERED, text=text, wanted=wanted, raw=raw, usage=usage)

    @staticmethod
    def _failed(failed: Mapping[str, Any], ear: _Ear) -> Came:
        outcome = CallOutcome(failed["outcome"])
        began = bool(ear.text) or outcome is CallOutcome.TIMEOUT
        return Came(
            outcome,
            str(clean(failed["error"])),
            usage=None if began else (0, 0),
            retry_after=failed["retry_after"],
            lasting=failed["lasting"],
        )

    def _keep(self, order: Order, came: Came, heard: str, at: float, seconds: float) -> ModelCall:
        given, made = came.usage or (order.tokens, _made_of(came, heard))
        return self._store.inquiries.called(
            ModelCall(
                id=0,
                inquiry=order.inquiry.id,
                model=order.model.name,
                tier=order.model.tier,
                at=at,
                seconds=seconds,
                input_tokens=given,
                output_tokens=made,
                dollars=order.dollars(given, made),
                outcome=came.outcome,
                error=came.error,
                sent={"model": order.model.model, **order.body},
                reply=came.raw or ({"text": heard} if heard else {}),
            )
        )


def _made_of(came: Came, heard: str) -> int:
    """About how many tokens were said, where nobody counted them."""
    return tokens_of(heard) + sum(tokens_of(f"{wanted.name} {dict(wanted.arguments)}") for wanted in came.wanted)


class _Ear:
    """Puts the pieces of a text together, and passes it on now and then."""

    def __init__(self, heard: Heard, veil: Veil) -> None:
        self.text = ""
        self._heard = heard
        self._veil = veil
        self._passed_on = float("-inf")

    def hear(self, piece: str) -> None:
        self.text += piece
        if time.monotonic() - self._passed_on >= EVERY:
            self._passed_on = time.monotonic()
            self._heard(self._veil.lift(clean(self.text[-answers.LONGEST_TEXT :], lines=True)))
