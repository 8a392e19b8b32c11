"""What nobody is told of, and what is expected to be down: mutes of operators and windows of maintenance."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cockpit.agent.spans import window_end
from cockpit.model import Level, Mute, Role, Service
from cockpit.settings.daemon import Maintenance
from cockpit.store.store import Store

HEALTHY_LOOKS = 2
"""Probes in a row that a service must be up for, before a mute that waits for its health ends."""
HOST_OPTIONS = ("host", "admin", "monitoring", "url", "address")
"""Options of services that say on which host they run, as a name or within an address."""


@dataclass
class Silences:
    """Says which services are silenced now, and why.

    Args:
        store: holds the mutes.
        services: what is configured; a service that is not can be muted by its name or kind.
        windows: the maintenance windows of the config.
    """

    store: Store
    services: Mapping[str, Service]
    windows: Sequence[Maintenance] = ()
    clock: Callable[[], float] = time.time
    _up: dict[int, dict[str, int]] = field(default_factory=dict)

    def why(self, name: str) -> str:
        """Why nobody is to be told of a service and nothing is changed on it unasked; empty when that is not so."""
        if window := self.maintenance(name):
            return f"{name} is under maintenance ({window})."
        for mute in self.store.reader.mutes(self.clock()):
            if muted(mute, self._service(name)):
                return f"{name} is muted by {mute.by}" + (f": {mute.why}" if mute.why else ".")
        return ""

    def maintenance(self, name: str) -> str:
        """The name of the maintenance window that is on for a service; empty when none is."""
        service = self._service(name)
        for window in self.windows:
            if covers(window, service) and window_end(window, self.clock()) is not None:
                return window.name
        return ""

    def saw(self, name: str, level: Level) -> None:
        """Take in what a probe saw: a mute until its services are healthy may end by it."""
        waiting = [mute for mute in self.store.reader.mutes(self.clock()) if mute.until_healthy]
        self._up = {mute.id: self._up.get(mute.id, {}) for mute in waiting}
        for mute in waiting:
            if not muted(mute, self._service(name)):
                continue
            looks = self._up[mute.id]
            looks[name] = looks.get(name, 0) + 1 if level is Level.UP else 0
            covered = [service.name for service in self.services.values() if muted(mute, service)]
            if all(looks.get(other, 0) >= HEALTHY_LOOKS for other in covered):
                self.store.unmute(mute.matcher, Role.MONITOR, "it is healthy again.")

    def _service(self, name: str) -> Service:
        return self.services.get(name) or Service(name)


def muted(mute: Mute, service: Service) -> bool:
    """Whether a mute is about a service."""
    what, _, name = mute.matcher.partition(":")
    if what == "tag" and name:
        return name in service.tags
    if what == "kind" and name:
        return name == service.kind
    if what == "host" and name:
        return name in set(hosts_of(service))
    return mute.matcher == service.name


def covers(window: Maintenance, service: Service) -> bool:
    """Whether a maintenance window is about a service."""
    return (
        service.name in window.services
        or service.kind in window.kinds
        or bool(set(window.tags) & set(service.tags))
        or bool(set(window.hosts) & set(hosts_of(service)))
    )


def hosts_of(service: Service) -> Iterator[str]:
    """The hosts a service is on, as far as its name and its options say so."""
    if service.kind == "host":
        yield service.name.partition("/")[2]
    for option in HOST_OPTIONS:
        value = service.options.get(option)
        if isinstance(value, str) and value:
            yield (urlsplit(value).hostname or value) if "://" in value else value
