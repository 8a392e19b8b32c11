"""Finds services that run on this machine, by who listens on which port; nothing is connected to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cockpit.model import JSON

PROGRAMS = {
    "postgres": "postgres",
    "postmaster": "postgres",
    "redis-server": "redis",
    "valkey-server": "redis",
    "nats-server": "nats",
    "caddy": "caddy",
}
"""Kinds by the name of the process."""
PORTS = {5432: "postgres", 6379: "redis", 4222: "nats", 2019: "caddy"}
"""Kinds by their usual port, for processes that this account may not look at."""
MAIN = {kind: port for port, kind in PORTS.items()}
UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9@._:-]{0,200}\.service")


@dataclass(frozen=True)
class Found:
    """A service that seems to run here."""

    name: str
    options: Mapping[str, JSON] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listener:
    """One process that listens, as far as it can be seen."""

    kind: str
    ports: frozenset[int]
    unit: str = ""


def discover() -> list[Found]:
    """The machine itself, and every service of a known kind that listens on it."""
    return named(_listeners())


def named(listeners: Iterable[Listener]) -> list[Found]:
    """The listeners as services, each with a name and the options it can be reached with."""
    found = [Found("host/local")]
    taken = {"host/local"}
    for listener in sorted(listeners, key=lambda each: (each.kind, MAIN[each.kind] not in each.ports, min(each.ports))):
        port = MAIN[listener.kind] if MAIN[listener.kind] in listener.ports else min(listener.ports)
        name = f"{listener.kind}/main" if f"{listener.kind}/main" not in taken else f"{listener.kind}/port-{port}"
        taken.add(name)
        options: dict[str, JSON] = {"admin": f"http://localhost:{port}"} if listener.kind == "caddy" else {"port": port}
        if listener.unit:
            options["unit"] = listener.unit
        found.append(Found(name, options, ("host/local",)))
    return found


def _listeners() -> list[Listener]:
    import psutil

    ports: dict[tuple[str, int], set[int]] = defaultdict(set)
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr:
            port = connection.laddr.port
            kind = _kind(connection.pid) if connection.pid else PORTS.get(port)
            if kind:
                ports[kind, connection.pid or -port].add(port)
    return [Listener(kind, frozenset(found), _unit(pid)) for (kind, pid), found in ports.items()]


def _kind(pid: int) -> str | None:
    import psutil

    try:
        return PROGRAMS.get(psutil.Process(pid).name())
    except psutil.Error:  # it ended while we looked
        return None


def _unit(pid: int) -> str:
    """The systemd unit a process belongs to; empty where there is none."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""
    last = groups.strip().rpartition("/")[2]
    return last if UNIT.fullmatch(last) and not last.startswith("user@") else ""
