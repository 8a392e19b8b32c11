"""Which configured service an alert from elsewhere is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from cockpit.model import Service
from cockpit.settings.daemon import Matcher
from cockpit.settings.http import is_loopback

STRANGER = "alertmanager"
"""The kind that stands in the name of an alert that is about no service of ours."""
JOBS = {"node": "host", "node-exporter": "host", "node_exporter": "host", "postgresql": "postgres"}
"""Kinds by what exporters for them are often called."""
ASKED = ("cockpit_service", "service", "instance", "job", "alertname")
"""Labels that are looked at besides those of the matchers."""
MOST_REMEMBERED = 4096
PATH = re.compile("[/?#]")
PORTS = {"http": 80, "https": 443, "nats": 4222}


class Owners:
    """Finds the service by label, by the operator's matchers, or by the address that was scraped.

    Args:
        services: those that are configured, by name.
        matchers: by name, what the labels of a service's alerts must meet.
    """

    def __init__(self, services: Mapping[str, Service], matchers: Mapping[str, tuple[Matcher, ...]]) -> None:
        self._names = frozenset(services)
        self._matchers = {name: each for name, each in matchers.items() if name in services}
        self._ports: dict[tuple[str, int], set[str]] = {}
        self._hosts: dict[str, set[str]] = {}
        named = {matcher.label for each in self._matchers.values() for matcher in each}
        self._asked = tuple(dict.fromkeys([*ASKED, *sorted(named)]))
        self._found: dict[tuple[str | None, ...], str] = {}
        for name, service in services.items():
            if service.kind == "host":
                self._hosts.setdefault(name.partition("/")[2], set()).add(name)
            for host, port in addresses(service):
                self._ports.setdefault((host, port), set()).add(name)
                self._hosts.setdefault(host, set()).add(name)

    def of(self, labels: Mapping[str, str]) -> str:
        """The service's name; `alertmanager/<alertname>` when it is none of ours."""
        key = tuple(map(labels.get, self._asked))
        if key not in self._found:
            if len(self._found) >= MOST_REMEMBERED:
                self._found.clear()
            self._found[key] = self._of(labels)
        return self._found[key]

    def _of(self, labels: Mapping[str, str]) -> str:
        for label in ("cockpit_service", "service"):
            if labels.get(label) in self._names:
                return labels[label]
        for name, matchers in self._matchers.items():
            if all(matcher.holds(labels) for matcher in matchers):
                return name
        if "instance" in labels and (name := self._by_address(labels["instance"], labels.get("job", ""))):
            return name
        return _stranger(labels.get("alertname", ""))

    def _by_address(self, instance: str, job: str) -> str:
        if not self._hosts:
            return ""
        host, port = _split(instance)
        exact = self._ports.get((host, port), set())
        if len(exact) == 1:
            return next(iter(exact))
        kind = JOBS.get(job.lower(), job.lower())
        same = [name for name in self._hosts.get(host, ()) if name.partition("/")[0] == kind]
        return same[0] if len(same) == 1 and not is_loopback(host) else ""


@lru_cache(maxsize=1024)
def _stranger(name: str) -> str:
    short = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:63].strip("-.")
    return f"{STRANGER}/{short or 'unnamed'}"


def addresses(service: Service) -> Iterator[tuple[str, int]]:
    """Host and port of everything its options say how to reach."""
    host, port = service.options.get("host"), service.options.get("port")
    if isinstance(host, str) and isinstance(port, int):
        yield host, port
    for value in service.options.values():
        if isinstance(value, str) and "://" in value:
            try:
                parts = urlsplit(value)
                found = parts.port or PORTS.get(parts.scheme, 0)
            except ValueError:
                continue
            if parts.hostname and found:
                yield parts.hostname, found


def _split(instance: str) -> tuple[str, int]:
    """Host and port of what Prometheus scraped: `host:port`, or a URL that was probed."""
    scheme, _, rest = instance.rpartition("://")
    host, _, port = PATH.split(rest, maxsplit=1)[0].rpartition(":")
    if not port.isdecimal() or len(port) > 5:
        return rest.partition("/")[0].strip("[]"), PORTS.get(scheme, 0)
    return host.strip("[]"), int(port)
