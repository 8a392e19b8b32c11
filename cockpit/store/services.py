"""What is watched, and what the probes saw; every function works inside a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cockpit.model import JSON, CockpitError, Health, Level, Role, Service, canonical
from cockpit.store import samples
from cockpit.store.rows import health_from
from cockpit.store.transaction import Transaction

WATCH = """
insert into service (name, position, configured, depends_on, critical, interval, timeout, expected_down, note, tags)
values (?, ?, 1, ?, ?, ?, ?, ?, ?, ?)
on conflict (name) do update set position = excluded.position, configured = 1, depends_on = excluded.depends_on,
  critical = excluded.critical, interval = excluded.interval, timeout = excluded.timeout,
  expected_down = excluded.expected_down, note = excluded.note, tags = excluded.tags
"""
SAW = "update service set level = ?, summary = ?, samples = ?, latency = ?, checked_at = ?, since = ? where id = ?"


def watch(log: Transaction, services: Sequence[Service]) -> None:
    """Make these the configured services; the history of the others is kept."""
    log.execute("update service set configured = 0")
    for position, service in enumerate(services):
        log.execute(
            WATCH,
            service.name,
            position,
            canonical(service.depends_on),
            service.critical,
            service.interval,
            service.timeout,
            service.expected_down,
            log.text(service.note),
            canonical([log.text(tag) for tag in service.tags]),
        )


def record_health(log: Transaction, service: str, health: Health, at: float) -> Health | None:
    """Keep what a probe saw; an event is appended when the level changed."""
    row = log.one("select * from service where name = ?", service)
    if row is None:
        raise CockpitError(f"'{service}' is not watched.", "Add it to the config; it is watched after the next start.")
    readings = samples.finite(health)
    known = {name: value for name, value in readings.items() if name in health.samples}
    level = Level(row["level"]) if row["level"] else None
    since = at if health.level != level else row["since"]
    log.execute(SAW, health.level, log.text(health.summary), log.json(known), health.latency, at, since, row["id"])
    samples.append(log, row, at, readings)
    if health.level != (level or Level.UP):
        _tell_of_level(log, service, health, level or Level.UNKNOWN, at)
    return None if level is None else health_from(row)


def _tell_of_level(log: Transaction, service: str, health: Health, was: Level, at: float) -> None:
    data: Mapping[str, JSON] = {"level": health.level, "was": was}
    text = f"{service} is {health.level}: {health.summary}"
    log.event("health", text, actor=Role.MONITOR, at=at, service=service, data=data)
