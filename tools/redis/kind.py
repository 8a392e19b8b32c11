"""The kind `redis` and its probe."""

from __future__ import annotations

import contextlib

from cockpit.model import Health, Level
from cockpit.toolkit import Kind, counted
from tools.amounts import share, size
from tools.rates import per_second
from tools.redis import spare
from tools.redis.client import OPTIONS, RedisReader, RedisWriter, Unanswered
from tools.redis.readings import Info, info, setting

redis = Kind("redis", "Redis and Valkey, over their own protocol.", RedisReader, RedisWriter, OPTIONS)

FULL = {"rejected": 1.0, "clients_ratio": 1.0}


@redis.health(
    used_memory_bytes="memory that the data and the buffers use, bytes",
    maxmemory_bytes="the memory limit, bytes; 0 without one",
    used_memory_ratio="used memory as a part of the limit, 0 to 1 and above; 0 without a limit",
    noeviction="1 when writes are refused at the limit, 0 when keys are evicted",
    client_buffer_bytes="memory in clients' buffers, bytes",
    client_buffer_ratio="clients' buffers as a part of the memory limit (of the machine without one), 0 to 1",
    connected_clients="connected clients, count",
    clients_ratio="connected clients as a part of maxclients, 0 to 1",
    blocked_clients="clients that wait in a blocking command, count",
    rejected="1 when the probe's own new connection was refused because of maxclients",
    refused_per_second="new clients refused because of maxclients, per second",
    oom_errors_per_second="writes refused because of the memory limit, per second",
    evictions_per_second="keys evicted to make room, per second",
    operations_per_second="commands processed, per second",
    reads_per_second="key lookups, per second",
    recent_hit_ratio="lookups since the last probe that found their key, 0 to 1; 1 without lookups",
    keys="keys in all databases, count",
    lasting_keys="keys without an expiry, count",
    unsaved_changes="changes since the last snapshot, count",
    persistent="1 when snapshots are scheduled or the append-only file is on",
    save_failed="1 when the last snapshot or append-only write failed",
    loading="1 while the data set is being loaded",
    replica_link_down="1 on a replica whose link to its master is down",
    full_syncs_per_minute="full copies sent to replicas, per minute",
    uptime_seconds="seconds since its start",
)
async def probe(client: RedisReader) -> Health:
    """Health by INFO over a new connection; refusing new clients, writes or its master makes it degraded."""
    try:
        seen = await info(client)
    except Unanswered as error:
        if error.state != "crowded":
            raise
        return Health(Level.DEGRADED, "refuses new clients: maxclients is reached", FULL)
    if not client.crowded:
        from redis.exceptions import RedisError

        # A full server has no room for a spare; the probe itself has its answer already.
        with contextlib.suppress(RedisError, OSError):
            await spare.keep(client, seen.text("run_id"))
    limit = seen.number("maxclients") or float(await setting(client, "maxclients") or 0)
    persistent = seen.number("aof_enabled") == 1 or bool(await setting(client, "save"))
    samples = {
        **_memory(seen),
        **_clients(seen, limit, client.crowded),
        **_rates(client.service.name, seen),
        **_safety(seen),
        "persistent": float(persistent),
    }
    level, summary = _judged(seen, samples)
    return Health(level, summary, samples)


def _memory(seen: Info) -> dict[str, float]:
    buffers = seen.number("mem_clients_normal")
    whole = seen.number("maxmemory") or seen.number("total_system_memory")
    return {
        "used_memory_bytes": seen.number("used_memory"),
        "maxmemory_bytes": seen.number("maxmemory"),
        "used_memory_ratio": seen.used_ratio,
        "noeviction": float(seen.refuses_when_full),
        "client_buffer_bytes": buffers,
        "client_buffer_ratio": buffers / whole if whole else 0.0,
    }


def _clients(seen: Info, limit: float, crowded: bool) -> dict[str, float]:
    clients = seen.number("connected_clients")
    return {
        "connected_clients": clients,
        "clients_ratio": clients / limit if limit else 0.0,
        "blocked_clients": seen.number("blocked_clients"),
        "rejected": float(crowded),
    }


def _rates(service: str, seen: Info) -> dict[str, float]:
    def rate(field: str) -> float:
        return per_second(service, field, seen.number(field))

    hits, misses = rate("keyspace_hits"), rate("keyspace_misses")
    oom = float(seen.inner("errorstat_OOM").get("count", 0))
    return {
        "refused_per_second": rate("rejected_connections"),
        "oom_errors_per_second": per_second(service, "errorstat_OOM", oom),
        "evictions_per_second": rate("evicted_keys"),
        "operations_per_second": seen.number("instantaneous_ops_per_sec"),
        "reads_per_second": hits + misses,
        "recent_hit_ratio": hits / (hits + misses) if hits + misses > 0 else 1.0,
        "full_syncs_per_minute": rate("sync_full") * 60,
    }


def _safety(seen: Info) -> dict[str, float]:
    broken = any(seen.text(field) == "err" for field in ("rdb_last_bgsave_status", "aof_last_write_status"))
    return {
        "keys": seen.keys,
        "lasting_keys": seen.lasting,
        "unsaved_changes": seen.number("rdb_changes_since_last_save"),
        "save_failed": float(broken),
        "loading": seen.number("loading"),
        "replica_link_down": float(seen.text("master_link_status") == "down"),
        "uptime_seconds": seen.number("uptime_in_seconds"),
    }


def _judged(seen: Info, samples: dict[str, float]) -> tuple[Level, str]:
    used, limit = samples["used_memory_bytes"], samples["maxmemory_bytes"]
    clients = samples["connected_clients"]
    troubles = (
        (samples["loading"], f"loading its data, {seen.number('loading_loaded_perc'):.0f} % done"),
        (samples["rejected"], f"refuses new clients, {counted(clients, 'is', 'are')} connected"),
        (limit and used >= limit and samples["noeviction"], f"refuses writes, {size(used)} of {size(limit)} used"),
        (samples["replica_link_down"], "the link to its master is down"),
        (samples["save_failed"], "its last save failed"),
    )
    for holds, words in troubles:
        if holds:
            return Level.DEGRADED, words
    memory = f"{share(used, limit)} of {size(limit)}" if limit else size(used)
    return Level.UP, f"{memory} used, {counted(clients, 'client')}"
