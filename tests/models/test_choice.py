"""Who is asked first, and who is left alone for a while."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cockpit.llm.breaker import Breaker
from cockpit.llm.choice import in_order
from cockpit.model import Severity, Tier
from cockpit.model.inquiries import CallOutcome
from cockpit.settings.models import Model

FAST, OTHER, STRONG = Model("fast", "a/fast"), Model("other", "a/other"), Model("strong", "a/strong", Tier.STRONG)
LOCAL = Model("own", "a/own", Tier.LOCAL)
MODELS = (LOCAL, FAST, OTHER, STRONG)


def names(severity: Severity, *, hard: bool, **shares: tuple[int, int]) -> list[str]:
    return [model.name for model in in_order(MODELS, severity, shares, hard=hard)]


def test_fast_ones_come_first_unless_it_is_critical_and_hard() -> None:
    assert names(Severity.WARNING, hard=True) == ["fast", "other", "strong", "own"]
    assert names(Severity.CRITICAL, hard=False) == ["fast", "other", "strong", "own"]
    assert names(Severity.CRITICAL, hard=True) == ["strong", "fast", "other", "own"]


def test_within_a_tier_a_good_record_goes_before_none_and_none_before_a_poor_one() -> None:
    assert names(Severity.WARNING, hard=False, other=(5, 4))[:2] == ["other", "fast"]
    assert names(Severity.WARNING, hard=False, fast=(5, 1))[:2] == ["other", "fast"]
    assert names(Severity.WARNING, hard=False, fast=(10, 6), other=(10, 9))[:2] == ["other", "fast"]


def test_a_record_of_a_few_incidents_does_not_count() -> None:
    assert names(Severity.WARNING, hard=False, fast=(4, 0), other=(4, 4))[:2] == ["fast", "other"]


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_after_three_failures_in_a_row_it_is_left_alone_and_longer_each_time() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(2):
        breaker.failed(CallOutcome.TIMEOUT)
        assert breaker.left == 0
    pauses = []
    for _ in range(6):
        breaker.failed(CallOutcome.OUTAGE)
        pauses.append(breaker.left)
        clock.now += breaker.left
        assert breaker.left == 0
    assert pauses == [60, 120, 240, 480, 900, 900]
    breaker.worked()
    breaker.failed(CallOutcome.OUTAGE)
    assert breaker.left == 0


def test_a_rate_limit_is_kept_to_as_the_provider_says_up_to_an_hour() -> None:
    for given, kept in ((7.0, 7.0), (None, 30.0), (86400.0, 3600.0), (0.0, 0.0)):
        breaker = Breaker(Clock())
        breaker.failed(CallOutcome.RATE_LIMITED, retry_after=given)
        assert breaker.left == kept


@pytest.mark.parametrize("outcome", [CallOutcome.REFUSED, CallOutcome.MALFORMED, CallOutcome.TOO_LONG])
def test_what_lies_in_the_question_is_no_reason_to_leave_it_alone(outcome: CallOutcome) -> None:
    breaker = Breaker(Clock())
    for _ in range(10):
        breaker.failed(outcome)
    assert breaker.left == 0


def test_a_wrong_key_is_not_tried_again_soon_and_a_wrong_request_is_the_questions_fault() -> None:
    breaker = Breaker(Clock())
    breaker.failed(CallOutcome.DENIED)
    assert breaker.left == 0
    breaker.failed(CallOutcome.DENIED, lasting=True)
    assert breaker.left == 600
