"""The one JSON text of a value, and the digest that an approval names."""

from __future__ import annotations

import json
from dataclasses import asdict

from cockpit.model.values import JSON, Call, Plan

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def canonical(value: JSON) -> str:
    """The one JSON text of a value: sorted keys, no spaces, so that equal values hash equal."""
    return _CANONICAL.encode(value)


def digest(call: Call, plan: Plan) -> str:
    """The SHA-256, in hex, of everything in a plan that an approval covers.

    Figures that move by themselves (`Change.observed`) and prose (`summary`, `risk`, `why`)
    are left out: they explain the change and are not the change.
    """
    import hashlib  # reading commands never need a digest, and OpenSSL costs them milliseconds

    changes = []
    for change in plan.changes:
        covered = asdict(change)
        del covered["observed"], covered["why"]
        changes.append(covered)
    covered_call: JSON = {"tool": call.tool, "service": call.service, "arguments": dict(call.arguments)}
    text = canonical({"call": covered_call, "changes": changes})
    return hashlib.sha256(text.encode()).hexdigest()
