"""A process that sends one message with Apprise and ends: what is sent comes in as JSON, what came of it goes out.

Apprise loads two hundred services for one, which a process that lives for months should not
hold; and a process can be ended when its time is over, which a thread cannot.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping

CONNECTS_WITHIN = 5.0
ANSWERS_WITHIN = 20.0
"""Seconds a receiver may take to answer: one that is merely slow is not to get everything twice."""
UNKNOWN = "unknown"


def sent(order: Mapping[str, str]) -> dict[str, str]:
    """Carry out an order.

    Args:
        order: `url`, and `title`, `body` and `type` of the message; without a body the url is only looked at.

    Returns `outcome`: `taken`, `refused` or `unknown` for a url that means nothing; and `said`, why.
    """
    import apprise

    said: list[str] = []
    _listen(said)
    plugin = apprise.Apprise.instantiate(
        order["url"], asset=apprise.AppriseAsset(secure_logging=True, async_mode=False, storage_mode="memory")
    )
    if plugin is None:
        return {"outcome": UNKNOWN, "said": ""}
    if "body" not in order:
        return {"outcome": "taken", "said": ""}
    plugin.socket_connect_timeout, plugin.socket_read_timeout = CONNECTS_WITHIN, ANSWERS_WITHIN
    plugin.overflow_mode = apprise.OverflowMode.TRUNCATE
    taken = plugin.notify(
        title=order["title"],
        body=order["body"],
        body_format=apprise.NotifyFormat.TEXT,
        notify_type=apprise.NotifyType(order["type"]),
    )
    return {"outcome": "taken" if taken else "refused", "said": said[-1] if said else ""}


def _listen(said: list[str]) -> None:
    """Keep what Apprise logs: it says in no other way why something failed."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.addHandler(Listener(logging.WARNING))


if __name__ == "__main__":
    json.dump(sent(json.load(sys.stdin)), sys.stdout)
