"""One conversation with models about one inquiry: what was said, and what is asked next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cockpit.agent.looking import Ended, Looks
from cockpit.agent.prompts import prompt
from cockpit.llm.conversation import Message, Offer, Prompt, Reply, Speaker
from cockpit.model import JSON, CockpitError, Severity
from cockpit.model.inquiries import Inquiry, InquiryState
from cockpit.store.connection import StoreError

if TYPE_CHECKING:
    from cockpit.llm.models import Models
    from cockpit.store.inquiries import Inquiries

TIME_LIMIT = 300.0
"""Seconds that one inquiry may take."""
BESIDES = 8
"""Answers of a model that an inquiry may take, beyond one for each diagnostic."""
TOLD_EVERY = 0.25
"""Seconds between two drafts of what a model says that are written down."""
TOLD = 4000
"""Characters of a draft, its end, that are written down."""


@dataclass
class Dialogue:
    """What was said so far.

    Args:
        models: who is asked.
        log: where what is said is shown while it is said.
        inquiry: what it is about.
        severity: of what it is about.
        hard: whether it takes a strong model.
        messages: what was said, the first prompt first.
    """

    models: Models
    log: Inquiries
    inquiry: Inquiry
    severity: Severity
    hard: bool
    messages: list[Message]
    rounds: int = 0
    wordy: bool = False
    """Whether it answered in words where a conclusion was wanted."""
    _told_at: float = field(default=0.0)

    async def ask(self, offers: Sequence[Offer], schema: Mapping[str, JSON] | None = None) -> Reply:
        """What a model says next, kept as said. Raises NoModel when none can be asked."""
        self.rounds += 1
        reply = await self.models.ask(
            Prompt(tuple(self.messages), tuple(offers), schema or {}),
            inquiry=self.inquiry,
            severity=self.severity,
            hard=self.hard,
            kind=self.inquiry.service.partition("/")[0],
            heard=self._heard,
        )
        self.messages.append(Message(Speaker.MODEL, reply.text, wanted=reply.wanted))
        return reply

    async def go_on(self, reply: Reply, looks: Looks, *, now: str = "conclude_now") -> None:
        """Carry out what a reply wants to look at, or say that a conclusion is wanted.

        Args:
            reply: the model's last.
            looks: what it looked at.
            now: the prompt that is given when nothing more can be looked at.

        Raises Ended when the model does not come to an end by itself.
        """
        if self.rounds > looks.most + BESIDES:
            raise Ended(f"It came to no conclusion in {self.rounds} answers.")
        if reply.wanted:
            self.messages += await looks.carry_out(reply.wanted)
            if looks.left <= 0:
                self.say(prompt(now))
        elif self.wordy:
            raise Ended("It answers in words and does not conclude.")
        else:
            self.wordy = True
            self.say(prompt("no_conclusion"))

    def say(self, text: str) -> None:
        """Tell the model something of our own."""
        self.messages.append(Message(Speaker.USER, text))

    def _heard(self, text: str) -> None:
        now = time.monotonic()
        if text and now - self._told_at >= TOLD_EVERY:
            self._told_at = now
            self.log.progress(self.inquiry.id, text[-TOLD:])


@contextmanager
def ending(log: Inquiries, inquiry: Inquiry) -> Iterator[None]:
    """See to it that an inquiry is ended, whatever ends the work on it; only a failing log leaves it as it is."""
    try:
        yield
    except StoreError:
        raise
    except Ended as error:
        log.finish(inquiry.id, InquiryState.INCONCLUSIVE, str(error))
    except TimeoutError:
        log.finish(inquiry.id, InquiryState.INCONCLUSIVE, f"It came to no end within {TIME_LIMIT:.0f} s.")
    except CockpitError as error:
        log.finish(inquiry.id, InquiryState.FAILED, str(error))
    except asyncio.CancelledError:
        log.finish(inquiry.id, InquiryState.FAILED, "It was stopped.")
        raise
    except Exception as error:
        log.finish(inquiry.id, InquiryState.FAILED, f"It failed: {type(error).__name__}: {error}")
        raise
