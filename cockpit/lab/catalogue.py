"""What the lab consists of: every server, and every fault that can be injected."""

from __future__ import annotations

from cockpit.lab import lab
from cockpit.lab.lab import Lab
from cockpit.lab.parts import Fault, Server


def servers() -> tuple[Server, ...]:
    """Every server of the lab."""
    from cockpit.lab import caddy, host, nats, postgres, redis

    return (*postgres.SERVERS, *redis.SERVERS, *nats.SERVERS, *caddy.SERVERS, *host.SERVERS)


def faults() -> dict[str, Fault]:
    """Every fault by name, in the order of the menu."""
    from cockpit.lab import caddy, host, nats, postgres, redis

    every = (*postgres.FAULTS, *redis.FAULTS, *nats.FAULTS, *caddy.FAULTS, *host.FAULTS)
    return {fault.name: fault for fault in every}


def find_lab() -> Lab | None:
    """This user's running lab, the newest if there are several; None when none runs."""
    folders = lab.living()
    return Lab(folders[0], servers()) if folders else None
