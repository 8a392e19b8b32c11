"""What went wrong with a call, put into our words; runs in the worker, where litellm's exceptions are known."""

from __future__ import annotations

import json
import re
from types import ModuleType
from typing import Any

from cockpit.model.inquiries import CallOutcome

LONGEST = 400
"""Characters of an error that are passed on."""
PREFIX = re.compile(r"^(?:(?:litellm\.)?\w+(?:Error|Exception|Timeout)(?::| -) )+")
OVERFLOW = re.compile(
    r"context[ _](?:length|window|size|limit)|prompt is too long|too many (?:input )?tokens", re.IGNORECASE
)


class TooLong(Exception):
    """The model says more than anyone could read."""

    def __str__(self) -> str:
        return "It said more than can be read."


def failure(error: Exception, litellm: ModuleType) -> dict[str, Any]:
    """What came of a call that raised.

    Returns `outcome`, `error`, `retry_after` in seconds or None, and `lasting`: whether asking again soon is no use.
    """
    outcome = _outcome(error, litellm)
    status = getattr(error, "status_code", None)
    return {
        "outcome": outcome,
        "error": _words(error),
        "retry_after": _retry_after(error) if outcome is CallOutcome.RATE_LIMITED else None,
        "lasting": outcome is CallOutcome.DENIED and status in (401, 403, 404),
    }


def _outcome(error: Exception, litellm: ModuleType) -> CallOutcome:
    """By the class of the error; the first that fits, for some of litellm's are kinds of others."""
    known: list[tuple[tuple[type, ...], CallOutcome]] = [
        ((litellm.ContextWindowExceededError,), CallOutcome.TOO_LONG),
        ((litellm.ContentPolicyViolationError,), CallOutcome.REFUSED),
        ((litellm.Timeout, TimeoutError), CallOutcome.TIMEOUT),
        ((litellm.RateLimitError,), CallOutcome.RATE_LIMITED),
        ((TooLong, litellm.APIResponseValidationError), CallOutcome.MALFORMED),
    ]
    for classes, outcome in known:
        if isinstance(error, classes):
            return outcome
    if _holds(error, json.JSONDecodeError):
        return CallOutcome.MALFORMED
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or not 400 <= status < 500:
        return CallOutcome.OUTAGE
    return CallOutcome.TOO_LONG if OVERFLOW.search(str(error)) else CallOutcome.DENIED


def _holds(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether an error of this kind is what another was made of."""
    for _ in range(8):
        if error is None or isinstance(error, kind):
            break
        error = error.__cause__ or error.__context__ or getattr(error, "original_exception", None)
    return isinstance(error, kind)


def _words(error: Exception) -> str:
    text = PREFIX.sub("", " ".join(str(error).partition(" Original exception:")[0].split()))
    return (text or type(error).__name__)[:LONGEST]


def _retry_after(error: Exception) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None
