"""What NATS can be asked about itself: health, connections, storage, streams, consumers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cockpit.model import JSON, CockpitError, Finding, RunStatus
from cockpit.toolkit import counted
from tools.amounts import duration, share, size
from tools.control import ServiceStatus
from tools.nats.client import NatsReader, Unanswered
from tools.nats.kind import nats
from tools.nats.readings import Consumer, JetStream, Stream, jetstream, seconds, standing_still, uptime
from tools.shapes import mapping, number, sequence, text

MEBIBYTE = 1024 * 1024
SLOW = "Slow Consumer"


@nats.diagnostic()
async def check_nats_health(client: NatsReader) -> Finding:
    """Whether it answers, what it says of itself, and what the service manager says of it.

    Works while NATS is down. `state` is up, unwell (with the reason in `said`), refused
    (nothing listens), silent (no answer in time) or closed. Reads /healthz, /varz and the
    status command of its service control.
    """
    manager = await _manager(client)
    try:
        health, server = await client.get("healthz"), await client.get("varz")
    except Unanswered as error:
        return Finding(error.what, {"state": error.state, "said": "", "uptime_seconds": 0.0, **manager})
    well = health.get("status") == "ok"
    said = text(health.get("error") or health.get("status"))
    data: dict[str, JSON] = {
        "state": "up" if well else "unwell",
        "said": said,
        "version": text(server.get("version")),
        "uptime_seconds": uptime(server),
        "connections": number(server.get("connections")),
        "memory_bytes": number(server.get("mem")),
        **manager,
    }
    return Finding(f"NATS {data['version']} says '{said}', started {duration(uptime(server))} ago.", data)


async def _manager(client: NatsReader) -> dict[str, JSON]:
    """What the service manager says: `managed` is false when there is none or it cannot be asked."""
    try:
        return {"managed": True, "running": await ServiceStatus(client.service).running()}
    except CockpitError:
        return {"managed": False, "running": False}


@nats.diagnostic()
async def check_nats_connections(client: NatsReader, limit: int = 20) -> Finding:
    """Connected clients, those with the most unread bytes first, and how many of how many.

    Reads /connz sorted by pending bytes, and /varz.

    Args:
        limit: how many clients to list, 1 to 20.
    """
    answer, server = await client.get("connz", sort="pending", limit=1000), await client.get("varz")
    rows = [mapping(each) for each in sequence(answer.get("connections"))]
    names = [text(row.get("name")) or text(row.get("ip")) for row in rows]
    top = max(sorted(set(names)), key=names.count, default="")
    most = number(server.get("max_connections"))
    data: dict[str, JSON] = {
        "connections": number(answer.get("total")),
        "limit": most,
        "top_name": top,
        "top_count": names.count(top) if top else 0,
        "pending_bytes": sum(number(row.get("pending_bytes")) for row in rows),
        "rows": [_connection(row) for row in rows[: max(1, min(limit, 20))]],
    }
    summary = f"{data['connections']:.0f} of {most:.0f} clients connected"
    return Finding(f"{summary}; '{top}' has {data['top_count']} of them." if top else f"{summary}.", data)


def _connection(row: Any) -> dict[str, JSON]:
    return {
        "cid": number(row.get("cid")),
        "name": text(row.get("name")),
        "address": f"{text(row.get('ip'))}:{text(row.get('port'))}",
        "pending_bytes": number(row.get("pending_bytes")),
        "subscriptions": number(row.get("subscriptions")),
        "idle": text(row.get("idle")),
        "reason": text(row.get("reason")),
    }


@nats.diagnostic()
async def check_slow_consumers(client: NatsReader) -> Finding:
    """Clients that were cut off because they read too slowly, the latest first, and those that lag now.

    Reads /connz?state=closed, whose rows carry the reason, /connz sorted by pending bytes, and /varz.
    """
    closed = await client.get("connz", state="closed", limit=1000)
    rows = [mapping(each) for each in sequence(closed.get("connections"))]
    cut = sorted((row for row in rows if text(row.get("reason")).startswith(SLOW)), key=_stopped, reverse=True)
    opened = await client.get("connz", sort="pending", limit=20)
    lagging = [mapping(each) for each in sequence(opened.get("connections"))]
    server = await client.get("varz")
    total = number(server.get("slow_consumers"))
    data: dict[str, JSON] = {
        "total": total,
        "cut_off": len(cut),
        "last_name": text(cut[0].get("name")) or text(cut[0].get("ip")) if cut else "",
        "last_seconds_ago": max(seconds(closed.get("now")) - _stopped(cut[0]), 0.0) if cut else 0.0,
        "most_pending_bytes": number(lagging[0].get("pending_bytes")) if lagging else 0.0,
        "write_deadline_seconds": number(server.get("write_deadline")) / 1e9,
        "rows": [_connection(row) for row in cut[:20]],
    }
    if not total and not cut:
        return Finding("No client was cut off for reading too slowly.", data, RunStatus.NOTHING)
    off = counted(total, "client was", "clients were")
    return Finding(f"{off} cut off since the start, the last was '{data['last_name']}'.", data)


def _stopped(row: Any) -> float:
    return seconds(row.get("stop"))


@nats.diagnostic()
async def check_jetstream(client: NatsReader) -> Finding:
    """Storage used against the limit, what is reserved, and the largest stream that nothing shortens.

    `suggested_max_megabytes` is half of what the other streams leave of the storage. Reads /jsz.
    """
    stored = await jetstream(client)
    loose = max(
        (each for each in stored.streams if each.on_disk and each.unbounded), key=lambda each: each.bytes, default=None
    )
    data: dict[str, JSON] = {
        "enabled": stored.enabled,
        "storage_bytes": stored.storage,
        "max_storage_bytes": stored.most,
        "storage_ratio": stored.ratio,
        "reserved_bytes": stored.reserved,
        "memory_bytes": number(stored.fields.get("memory")),
        "streams": len(stored.streams),
        "consumers": len(stored.consumers),
        "messages": number(stored.fields.get("messages")),
        "api_errors": number(mapping(stored.fields.get("api")).get("errors")),
        "unbounded": sum(1 for each in stored.streams if each.on_disk and each.unbounded),
        "largest_unbounded": loose.name if loose else "",
        "largest_unbounded_bytes": loose.bytes if loose else 0.0,
        "suggested_max_megabytes": _suggested(stored, loose),
    }
    if not stored.enabled:
        return Finding("JetStream is off.", data, RunStatus.NOTHING)
    used = f"{size(stored.storage)} of {size(stored.most)} stored ({share(stored.storage, stored.most)})"
    return Finding(f"{used} in {counted(len(stored.streams), 'stream')}.", data)


def _suggested(stored: JetStream, loose: Stream | None) -> int:
    if loose is None:
        return 0
    others = sum(max(each.bytes, each.limit) for each in stored.streams if each.on_disk and each is not loose)
    return max(1, int((stored.most - others) / 2 / MEBIBYTE))


@nats.diagnostic()
async def list_streams(client: NatsReader, limit: int = 20) -> Finding:
    """Streams with size, limits and retention, the largest first; which refuse, which a restart loses.

    Reads /jsz.

    Args:
        limit: how many streams to list, 1 to 20.
    """
    streams = sorted((await jetstream(client)).streams, key=lambda each: -each.bytes)
    refusing = [each for each in streams if each.refuses]
    in_memory = [each for each in streams if not each.on_disk]
    data: dict[str, JSON] = {
        "count": len(streams),
        "refusing": len(refusing),
        "first_refusing": refusing[0].name if refusing else "",
        "in_memory": len(in_memory),
        "memory_messages": sum(each.messages for each in in_memory),
        "rows": [_row(each) for each in streams[: max(1, min(limit, 20))]],
    }
    if not streams:
        return Finding("There are no streams.", data, RunStatus.NOTHING)
    largest = f"{streams[0].name} with {size(streams[0].bytes)}"
    return Finding(f"{counted(len(streams), 'stream')}, the largest is {largest}.", data)


def _row(each: Stream) -> dict[str, JSON]:
    return {
        "name": text(each.name),
        "bytes": each.bytes,
        "max_bytes": each.limit,
        "messages": each.messages,
        "max_age_seconds": number(each.config.get("max_age")) / 1e9,
        "retention": text(each.config.get("retention")),
        "discard": text(each.config.get("discard")),
        "storage": text(each.config.get("storage")),
        "unbounded": each.unbounded,
        "consumers": len(each.consumers),
    }


@nats.diagnostic()
async def check_consumers(client: NatsReader, limit: int = 20) -> Finding:
    """Consumers with what is pending, unacknowledged and redelivered; which stand still and whose worker is gone.

    `stalled_*` tell of the consumer that stands still with the most pending messages, and
    `redelivering_*` of the one that repeats most. Reads /jsz, and for a configured worker its
    status command.

    Args:
        limit: how many consumers to list, those with the most pending first, 1 to 20.
    """
    stored, server = await jetstream(client), await client.get("varz")
    consumers = sorted(stored.consumers, key=lambda each: -each.pending)
    stalled = await standing_still(client, stored, uptime(server))
    names = {(each.stream, each.name) for each in stalled}
    data: dict[str, JSON] = {
        "count": len(consumers),
        "stalled": len(stalled),
        **await _stalled(client, stalled),
        **_redelivering(consumers),
        "rows": [_consumer(each, (each.stream, each.name) in names) for each in consumers[: max(1, min(limit, 20))]],
    }
    if not consumers:
        return Finding("There are no consumers.", data, RunStatus.NOTHING)
    if stalled:
        pending = counted(stalled[0].pending, "message")
        words = f"'{stalled[0].name}' of {stalled[0].stream} with {pending} pending"
        return Finding(f"Consumers that stand still: {len(stalled)} of {len(consumers)}, first {words}.", data)
    return Finding(f"{counted(len(consumers), 'consumer')}, none stands still.", data)


async def _stalled(client: NatsReader, stalled: Sequence[Consumer]) -> dict[str, JSON]:
    if not stalled:
        return {"stalled_stream": "", "stalled_consumer": "", "worker_known": False, "worker_running": False}
    worst = stalled[0]
    try:
        worker: dict[str, JSON] = {
            "worker_known": True,
            "worker_running": await ServiceStatus(client.service, ("workers", worst.name)).running(),
        }
    except CockpitError:
        worker = {"worker_known": False, "worker_running": False}
    return {
        "stalled_stream": worst.stream,
        "stalled_consumer": worst.name,
        "stalled_pending": worst.pending,
        "stalled_unacknowledged": worst.unacknowledged,
        "stalled_seconds": worst.idle,
        "stalled_paused": worst.fields.get("paused") is True,
        **worker,
    }


def _redelivering(consumers: Sequence[Consumer]) -> dict[str, JSON]:
    worst = max(consumers, key=lambda each: each.redelivered, default=None)
    if worst is None or not worst.redelivered:
        return {"redelivering": 0, "redelivering_stream": "", "redelivering_consumer": ""}
    return {
        "redelivering": worst.redelivered,
        "redelivering_stream": worst.stream,
        "redelivering_consumer": worst.name,
        "redelivering_attended": worst.attended or worst.idle < worst.acknowledge_within * 3,
        "ack_wait_seconds": worst.acknowledge_within,
        "suggested_ack_wait_seconds": max(30, int(worst.acknowledge_within * 4)),
    }


def _consumer(each: Consumer, stalled: bool) -> dict[str, JSON]:
    return {
        "stream": text(each.stream),
        "name": text(each.name),
        "pending": each.pending,
        "unacknowledged": each.unacknowledged,
        "redelivered": each.redelivered,
        "attended": each.attended,
        "idle_seconds": each.idle,
        "ack_wait_seconds": each.acknowledge_within,
        "position": each.position,
        "stalled": stalled,
    }
