"""A config and a filled log for measuring: many services, past incidents, as many events as are asked for."""

from __future__ import annotations

import time
from pathlib import Path

from cockpit.model import (
    Alert,
    Approval,
    Call,
    Change,
    Health,
    IncidentStatus,
    Level,
    Plan,
    Service,
    Severity,
    digest,
)
from cockpit.store.store import Store


def filled_store(
    folder: Path, *, services: int, incidents: int, events: int = 0, port: int = 1, interval: float = 10.0
) -> Path:
    """Write a config with so many Redis services on one port, and a log to go with it; returns the config's path."""
    config, data = folder / "config.toml", folder / "data"
    names = [f"redis/cache{number:02}" for number in range(services)]
    tables = [f"[services.redis.{name.partition('/')[2]}]\nport = {port}\ninterval = {interval}\n" for name in names]
    config.write_text(f'data_folder = "{data}"\n\n' + "\n".join(tables))
    config.chmod(0o600)
    with Store.open(data / "cockpit.db") as store:
        store.watch([Service(name) for name in names])
        for name in names:
            store.record_health(name, Health(Level.UP, "fine", {"used_bytes": 1e6}, 0.001), time.time())
        for number in range(incidents):
            _incident(store, names[number % services], number)
        for number in range(events):
            store.note("monitor", "note", f"line {number}")
    return config


def _incident(store: Store, service: str, number: int) -> None:
    now = time.time()
    alert = Alert(f"{service}:{number}", service, "redis-slow", Severity.WARNING, "slow", now)
    (incident,) = store.ingest_alerts([alert])
    change = Change(service, "setting", "maxmemory", "1", "2", ("CONFIG SET maxmemory 2",), "read again", undo="back")
    plan, call = Plan("Set maxmemory", (change,), "none"), Call("set_redis_maxmemory", service, {"megabytes": 2})
    store.propose(incident, call, plan, digest(call, plan), Approval.HARD, now + 300, reason="it is slow", at=now)
    if number:
        store.clear_alerts([alert.fingerprint], now)
        store.supersede(number + 1, "cleared")
        store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text="Resolved.")
