"""Hides private addresses and names from models: placeholders stand for them, and are resolved in what comes back."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cockpit.settings import Settings

IPV4 = r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)"
IPV6 = r"(?<![0-9A-Za-z:])f[cde][0-9a-f]{2}(?::[0-9a-f]{0,4}){2,7}(?![0-9A-Za-z:])"
SHARED = ip_network("100.64.0.0/10")
"""Addresses of carriers and overlay networks: private as well, though Python says they are not."""
PLACEHOLDER = re.compile(r"hidden-(?:address|name)-\d{1,6}(?!\d)")
SHORTEST = 3
"""Shorter names stand in every other word."""
NOBODY = frozenset({"root", "localhost", "localhost.localdomain", "admin", "user", "local", "lan", "home"})
"""Names that tell nothing of anyone."""
HOST_KEYS = ("host", "hostname", "address", "server", "node")
"""Options of a service that name a machine."""
MOST = 10_000
"""Values that get a placeholder of their own; a stranger must not be able to fill our memory."""


class Veil:
    """Replaces the same value by the same placeholder for as long as the process lives.

    Args:
        hide: `addresses`, `names`, both or neither.
        names: the names to hide, however they are written.
    """

    def __init__(self, hide: Collection[str], names: Iterable[str] = ()) -> None:
        self._placeholders: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._lock = threading.Lock()
        self._names = {name.lower(): name for name in names if _tells(name)} if "names" in hide else {}
        self._pattern = _pattern(self._names, addresses="addresses" in hide)

    def cover(self, text: str) -> str:
        """The text with placeholders in place of what is hidden."""
        return self._pattern.sub(lambda match: self._covered(match[0]), text) if self._pattern else text

    def lift(self, text: str) -> str:
        """The text with what was hidden in place of its placeholders."""
        return PLACEHOLDER.sub(lambda match: self._values.get(match[0], match[0]), text) if self._values else text

    def _covered(self, found: str) -> str:
        name = self._names.get(found.lower())
        if name is not None:
            return self._placeholder("name", name)
        return self._placeholder("address", found) if _private(found) else found

    def _placeholder(self, what: str, value: str) -> str:
        with self._lock:
            if value not in self._placeholders:
                if len(self._values) >= MOST:
                    return f"hidden-{what}"
                placeholder = f"hidden-{what}-{len(self._values) + 1}"
                self._placeholders[value], self._values[placeholder] = placeholder, value
            return self._placeholders[value]


def names_of(settings: Settings) -> Iterator[str]:
    """The names that would tell whose machines these are: hosts of the config, this machine's, the operator's."""
    from socket import gethostname
    from urllib.parse import urlsplit

    kinds = {service.kind for service in settings.services}
    found = [gethostname(), settings.operator]
    for service in settings.services:
        for key, value in service.options.items():
            if isinstance(value, str):
                found += [urlsplit(value).hostname or ""] if "://" in value else [value] * (key in HOST_KEYS)
    for name in found:
        yield from (part for part in (name, name.partition(".")[0]) if part.lower() not in kinds)


def _tells(name: str) -> bool:
    return len(name) >= SHORTEST and name.lower() not in NOBODY and not re.fullmatch(r"[\d.]+|.*:.*", name)


def _pattern(names: Iterable[str], *, addresses: bool) -> re.Pattern[str] | None:
    """Names the longest first, so that none is hidden in part."""
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    parts = ([rf"(?<![\w-])(?:{known})(?![\w-])"] if known else []) + ([IPV4, IPV6] if addresses else [])
    return re.compile("|".join(parts), re.IGNORECASE) if parts else None


def _private(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return (address.is_private or address in SHARED) and not (address.is_loopback or address.is_unspecified)
