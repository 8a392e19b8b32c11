"""The kind `nats` and its probe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.model import Health, Level
from cockpit.toolkit import Kind, counted
from tools.amounts import share, size
from tools.nats.client import OPTIONS, NatsReader, NatsWriter
from tools.nats.readings import JetStream, jetstream, standing_still, uptime
from tools.rates import per_second
from tools.shapes import number, text

nats = Kind("nats", "NATS with JetStream, over its monitoring port.", NatsReader, NatsWriter, OPTIONS)


@nats.health(
    healthy="1 when /healthz says ok",
    connections="connected clients, count",
    connections_ratio="connected clients as a part of max_connections, 0 to 1",
    slow_consumers_per_minute="clients cut off because they read too slowly, per minute",
    memory_bytes="memory of the server process, bytes",
    messages_in_per_second="messages received from clients, per second",
    storage_bytes="bytes of all file streams",
    max_storage_bytes="bytes that file streams may take",
    storage_ratio="storage used as a part of the limit, 0 to 1 and above",
    api_errors_per_second="requests that JetStream refused, per second",
    streams="streams of the account, count",
    unbounded_streams="file streams that nothing ever shortens, count",
    full_streams="streams that are full and refuse new messages, count",
    memory_messages="messages in memory streams, which a restart loses, count",
    consumers="consumers of the account, count",
    pending_messages="messages not yet given to their consumers, count",
    stalled_consumers="consumers with work that nobody asks for, count",
    redelivered_messages="unacknowledged messages that were given more than once, count",
    uptime_seconds="seconds since its start",
)
async def probe(client: NatsReader) -> Health:
    """Health by /healthz, /varz and /jsz; a full store or a consumer that stands still makes it degraded."""
    health, server = await client.get("healthz"), await client.get("varz")
    stored = await jetstream(client)
    stalled = await standing_still(client, stored, uptime(server))
    samples = {
        "healthy": float(health.get("status") == "ok"),
        **_server(client.service.name, server),
        **_store(client.service.name, stored),
        **_consumers(stored),
        "stalled_consumers": float(len(stalled)),
    }
    level, summary = _judged(text(health.get("error") or health.get("status")), stored, samples)
    return Health(level, summary, samples)


def _server(service: str, server: Mapping[str, Any]) -> dict[str, float]:
    clients, most = number(server.get("connections")), number(server.get("max_connections"))
    slow = per_second(service, "slow_consumers", number(server.get("slow_consumers")))
    return {
        "connections": clients,
        "connections_ratio": clients / most if most > 0 else 0.0,
        "slow_consumers_per_minute": slow * 60,
        "memory_bytes": number(server.get("mem")),
        "messages_in_per_second": per_second(service, "in_msgs", number(server.get("in_msgs"))),
        "uptime_seconds": uptime(server),
    }


def _store(service: str, stored: JetStream) -> dict[str, float]:
    api = stored.fields.get("api")
    errors = number(api.get("errors")) if isinstance(api, dict) else 0.0
    return {
        "storage_bytes": stored.storage,
        "max_storage_bytes": stored.most,
        "storage_ratio": stored.ratio,
        "api_errors_per_second": per_second(service, "api_errors", errors),
        "streams": float(len(stored.streams)),
        "unbounded_streams": float(sum(1 for each in stored.streams if each.on_disk and each.unbounded)),
        "full_streams": float(sum(1 for each in stored.streams if each.refuses)),
        "memory_messages": float(sum(each.messages for each in stored.streams if not each.on_disk)),
    }


def _consumers(stored: JetStream) -> dict[str, float]:
    return {
        "consumers": float(len(stored.consumers)),
        "pending_messages": float(sum(each.pending for each in stored.consumers)),
        "redelivered_messages": float(sum(each.redelivered for each in stored.consumers)),
    }


def _judged(said: str, stored: JetStream, samples: dict[str, float]) -> tuple[Level, str]:
    used = f"{share(stored.storage, stored.most)} of {size(stored.most)} stored"
    still, full = samples["stalled_consumers"], samples["full_streams"]
    troubles = (
        (not samples["healthy"], f"says that it is not well: {said}"),
        (stored.ratio >= 1, f"refuses messages, {size(stored.storage)} of {size(stored.most)} stored"),
        (still, f"{counted(still, 'consumer stands', 'consumers stand')} still"),
        (full, f"{counted(full, 'full stream refuses', 'full streams refuse')} messages"),
    )
    for holds, words in troubles:
        if holds:
            return Level.DEGRADED, words
    clients = counted(samples["connections"], "client")
    return Level.UP, f"{used}, {clients}" if stored.enabled else f"{clients}, without JetStream"
