"""What is done to Redis as a whole: start, restart, snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cockpit.model import JSON, Approval, Change, Plan, Refused, ServiceError, Unreachable
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.amounts import size
from tools.control import ServiceControl, ServiceStatus
from tools.redis import configfile
from tools.redis.client import RedisReader, RedisWriter, Unanswered
from tools.redis.durability import lost_by_restart, server_seconds
from tools.redis.kind import redis
from tools.redis.readings import Info, info, setting
from tools.shapes import mapping, number, text


async def read_answers(client: RedisReader, key: JSON) -> JSON:
    """Whether it answers at all; loading counts, for the start is done then."""
    try:
        await info(client)
    except Unreachable:
        return {"answers": False}
    return {"answers": True}


async def start(client: RedisWriter, change: Change) -> None:
    """The start command of its service control."""
    await ServiceControl(client.service).run("start")


async def started(client: RedisReader, change: Change) -> bool:
    """Whether it answers."""
    return mapping(await read_answers(client, change.key))["answers"] is True


def control_steps(key: JSON, before: JSON, after: JSON) -> Sequence[str]:
    """The service control's command, as it stands in the key."""
    return [text(mapping(key).get("command"))]


starting = redis.action(
    "redis-start",
    read=read_answers,
    do=start,
    check=started,
    steps=control_steps,
    verification="Redis answers INFO.",
    no_undo="A started server is not stopped again; stop it by hand if it must not run.",
    timeout=60.0,
    patience=30.0,
)


@redis.remediation(approval=Approval.SOFT, uses=(starting,))
async def start_redis(client: RedisReader) -> Plan:
    """Start Redis, which refuses connections because it does not run.

    Refused when it is silent instead, for then it runs or the way to it is blocked.
    """
    control = ServiceStatus(client.service)
    try:
        await info(client)
        return nothing_to_do("Redis answers.")
    except Unanswered as error:
        if error.state != "refused":
            raise Refused(error.what, "It is there and does not answer: look at its log.") from None
    if await control.running():
        raise Refused("The service manager says that it runs.", "Compare its port; look at its log.")
    change = starting.change(
        client.service.name,
        {"command": control.step("start")},
        {"answers": False},
        {"answers": True},
        why="Nothing listens on its port, and the service manager says that it is stopped.",
    )
    return plan_of("Start Redis.", change, risk="While it loads its data it answers with LOADING.")


async def read_run(client: RedisReader, key: JSON) -> JSON:
    """Which run of the server this is."""
    return {"run_id": (await info(client)).text("run_id")}


async def restart(client: RedisWriter, change: Change) -> None:
    """The restart command of its service control."""
    await ServiceControl(client.service).run("restart")


async def restarted(client: RedisReader, change: Change) -> bool:
    """Whether another run of the server answers, with its data loaded."""
    try:
        seen = await info(client)
    except ServiceError:
        return False
    return seen.text("run_id") != mapping(change.before).get("run_id") and not seen.number("loading")


restarting = redis.action(
    "redis-restart",
    read=read_run,
    do=restart,
    check=restarted,
    steps=control_steps,
    verification="INFO shows another run_id, and nothing is being loaded.",
    no_undo="A restart cannot be taken back.",
    timeout=60.0,
    patience=60.0,
)


@redis.remediation(approval=Approval.HARD, uses=(restarting,))
async def restart_redis(client: RedisReader) -> Plan:
    """Restart Redis through its service control.

    Refused when a restart would lose data: without persistence, with a failing one, or with
    an append-only file that is on in the config file alone. Refused while data is loading,
    because it would begin anew.
    """
    control, seen = ServiceStatus(client.service), await info(client)
    if seen.number("loading"):
        raise Refused("Redis is loading its data, and a restart would begin that anew.", "Wait until it is done.")
    if seen.number("rdb_bgsave_in_progress") or seen.number("aof_rewrite_in_progress"):
        raise Refused("Redis is writing a snapshot or its append-only file.", "Wait until it is done.")
    if loses := await lost_by_restart(client, seen):
        raise Refused(loses, "Run save_redis_snapshot first, or set_redis_append_only.")
    change = restarting.change(
        client.service.name,
        {"command": control.step("restart")},
        {"run_id": seen.text("run_id")},
        {"answers": True},
        why="Asked for.",
        observed={"keys": seen.keys, "connected_clients": seen.number("connected_clients")},
    )
    cut = counted(seen.number("connected_clients"), "client is", "clients are")
    risk = f"{cut} cut off; {counted(seen.keys, 'key is', 'keys are')} loaded again from disk."
    return plan_of("Restart Redis.", change, risk=risk)


async def save(client: RedisWriter, change: Change) -> None:
    """BGSAVE, in a later second than the last one, for Redis tells the time of a save in seconds."""
    last = number(change.observed.get("last_save"))
    while await server_seconds(client) <= last:  # noqa: ASYNC110 - the condition is another machine's clock
        await asyncio.sleep(0.1)
    await client.ask("BGSAVE")


async def saved(client: RedisReader, change: Change) -> bool:
    """Whether a snapshot newer than the one seen while planning was written."""
    seen = await info(client)
    newer = seen.number("rdb_last_save_time") > number(change.observed.get("last_save"))
    return newer and seen.text("rdb_last_bgsave_status") == "ok" and not seen.number("rdb_bgsave_in_progress")


def save_steps(key: JSON, before: JSON, after: JSON) -> Sequence[str]:
    """The one command."""
    return ["BGSAVE"]


snapshot = redis.action(
    "redis-snapshot",
    read=read_run,
    do=save,
    check=saved,
    steps=save_steps,
    verification="INFO persistence shows a newer rdb_last_save_time, and the status ok.",
    no_undo="The snapshot takes the place of the one before; the data in memory stays as it is.",
    patience=120.0,
)


@redis.remediation(approval=Approval.SOFT, uses=(snapshot,))
async def save_redis_snapshot(client: RedisReader) -> Plan:
    """Write a snapshot of the data to disk in the background.

    Refused when there are no keys, for it would replace the last good snapshot with an empty
    one, and when the disk (seen for a server on this machine) has no room.
    """
    seen = await info(client)
    if seen.number("rdb_bgsave_in_progress"):
        return nothing_to_do("A snapshot is being written now.")
    if seen.keys == 0:
        raise Refused("Redis holds no keys: an empty snapshot would replace the last.", "Keep dump.rdb first.")
    if seen.number("loading"):
        raise Refused("Redis is loading its data.", "Wait until it is done.")
    await _require_disk(client, seen)
    change = snapshot.change(
        client.service.name,
        {"snapshot": "dump"},
        {"run_id": seen.text("run_id")},
        {"saved": True},
        why=f"{counted(seen.number('rdb_changes_since_last_save'), 'change is', 'changes are')} in no snapshot.",
        observed={"last_save": seen.number("rdb_last_save_time"), "keys": seen.keys},
    )
    used = size(seen.number("used_memory"))
    return plan_of("Write a snapshot.", change, risk=f"Up to {used} more memory while it writes, and as much disk.")


async def _require_disk(client: RedisReader, seen: Info) -> None:
    if client.host not in configfile.LOCAL:
        return
    folder = await setting(client, "dir")
    free = await asyncio.to_thread(_free_disk, folder)
    if free is not None and free < seen.number("used_memory"):
        raise Refused(
            f"{size(free)} are free in {folder}, and {size(seen.number('used_memory'))} may be needed.", "Free space."
        )


def _free_disk(folder: str) -> float | None:
    import shutil

    try:
        return float(shutil.disk_usage(folder).free)
    except (OSError, ValueError):
        return None
