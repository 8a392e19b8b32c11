"""Brings updates to a webhook as Telegram does: again until it is answered 2xx, and not always in their order."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tests.telegram.bot_api import BotApi

AGAIN_AFTER = 0.05
"""Seconds until an update that was not taken is brought again; Telegram waits longer."""
HEADER = "X-Telegram-Bot-Api-Secret-Token"


@dataclass
class Courier:
    """What a bot said with setWebhook, and what came of the bringing."""

    api: BotApi
    url: str = ""
    secret: str = ""
    allowed: list[str] = field(default_factory=list)
    leads_to: dict[str, tuple[int, ssl.SSLContext | None]] = field(default_factory=dict)
    """By public address, the port on this machine that it leads to, and TLS where no proxy ends it before."""
    brought: list[tuple[int, int]] = field(default_factory=list)
    """Each attempt: the update's number, and the status it was answered with; 0 for none."""
    twice: bool = False
    """Whether each update is brought once more after it was taken, as happens when an answer is lost."""
    failed: tuple[float, str] | None = None

    def called(
        self, url: str, secret_token: str = "", allowed_updates: Any = (), max_connections: int = 40, **_: Any
    ) -> None:
        self.url, self.secret, self.allowed, self.failed = url, secret_token, list(allowed_updates), None

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = {"url": self.url}
        if self.failed:
            found |= {"last_error_date": int(self.failed[0]), "last_error_message": self.failed[1]}
        return found

    def run(self) -> None:
        """Bring what waits, newest first, until the server ends."""
        while True:
            with self.api._changed:
                self.api._changed.wait_for(lambda: self.api._ended or (self.url and self.api._updates))
                if self.api._ended:
                    return
                waiting = self.api.wanted(self.allowed)[::-1]
            taken = [update for update in waiting if self.bring(update)]
            with self.api._changed:
                self.api._updates = [each for each in self.api._updates if each not in taken]
            time.sleep(0.005 if taken else AGAIN_AFTER)

    def bring(self, update: dict[str, Any]) -> bool:
        """Post one update; whether it was taken."""
        status = self.post(json.dumps(update).encode(), {HEADER: self.secret} if self.secret else {})
        self.brought.append((update.get("update_id", 0), status))
        if 200 <= status < 300:
            if self.twice:
                self.brought.append(
                    (update["update_id"], self.post(json.dumps(update).encode(), {HEADER: self.secret}))
                )
            return True
        self.failed = (time.time(), f"Wrong response from the webhook: {status}" if status else "Connection refused")
        return False

    def post(self, body: bytes, headers: dict[str, str], path: str = "", method: str = "POST") -> int:
        """One request to where the public address leads; its status, 0 when there is no answer."""
        port, context = self.leads_to.get(self.url) or (0, None)
        kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
        options: dict[str, Any] = {"context": context} if context else {}
        connection = kind("127.0.0.1", port, timeout=10, **options)
        try:
            target = path or urlsplit(self.url).path or "/"
            connection.request(method, target, body, {"Content-Type": "application/json", **headers})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
