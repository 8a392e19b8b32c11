"""When a key may approve: only what has been on show, whole, for long enough, to somebody who was there."""

from __future__ import annotations

READ_FOR = 0.5
"""Seconds that a proposal must have been on the screen, in the focused pane, before a key counts."""
STALL = 1.5
"""Seconds without a beat after which the process was stopped or blocked: keys may have been buffered meanwhile."""
BURST = 0.04
"""Keys that come closer than this were pasted or buffered, not pressed."""


class Guard:
    """Decides whether a key that arrived approves the proposal on show.

    All times are of the monotonic clock that stamps key events.
    """

    def __init__(self) -> None:
        self._digest = ""
        self._since = float("inf")
        self._whole = False
        self._beat = float("-inf")
        self._last_key = float("-inf")
        self._burst = False

    def painted(self, digest: str, at: float) -> None:
        """The digest stands on the screen; when it was not there before, the time starts."""
        if digest != self._digest:
            self._digest, self._since, self._whole = digest, at, False

    def focused(self, at: float) -> None:
        """The pane has just been focused: the time starts."""
        if self._digest:
            self._since = at

    def seen_whole(self) -> None:
        """The end of the proposal is, or has been, on the screen."""
        self._whole = True

    @property
    def whole(self) -> bool:
        """Whether all of the proposal has been on the screen."""
        return self._whole

    def beat(self, at: float) -> None:
        """The program is alive; after a stall the time starts anew."""
        if at - self._beat > STALL and self._digest:
            self._since = at
        self._beat = at

    def pressed(self, at: float) -> None:
        """Any key arrived: those that come in a burst were not pressed by a person who read."""
        self._burst = at - self._last_key < BURST
        self._last_key = at

    def objection(self, digest: str, pressed: float, what: str = "proposal", key: str = "a") -> str:
        """Why a key does not approve the digest; empty when it does.

        Args:
            digest: what the key would approve.
            pressed: when the driver read the key.
            what: what it is called.
            key: the key's name.
        """
        if digest != self._digest:
            return f"The {what} has just changed. Read it again, then press {key}."
        if self._burst or pressed - self._since < READ_FOR or pressed - self._beat > STALL:
            return f"Too quick: the {what} has only just appeared. Read it, then press {key}."
        if not self._whole:
            return f"There is more below. Scroll to the end (space or G), then press {key}."
        return ""
