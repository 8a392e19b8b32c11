"""The head of the change log, sent out once a day: whoever edits the log does not reach into the chat."""

from __future__ import annotations

import asyncio
from datetime import datetime

from cockpit.serve.telegram.body import BOLD, CODE, PRE, Body
from cockpit.serve.telegram.teller import Teller
from cockpit.store.anchors import line
from cockpit.store.outbox import Draft, Rank


async def send_daily(teller: Teller, news: asyncio.Event) -> None:
    """Send the head once on each day on which there is one; cancel to end."""
    while True:
        await asyncio.sleep(teller.pace.head)
        if await asyncio.to_thread(put, teller):
            news.set()


def put(teller: Teller) -> bool:
    """Put today's head into the outbox; False when there is none, or it was put before, also by another process."""
    head = teller.reader.head()
    subject = f"anchor:{datetime.fromtimestamp(teller.clock()).date().isoformat()}"
    if head is None or teller.log.outbox.find(subject) is not None:
        return False
    body = Body(silent=True).add("The head of the change log", BOLD).add("\n").add(line(head).strip(), PRE)
    body.add("\nA copy of that line in a file shows whether the log was cut off or rebuilt since: ")
    body.add("cockpit audit verify --anchor FILE", CODE)
    teller.log.outbox.put(Draft(subject, body.data, Rank.GATHERED), now=teller.clock())
    return True
