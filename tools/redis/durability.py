"""What would be left of Redis' data after a restart: snapshots, the append-only file, replicas."""

from __future__ import annotations

from typing import Any

from cockpit.model import JSON, Finding
from cockpit.toolkit import counted
from tools.amounts import duration
from tools.rates import per_second
from tools.redis import configfile
from tools.redis.client import RedisConnection, RedisReader
from tools.redis.kind import redis
from tools.redis.readings import Info, info, setting
from tools.shapes import number, sequence, text


@redis.diagnostic()
async def check_redis_persistence(client: RedisReader) -> Finding:
    """Snapshots and the append-only file: on or off, when last, failed or not, and what a restart would lose.

    `settings_not_in_file` names running settings that the config file does not have, which a
    restart would put back; it is known only for a server on this machine (`file_known`).
    Reads INFO persistence, CONFIG GET save and the config file.
    """
    seen = await info(client)
    schedule = await setting(client, "save")
    loses = await lost_by_restart(client, seen)
    differing = await configfile.differences(client, seen)
    since = await server_seconds(client) - seen.number("rdb_last_save_time")
    data: dict[str, JSON] = {
        "schedule": schedule,
        "append_only": seen.number("aof_enabled") == 1,
        "persistent": bool(schedule) or seen.number("aof_enabled") == 1,
        "last_save_seconds_ago": max(since, 0.0),
        "last_save_ok": seen.text("rdb_last_bgsave_status") != "err",
        "append_ok": seen.text("aof_last_write_status") != "err",
        "saving": seen.number("rdb_bgsave_in_progress") == 1,
        "unsaved_changes": seen.number("rdb_changes_since_last_save"),
        "refuses_writes_after_failure": await setting(client, "stop-writes-on-bgsave-error") == "yes",
        "keys": seen.keys,
        "lasting": seen.lasting,
        "restart_loses_data": bool(loses),
        "restart_loses": loses,
        "config_file": seen.text("config_file"),
        "file_known": differing is not None,
        "settings_not_in_file": sorted(differing or {}),
    }
    kept = "append-only file on" if data["append_only"] else f"snapshots '{schedule}'" if schedule else "no persistence"
    changes = counted(seen.number("rdb_changes_since_last_save"), "change")
    summary = f"{kept}, last save {duration(max(since, 0.0))} ago, {changes} since."
    return Finding(f"{summary} {loses}".strip(), data)


async def lost_by_restart(client: RedisReader, seen: Info) -> str:
    """Why a restart would lose data, in one sentence; empty when it would not.

    A server that saves nothing loses all since its last snapshot. One whose file says
    `appendonly yes` while it runs without starts with an empty append-only file and
    ignores the snapshot.
    """
    if seen.keys == 0:
        return ""
    keys = counted(seen.keys, "key")
    if seen.number("aof_enabled") == 1:
        return "The last write to the append-only file failed." if seen.text("aof_last_write_status") == "err" else ""
    if "appendonly" in (await configfile.differences(client, seen) or {}):
        return f"Its config file switches the append-only file on: it would start empty and lose {keys}."
    if seen.text("rdb_last_bgsave_status") == "err":
        return "Its last snapshot failed."
    started = await server_seconds(client) - seen.number("uptime_in_seconds")
    saved = seen.number("rdb_changes_since_last_save") == 0 and seen.number("rdb_last_save_time") > started + 1
    if not await setting(client, "save") and not saved:
        return f"It has no persistence: a restart would lose {keys}."
    return ""


async def server_seconds(client: RedisConnection) -> float:
    """The server's own clock, in seconds since the epoch."""
    return number(sequence(await client.ask("TIME"))[0])


@redis.diagnostic()
async def check_redis_replication(client: RedisReader) -> Finding:
    """Its role; on a replica the link to its master, on a master each replica's state and lag.

    `full_syncs_per_minute` is above zero again and again when a replica's output buffer limit
    is too small for its first copy. Reads INFO replication and stats.
    """
    seen = await info(client)
    role = seen.text("role")
    rows = [_replica(seen, index) for index in range(min(int(seen.number("connected_slaves")), 20))]
    limits = (await setting(client, "client-output-buffer-limit")).split()
    data: dict[str, JSON] = {
        "role": role,
        "link_up": seen.text("master_link_status") != "down",
        "link_down_seconds": max(seen.number("master_link_down_since_seconds"), 0.0),
        "syncing": seen.number("master_sync_in_progress") == 1,
        "master": f"{seen.text('master_host')}:{seen.text('master_port')}" if role == "slave" else "",
        "replicas": seen.number("connected_slaves"),
        "copying": sum(1 for row in rows if row["state"] in ("wait_bgsave", "send_bulk")),
        "full_syncs": seen.number("sync_full"),
        "full_syncs_per_minute": per_second(client.service.name, "sync_full", seen.number("sync_full")) * 60,
        "buffer_limit_bytes": number(limits[5]) if len(limits) == 12 else 0.0,
        "suggested_buffer_megabytes": max(256, int(number(limits[5] if len(limits) == 12 else 0) * 2 / 1024 / 1024)),
        "rows": rows,
    }
    if role == "slave":
        return Finding(f"A replica of {data['master']}, link {'up' if data['link_up'] else 'down'}.", data)
    copies = counted(seen.number("sync_full"), "full copy", "full copies")
    return Finding(f"A master with {counted(len(rows), 'replica')}, {copies} since its start.", data)


def _replica(seen: Info, index: int) -> dict[str, Any]:
    of = seen.inner(f"slave{index}")
    return {
        "address": f"{text(of.get('ip'))}:{text(of.get('port'))}",
        "state": text(of.get("state")),
        "lag_seconds": number(of.get("lag")),
        "behind_bytes": max(seen.number("master_repl_offset") - number(of.get("offset")), 0.0),
    }
