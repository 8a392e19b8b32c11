"""What Redis can be asked about itself as a whole: health, memory, keys, slow commands, large keys."""

from __future__ import annotations

import math
from typing import Any

from cockpit.model import JSON, CockpitError, Denied, Finding, RunStatus, Unexpected
from cockpit.toolkit import counted
from tools.amounts import duration, share, size
from tools.control import ServiceStatus
from tools.redis.client import RedisReader, Unanswered
from tools.redis.kind import redis
from tools.redis.readings import Info, info, setting
from tools.shapes import mapping, number, sequence, text

MEBIBYTE = 1024 * 1024


@redis.diagnostic()
async def check_redis_health(client: RedisReader) -> Finding:
    """Whether it answers, loads, refuses or is silent, and what the service manager says of it.

    Works while Redis is down. `state` is up, loading, crowded (maxclients reached), refused
    (nothing listens), silent (no answer in time), closed or denied. Reads INFO and the status
    command of its service control.
    """
    manager = await _manager(client)
    try:
        seen = await info(client)
    except Unanswered as error:
        return Finding(error.what, {"state": error.state, **_unseen(), **manager})
    except Denied as error:
        return Finding(error.what, {"state": "denied", **_unseen(), **manager})
    state = "crowded" if client.crowded else "loading" if seen.number("loading") else "up"
    uptime = seen.number("uptime_in_seconds")
    summary = f"Redis {seen.text('redis_version')} is {state}, started {duration(uptime)} ago."
    return Finding(summary, {"state": state, **_vitals(seen), **manager})


def _unseen() -> dict[str, Any]:
    return {"uptime_seconds": 0.0, "loading_percent": 0.0, "loading_left_seconds": 0.0}


def _vitals(seen: Info) -> dict[str, Any]:
    return {
        "version": seen.text("redis_version"),
        "role": seen.text("role"),
        "uptime_seconds": seen.number("uptime_in_seconds"),
        "loading_percent": seen.number("loading_loaded_perc"),
        "loading_left_seconds": seen.number("loading_eta_seconds"),
        "operations_per_second": seen.number("instantaneous_ops_per_sec"),
        "connected_clients": seen.number("connected_clients"),
        "keys": seen.keys,
    }


async def _manager(client: RedisReader) -> dict[str, Any]:
    """What the service manager says: `managed` is false when there is none or it cannot be asked."""
    try:
        return {"managed": True, "running": await ServiceStatus(client.service).running()}
    except CockpitError:
        return {"managed": False, "running": False}


@redis.diagnostic()
async def check_redis_memory(client: RedisReader) -> Finding:
    """Memory used against the limit, the eviction policy, and what of it is clients' buffers.

    `suggested_limit_megabytes` is twice the present limit. Reads INFO.
    """
    seen = await info(client)
    used, limit = seen.number("used_memory"), seen.number("maxmemory")
    policy = seen.text("maxmemory_policy")
    of = f"of {size(limit)} ({share(used, limit)})" if limit else "without a limit"
    data: dict[str, JSON] = {
        "used_bytes": used,
        "limit_bytes": limit,
        "used_ratio": seen.used_ratio,
        "policy": policy,
        "dataset_bytes": seen.number("used_memory_dataset"),
        "client_buffer_bytes": seen.number("mem_clients_normal"),
        "replica_buffer_bytes": seen.number("mem_clients_slaves"),
        "resident_bytes": seen.number("used_memory_rss"),
        "peak_bytes": seen.number("used_memory_peak"),
        "fragmentation_ratio": seen.number("mem_fragmentation_ratio"),
        "machine_bytes": seen.number("total_system_memory"),
        "evicted_keys": seen.number("evicted_keys"),
        "oom_errors": number(seen.inner("errorstat_OOM").get("count")),
        "suggested_limit_megabytes": math.ceil(limit * 2 / MEBIBYTE),
    }
    return Finding(f"{size(used)} used {of}, policy {policy}.", data)


@redis.diagnostic()
async def check_redis_keys(client: RedisReader) -> Finding:
    """Keys of each database, with and without an expiry; why keys went: expired, evicted or flushed.

    `mixed` says that keys without an expiry share the instance with at least as many that
    have one, as when a queue lies beside a cache. Reads INFO keyspace, stats and commandstats.
    """
    seen, commands = await info(client), await info(client, "commandstats")
    flushes = sum(number(commands.inner(f"cmdstat_{name}").get("calls")) for name in ("flushall", "flushdb"))
    hits, misses = seen.number("keyspace_hits"), seen.number("keyspace_misses")
    expiring = seen.keys - seen.lasting
    ttls = [each["average_ttl_seconds"] for each in seen.databases if each["expiring"]]
    data: dict[str, JSON] = {
        "keys": seen.keys,
        "expiring": expiring,
        "lasting": seen.lasting,
        "mixed": expiring >= seen.lasting > 0,
        "databases": seen.databases[:20],
        "average_ttl_seconds": max(ttls, default=0.0),
        "evicted": seen.number("evicted_keys"),
        "expired": seen.number("expired_keys"),
        "flushes": flushes,
        "hit_ratio": hits / (hits + misses) if hits + misses else 1.0,
        "uptime_seconds": seen.number("uptime_in_seconds"),
        "policy": seen.text("maxmemory_policy"),
    }
    counts = f"{data['evicted']:.0f} evicted, {data['expired']:.0f} expired, {counted(flushes, 'flush', 'flushes')}"
    return Finding(f"{counted(seen.keys, 'key')}, {seen.lasting:.0f} without expiry; {counts} since its start.", data)


@redis.diagnostic()
async def check_redis_slowlog(client: RedisReader, limit: int = 20) -> Finding:
    """The slowest recent commands, with the name of the first key and the client that sent them.

    Arguments other than the first are left out, for they are data. Reads SLOWLOG GET.

    Args:
        limit: how many entries to read, 1 to 100.
    """
    threshold = number(await setting(client, "slowlog-log-slower-than")) / 1e6
    entries = [mapping(row) for row in sequence(await client.ask("SLOWLOG GET", max(1, min(limit, 100))))]
    rows: list[dict[str, Any]] = [_slow(row) for row in entries]
    rows.sort(key=lambda row: -row["seconds"])
    slowest = rows[0]["seconds"] if rows else 0.0
    data: dict[str, JSON] = {
        "count": len(rows),
        "slowest_seconds": slowest,
        "threshold_seconds": threshold,
        "rows": rows[:20],
    }
    data["slowest_command"] = rows[0]["command"] if rows else ""
    if not rows:
        return Finding(f"No command took longer than {threshold:g} s.", data, RunStatus.NOTHING)
    return Finding(f"{counted(len(rows), 'slow command')}, the slowest {slowest:.3f} s: {rows[0]['command']}.", data)


def _slow(row: Any) -> dict[str, Any]:
    words = text(row.get("command")).split(" ")
    return {
        "seconds": number(row.get("duration")) / 1e6,
        "command": words[0].upper(),
        "key": words[1] if len(words) > 1 else "",
        "client": text(row.get("client_address")),
        "at": number(row.get("start_time")),
    }


@redis.diagnostic(timeout=30.0)
async def find_big_keys(client: RedisReader, database: int = 0, limit: int = 10, scanned: int = 10_000) -> Finding:
    """The largest keys among those that a bounded scan meets, with type, bytes and time to live.

    Reads SCAN and MEMORY USAGE with 5 samples a key, so it costs Redis little; it is a
    sample unless `complete` is true.

    Args:
        database: which database to scan.
        limit: how many keys to return, 1 to 20.
        scanned: how many keys to look at, at most 100000.
    """
    async with client.beside(database) as other:
        keys, complete = await _scan(other, max(1, min(scanned, 100_000)))
        sized = sorted([(await _bytes(other, key), key) for key in keys], reverse=True)
        rows = [await _key(other, key, amount) for amount, key in sized[: max(1, min(limit, 20))]]
    total = sum(amount for amount, _ in sized)
    data = {"scanned": len(keys), "complete": complete, "scanned_bytes": total, "rows": rows}
    if not rows:
        return Finding(f"Database {database} holds no keys.", data, RunStatus.NOTHING)
    largest = f"{rows[0]['key']} with {size(rows[0]['bytes'])}"
    return Finding(f"The largest of {counted(len(keys), 'key')} is {largest}.", data)


async def _scan(client: RedisReader, most: int) -> tuple[list[str], bool]:
    keys: set[str] = set()
    cursor = 0
    while len(keys) < most:
        answer = sequence(await client.ask("SCAN", cursor, "COUNT", 500))
        if len(answer) != 2:
            raise Unexpected("SCAN answered without a cursor.")
        cursor = int(answer[0])
        keys.update(answer[1])
        if cursor == 0:
            return sorted(keys), True
    return sorted(keys)[:most], False


async def _bytes(client: RedisReader, key: str) -> float:
    return number(await client.ask("MEMORY USAGE", key, "SAMPLES", 5))


async def _key(client: RedisReader, key: str, amount: float) -> dict[str, Any]:
    kind, left = await client.ask("TYPE", key), number(await client.ask("TTL", key))
    return {
        "key": text(key),
        "bytes": amount,
        "type": text(kind),
        "expires_in_seconds": max(left, 0.0),
        "lasting": left < 0,
    }
