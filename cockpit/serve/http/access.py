"""Who may ask what: bearer tokens with scopes; without any, this machine may read and nobody may write."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Sequence
from hashlib import sha256

from aiohttp import web

from cockpit.serve.buckets import Buckets
from cockpit.serve.http.answers import Problem
from cockpit.settings.daemon import Token
from cockpit.settings.http import is_loopback

OPEN, READ, ALERT, APPROVE = "", "read", "alert", "approve"
"""What a route asks for; `OPEN` asks for nothing."""
FAILURES_PER_MINUTE = 10
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="cockpit"'}


class Access:
    """Knows the tokens, by their hashes, and who tried wrong ones.

    Args:
        tokens: with their values in place.
        clock: a monotonic clock.
    """

    def __init__(self, tokens: Sequence[Token], clock: Callable[[], float] = time.monotonic) -> None:
        self._known = [(sha256(token.value.encode()).digest(), token) for token in tokens]
        self._failures = Buckets(FAILURES_PER_MINUTE / 60.0, FAILURES_PER_MINUTE, clock)
        self.refused = 0
        """Requests that were turned away for their token, or for having none."""

    def check(self, request: web.Request, scope: str) -> str:
        """Who asks, by the name of the token; empty for whoever needs none.

        Raises Problem 401 without a token that is known, 403 without the scope, 429 after many wrong ones.
        A right token passes however many wrong ones came from its address: it is too long to be guessed, and
        a neighbour behind the same address must not be able to lock it out.
        """
        if scope == OPEN:
            return ""
        if not self._known:
            return self._without_tokens(request, scope)
        token = self._token(request)
        if token is None:
            self.refused += 1
            if not self._failures.take(request.remote or ""):
                raise Problem(429, "Too many wrong tokens came from here.", "Wait a minute.", {"Retry-After": "60"})
            raise Problem(401, "This needs a token that is known.", "Send: Authorization: Bearer TOKEN", CHALLENGE)
        if scope not in token.scopes:
            self.refused += 1
            raise Problem(403, f"The token '{token.name}' may not {scope}.", f"Give it the scope '{scope}'.")
        return token.name

    def _token(self, request: web.Request) -> Token | None:
        given = request.headers.getall("Authorization", [])
        scheme, _, value = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer":
            return None
        digest = sha256(value.strip(" ").encode("utf-8", "surrogateescape")).digest()
        found = None
        for known, token in self._known:
            if hmac.compare_digest(known, digest):
                found = token
        return found

    def _without_tokens(self, request: web.Request, scope: str) -> str:
        """Reading is for this machine; a page in its browser that calls us by another name is not this machine."""
        host = request.host.rpartition(":")[0] if request.host[-1:] != "]" and ":" in request.host else request.host
        here = is_loopback(request.remote or "") and is_loopback(host.strip("[]"))
        if scope == READ and here:
            return ""
        self.refused += 1
        what = "Without a token nothing can be written." if here else "Without a token only this machine may read."
        raise Problem(403, what, "Configure one under [[http.tokens]].")
