"""The way out over Apprise: ntfy, Gotify, e-mail, chats, webhooks."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence

from cockpit.model import CockpitError, Severity, Unreachable
from cockpit.serve.notify.apprise_process import UNKNOWN
from cockpit.serve.notify.wording import body, title, worst
from cockpit.store.notices import Notice

ENDS_WITHIN = 45.0
"""Seconds one attempt may take in all."""
SENDER = ("-P", "-m", "cockpit.serve.notify.apprise_process")
TYPES = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}


class AppriseDoor:
    """Sends over one Apprise URL, each message from a process of its own.

    Args:
        name: the channel.
        url: where to, with its secrets; it is handed over by a pipe, where nobody else sees it.
    """

    singly = False

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._url = url

    async def check(self) -> None:
        """Look at the URL. Raises CockpitError when it means nothing to Apprise."""
        await self._ask({})

    async def send(self, notices: Sequence[Notice]) -> None:
        """Send these in one message. Raises Unreachable when the receiver did not take it."""
        resolved = all(notice.kind == "resolved" for notice in notices)
        await self._ask(
            {"title": title(notices), "body": body(notices), "type": "success" if resolved else TYPES[worst(notices)]}
        )

    async def _ask(self, message: Mapping[str, str]) -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, *SENDER, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        try:
            async with asyncio.timeout(ENDS_WITHIN):
                answer, _ = await process.communicate(json.dumps({"url": self._url, **message}).encode())
        except TimeoutError:
            raise Unreachable(f"It did not take the message within {ENDS_WITHIN:.0f} s.") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        self._judge(answer)

    def _judge(self, answer: bytes) -> None:
        try:
            told = json.loads(answer)
            outcome, said = str(told["outcome"]), str(told["said"])
        except (ValueError, KeyError, TypeError):
            raise Unreachable("The process that sends it failed.", "Check that Apprise is installed.") from None
        if outcome == UNKNOWN:
            raise CockpitError(
                f"The address of the channel '{self.name}' is none that Apprise knows.",
                "See https://github.com/caronc/apprise/wiki for how it is written.",
            )
        if outcome != "taken":
            raise Unreachable(said or "It did not take the message.")
