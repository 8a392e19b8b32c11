"""Caddy's log: JSON lines of its runtime and of its access log.

Fields: https://caddyserver.com/docs/logging.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cockpit.model import JSON

MOST = 10
"""Different errors in a finding."""


def read_entries(lines: Iterable[str], since: float) -> list[dict[str, Any]]:
    """The log's entries from that second on; what is no JSON object is left out."""
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("ts"), int | float) and entry["ts"] >= since:
            found.append(entry)
    return found


def tally(entries: Sequence[Mapping[str, Any]]) -> dict[str, JSON]:
    """How often each thing stands in the log."""
    errors = [_text(entry) for entry in entries if entry.get("level") in ("error", "warn", "fatal")]
    statuses = Counter(str(entry["status"]) for entry in entries if isinstance(entry.get("status"), int))
    return {
        "entries": len(entries),
        "requests": sum(statuses.values()),
        "server_errors": sum(count for status, count in statuses.items() if status.startswith("5")),
        "statuses": dict(sorted(statuses.items())),
        "errors": len(errors),
        "refused": _count(errors, "connection refused"),
        "timeouts": _count(errors, "timeout"),
        "no_upstreams": _count(errors, "no upstreams available"),
        "health_failures": _count(errors, "status code out of tolerances"),
        "last_error": errors[-1] if errors else "",
        "rows": [{"error": text, "count": count} for text, count in Counter(errors).most_common(MOST)],
    }


def _text(entry: Mapping[str, Any]) -> str:
    parts = [str(entry.get(key)) for key in ("msg", "error", "status_code") if entry.get(key)]
    return ": ".join(parts)[:300]


def _count(errors: Iterable[str], what: str) -> int:
    return sum(what in text for text in errors)
