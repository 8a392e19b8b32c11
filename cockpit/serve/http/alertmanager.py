"""What Alertmanager and Prometheus post, as alerts of ours. URLs in it are never followed, and are not kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cockpit.model import Alert, Severity, canonical
from cockpit.serve.http.answers import Problem
from cockpit.store.intake import Cleared, Report
from cockpit.text import shorten

SOURCE, DIRECT = "alertmanager", "prometheus"
"""Where an alert came from: a webhook, or a list that says itself when each alert ends."""
WATCHDOG = "Watchdog"
"""The alert that always fires: it says that alerts arrive, and nothing else."""
FINGERPRINT = re.compile(r"[0-9A-Za-z_-]{1,64}")
LONGEST_LABEL, LONGEST_SUMMARY, MOST_LABELS = 500, 300, 64
SEVERITIES = {severity.value: severity for severity in Severity}
STATUSES = ("firing", "resolved")
Owner = Callable[[Mapping[str, str]], str]
"""Tells by an alert's labels which service it is about."""


@dataclass(frozen=True, slots=True)
class Post:
    """What one request says."""

    reports: tuple[Report, ...]
    watchdog: bool = False
    """Whether it brought the alert that always fires."""
    ends: Mapping[str, float] | None = None
    """By fingerprint, until when an alert of a list holds if nobody repeats it; None for a webhook."""


def webhook(content: Any, owner: Owner, now: float) -> Post:
    """The alerts of a webhook of version 4, or of Grafana's that looks like it. Raises Problem."""
    if not isinstance(content, dict) or not isinstance(content.get("alerts"), list):
        raise _wrong("there is no list of alerts in it")
    version = content.get("version")
    if version != "4" and not (version == "1" and "orgId" in content):
        raise _wrong("its version is not 4")
    found = [_read(each, owner, now, SOURCE) for each in content["alerts"]]
    for alert, each in zip(found, content["alerts"], strict=True):
        if each.get("status") not in STATUSES:
            raise _wrong(f"the alert {alert.name} is neither firing nor resolved")
    over = [each["status"] == "resolved" for each in content["alerts"]]
    return _post(found, over, now)


def listed(content: Any, owner: Owner, now: float) -> Post:
    """The alerts of a list as Prometheus posts it: one whose end has passed is over. Raises Problem."""
    if not isinstance(content, list):
        raise _wrong("it is no list")
    found = [_read(each, owner, now, DIRECT) for each in content]
    ends = [_time(each, "endsAt") for each in content]
    over = [0.0 < end <= now for end in ends]
    kept = {alert.fingerprint: end for alert, end in zip(found, ends, strict=True) if end > now}
    return _post(found, over, now, kept)


def _post(found: list[Alert], over: list[bool], now: float, ends: Mapping[str, float] | None = None) -> Post:
    reports: list[Report] = []
    watchdog = False
    for alert, cleared in zip(found, over, strict=True):
        if alert.name == WATCHDOG:
            watchdog = watchdog or not cleared
        else:
            reports.append(Cleared(alert.fingerprint, now) if cleared else alert)
    return Post(tuple(reports), watchdog, ends)


def _read(content: Any, owner: Owner, now: float, source: str) -> Alert:
    if not isinstance(content, dict):
        raise _wrong("an alert is no object")
    labels, annotations = _texts(content, "labels"), _texts(content, "annotations")
    if not labels:
        raise _wrong("an alert has no labels")
    name = labels.get("alertname", "") or "unnamed"
    started = _time(content, "startsAt")
    return Alert(
        fingerprint=f"{SOURCE}:{_fingerprint(content, labels)}",
        service=owner(labels),
        name=shorten(name, LONGEST_LABEL),
        severity=SEVERITIES.get(labels.get("severity", ""), Severity.WARNING),
        summary=_summary(annotations) or shorten(name, LONGEST_SUMMARY),
        starts_at=min(started, now) if started > 0 else now,
        source=source,
        labels=_shortened(labels),
    )


def _shortened(labels: dict[str, str]) -> Mapping[str, str]:
    if len(labels) <= MOST_LABELS and max(map(len, (*labels, *labels.values()))) <= LONGEST_LABEL:
        return labels
    return {
        shorten(label, LONGEST_LABEL): shorten(value, LONGEST_LABEL)
        for label, value in list(labels.items())[:MOST_LABELS]
    }


def _texts(content: Mapping[str, Any], key: str) -> dict[str, str]:
    found = content.get(key) or {}
    if not isinstance(found, dict) or not set(map(type, found.values())) <= {str}:
        raise _wrong(f"the {key} of an alert are not texts")
    return found


def _summary(annotations: Mapping[str, str]) -> str:
    for key in ("summary", "description", "message"):
        if text := annotations.get(key, "").strip():
            return shorten(text, LONGEST_SUMMARY)
    return ""


def _fingerprint(content: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    given = content.get("fingerprint")
    if isinstance(given, str) and FINGERPRINT.fullmatch(given):
        return given
    return hashlib.sha256(canonical(labels).encode()).hexdigest()[:32]


def _time(content: Mapping[str, Any], key: str) -> float:
    """Seconds since the epoch; 0 where none is given, or Go's year 1, which means the same."""
    given = content.get(key)
    if given is None or given == "":
        return 0.0
    try:
        return max(0.0, datetime.fromisoformat(given).timestamp())
    except (TypeError, ValueError, OverflowError):
        raise _wrong(f"the {key} of an alert is no time") from None


def _wrong(why: str) -> Problem:
    return Problem(
        400,
        f"This is not what Alertmanager posts: {why}.",
        "Post a webhook of version 4, or a list of alerts as API v2 takes it.",
    )
