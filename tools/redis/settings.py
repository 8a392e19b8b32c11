"""Settings of Redis: changed while it runs and written to its config file, so that they survive a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from cockpit.model import JSON, Approval, Change, Plan, Refused, Unexpected
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.amounts import size
from tools.redis import configfile
from tools.redis.client import RedisReader, RedisWriter
from tools.redis.kind import redis
from tools.redis.readings import Info, info, setting
from tools.shapes import mapping, text

MEBIBYTE = 1024 * 1024
BUFFERS = "client-output-buffer-limit"
OURS = frozenset({"appendonly", "maxmemory", "maxmemory-policy", "timeout", BUFFERS})
"""The settings that a change may name."""

MOST_OF_MACHINE = 0.75
"""How much of the machine's memory Redis may be allowed: a snapshot needs the rest for its copies."""

Policy = Literal[
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
]


async def read_setting(client: RedisReader, key: JSON) -> JSON:
    """CONFIG GET of one setting. Raises Unexpected when this version does not have it."""
    name = _name(key)
    value = await setting(client, name)
    if not value:
        raise Unexpected(f"This Redis has no setting '{name}'.")
    return value


async def write_setting(client: RedisWriter, key: JSON, before: JSON, after: JSON) -> None:
    """CONFIG SET, then CONFIG REWRITE where there is a config file."""
    await client.ask("CONFIG SET", _name(key), str(after))
    if _in_file(key):
        await client.ask("CONFIG REWRITE")


def setting_steps(key: JSON, before: JSON, after: JSON) -> Sequence[str]:
    """The commands that set it and keep it."""
    set_it = f'CONFIG SET {_name(key)} "{after}"'
    return [set_it, "CONFIG REWRITE"] if _in_file(key) else [set_it]


def _name(key: JSON) -> str:
    name = text(mapping(key).get("setting"))
    if name not in OURS:
        raise Refused(f"'{name}' is no setting that may be changed here.")
    return name


def _in_file(key: JSON) -> bool:
    return mapping(key).get("file") is True


config = redis.resource(
    "redis-setting",
    read=read_setting,
    write=write_setting,
    steps=setting_steps,
    verification="CONFIG GET shows the new value.",
)


async def _plan(client: RedisReader, seen: Info, name: str, after: str, *, why: str, risk: str) -> Plan:
    """The plan that sets one setting, with what is true of the config file in its risk."""
    before = await setting(client, name)
    if before == after:
        return nothing_to_do(f"{name} is {after} already.")
    in_file = bool(seen.text("config_file"))
    change = config.change(client.service.name, {"setting": name, "file": in_file}, before, after, why=why)
    lasting = "" if in_file else " It runs without a config file: the next restart puts the old value back."
    return plan_of(f"Set {name} of {client.service.name} to {after}.", change, risk=risk + lasting)


@redis.remediation(approval=Approval.HARD, uses=(config,))
async def set_redis_maxmemory(client: RedisReader, megabytes: int) -> Plan:
    """Give Redis another memory limit, at once and in its config file.

    Refused when the machine has no room for it, or when less is given than is used now.

    Args:
        megabytes: the new limit in MiB.
    """
    seen = await info(client)
    used, wanted = seen.number("used_memory"), megabytes * MEBIBYTE
    if wanted < used:
        what = "refuse every write" if seen.refuses_when_full else "evict keys at once"
        raise Refused(f"{size(used)} are used: with {size(wanted)} it would {what}.", "Give it more than it uses.")
    await _require_room(client, seen, wanted)
    why = f"{size(used)} of {size(seen.number('maxmemory'))} are used."
    risk = f"Redis may take up to {size(wanted)} of the machine's memory; nothing is interrupted."
    return await _plan(client, seen, "maxmemory", str(wanted), why=why, risk=risk)


async def _require_room(client: RedisReader, seen: Info, wanted: float) -> None:
    machine = seen.number("total_system_memory")
    if machine and wanted > machine * MOST_OF_MACHINE:
        raise Refused(
            f"{size(wanted)} is more than {MOST_OF_MACHINE:.0%} of the machine's {size(machine)}.",
            "Move it to a larger machine, or let it evict.",
        )
    if client.host in configfile.LOCAL:
        free = await asyncio.to_thread(_free_memory)
        growth = wanted - seen.number("used_memory")
        if growth > free:
            raise Refused(f"It could grow by {size(growth)}, and {size(free)} are free.", "Free memory on the machine.")


def _free_memory() -> float:
    import psutil

    return float(psutil.virtual_memory().available)


@redis.remediation(approval=Approval.HARD, uses=(config,))
async def set_redis_eviction_policy(client: RedisReader, policy: Policy) -> Plan:
    """Choose what Redis does at its memory limit, at once and in its config file.

    An `allkeys` policy is refused while there are keys without an expiry: it would evict
    what nobody meant to lose, such as a queue beside a cache. A `volatile` policy is refused
    when no key has an expiry, for it could evict nothing.

    Args:
        policy: the eviction policy, such as volatile-lru.
    """
    seen = await info(client)
    if policy.startswith("allkeys") and seen.lasting:
        raise Refused(
            f"Keys without an expiry: {seen.lasting:,.0f}; {policy} would evict them like the others.",
            "Use volatile-lru, or give every key an expiry.",
        )
    if policy.startswith("volatile") and seen.keys == seen.lasting:
        raise Refused(f"No key has an expiry, so {policy} could evict nothing.", "Raise the memory limit instead.")
    expiring = seen.keys - seen.lasting
    lasting = counted(seen.lasting, "has", "have")
    said = f"{counted(expiring, 'key has', 'keys have')} an expiry and {lasting} none"
    why = f"{said}, under {seen.text('maxmemory_policy')}."
    risk = "Writes fail at the limit." if policy == "noeviction" else "At the limit the keys least used go early."
    return await _plan(client, seen, "maxmemory-policy", policy, why=why, risk=risk)


@redis.remediation(approval=Approval.HARD, uses=(config,))
async def set_redis_client_timeout(client: RedisReader, seconds: int) -> Plan:
    """Let Redis itself close clients that send nothing for so long, at once and in its config file.

    Replicas, blocked clients and subscribers are never closed by it.

    Args:
        seconds: idle seconds after which a client is closed, 30 or more; 0 never.
    """
    if seconds != 0 and seconds < 30:
        raise Refused(f"{seconds} s would close connection pools between two requests.", "Give 30 or more, or 0.")
    seen = await info(client)
    why = f"{counted(seen.number('connected_clients'), 'client is', 'clients are')} connected."
    risk = "A pool that keeps idle connections meets a closed one and has to open it again."
    return await _plan(client, seen, "timeout", str(seconds), why=why, risk=risk)


@redis.remediation(approval=Approval.HARD, uses=(config,))
async def set_redis_append_only(client: RedisReader, enabled: bool) -> Plan:
    """Switch the append-only file on or off while Redis runs, and in its config file.

    Switched on this way it is written from the data in memory. Switched on in the file
    alone, a restart would begin with an empty one and lose everything.

    Args:
        enabled: whether every write is kept in the append-only file.
    """
    seen = await info(client)
    if seen.number("rdb_bgsave_in_progress") or seen.number("aof_rewrite_in_progress"):
        raise Refused("A snapshot or a rewrite is being written now.", "Try again when it is done.")
    why = f"{counted(seen.number('rdb_changes_since_last_save'), 'change is', 'changes are')} in no snapshot."
    on, off = "The data is written to disk once, and every write from then on.", "A crash loses what is in no snapshot."
    return await _plan(client, seen, "appendonly", "yes" if enabled else "no", why=why, risk=on if enabled else off)


@redis.remediation(approval=Approval.HARD, uses=(config,))
async def set_redis_replica_buffer(client: RedisReader, megabytes: int) -> Plan:
    """Give replicas a larger output buffer on their master, at once and in its config file.

    The soft limit becomes a quarter of it, for the seconds that it holds now.

    Args:
        megabytes: the hard limit in MiB of one replica's buffer.
    """
    seen, words = await info(client), (await setting(client, BUFFERS)).split()
    if len(words) != 12 or words[4] not in ("slave", "replica"):
        raise Unexpected(f"{BUFFERS} is written in a way that is not known here.")
    if megabytes * MEBIBYTE < int(words[5]):
        raise Refused("That is less than the limit now, and would break replication.", "Give more.")
    await _require_room(client, seen, seen.number("used_memory") + megabytes * MEBIBYTE)
    words[5:7] = [str(megabytes * MEBIBYTE), str(megabytes * MEBIBYTE // 4)]
    risk = "Each replica may hold so much memory on the master."
    copies = counted(seen.number("sync_full"), "full copy was", "full copies were")
    why = f"{copies} sent to replicas since the start."
    return await _plan(client, seen, BUFFERS, " ".join(words), why=why, risk=risk)


async def read_file(client: RedisReader, key: JSON) -> JSON:
    """The named settings as the config file has them."""
    in_file = await configfile.kept(client, await info(client)) or {}
    return {name: in_file.get(name, "") for name in sorted(mapping(key).get("settings", ()))}


async def rewrite_file(client: RedisWriter, change: Change) -> None:
    """CONFIG REWRITE. Raises Unexpected with Redis' reason when the file cannot be written."""
    await client.ask("CONFIG REWRITE")


async def file_rewritten(client: RedisReader, change: Change) -> bool:
    """Whether the file has the values that were running."""
    return await read_file(client, change.key) == change.after


def rewrite_steps(key: JSON, before: JSON, after: JSON) -> Sequence[str]:
    """The one command."""
    return ["CONFIG REWRITE"]


rewritten = redis.action(
    "redis-config-file",
    read=read_file,
    do=rewrite_file,
    check=file_rewritten,
    steps=rewrite_steps,
    verification="The config file has the running values.",
    no_undo="Redis rewrites the file as a whole; the values that it had are in this change and can be set again.",
)


@redis.remediation(approval=Approval.HARD, uses=(rewritten,))
async def persist_redis_config(client: RedisReader) -> Plan:
    """Write the running settings to the config file, so that the next restart keeps them.

    For a server on this machine only: elsewhere the file cannot be read back.
    """
    seen = await info(client)
    differing = await configfile.differences(client, seen)
    if differing is None:
        raise Refused("The config file cannot be read from here.", "Send CONFIG REWRITE on its machine.")
    if not differing:
        return nothing_to_do("The config file has all running settings.")
    change = rewritten.change(
        client.service.name,
        {"file": seen.text("config_file"), "settings": sorted(differing)},
        {name: differing[name]["file"] for name in sorted(differing)},
        {name: differing[name]["running"] for name in sorted(differing)},
        why=f"A restart would put back: {', '.join(sorted(differing))}.",
    )
    return plan_of(
        "Write the running settings to the config file.",
        change,
        risk="Comments in the file stay; nothing is interrupted.",
    )
