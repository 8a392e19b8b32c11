"""Which services stand near one: what it depends on, and what depends on it, however far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from cockpit.model import Service


def depended_on(services: Mapping[str, Service], name: str) -> list[str]:
    """What a service depends on, the nearest first."""
    return _reached(name, lambda each: services[each].depends_on if each in services else ())


def dependants(services: Mapping[str, Service], name: str) -> list[str]:
    """What depends on a service, the nearest first."""
    return _reached(name, lambda each: [other.name for other in services.values() if each in other.depends_on])


def near(services: Mapping[str, Service], name: str) -> list[str]:
    """The service itself, what it depends on, and what depends on it, as far as they are configured."""
    found = [name, *depended_on(services, name), *dependants(services, name)]
    return [each for each in dict.fromkeys(found) if each in services]


def _reached(name: str, next_to: Callable[[str], Iterable[str]]) -> list[str]:
    found: dict[str, None] = {}
    edge = [name]
    while edge:
        edge = [other for each in edge for other in next_to(each) if other not in found and other != name]
        found.update(dict.fromkeys(edge))
    return list(found)
