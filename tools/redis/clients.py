"""Who is connected to Redis, and ending those who should not be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cockpit.model import JSON, Approval, Change, Finding, Plan, Refused, Unexpected
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.redis.client import RedisReader, RedisWriter
from tools.redis.kind import redis
from tools.redis.readings import Connected, connected, info, setting
from tools.shapes import mapping, number, sequence

MOST = 1000
"""Clients that one plan ends at most; a plan is read by a person."""


@redis.diagnostic()
async def check_redis_clients(client: RedisReader, limit: int = 20) -> Finding:
    """Connected clients: how many of how many, idle, blocked, by name, and whose answers pile up.

    `top_name` and `top_host` name the largest group of plain clients (a nameless group goes
    by its address), `top_idle` counts its idle ones. Our own connections and those that are
    quiet on purpose (replicas, blocked workers, monitors, subscribers) are in no group.
    Reads CLIENT LIST and INFO clients.

    Args:
        limit: how many clients to list, those with the largest buffer first.
    """
    clients, seen = await connected(client), await info(client)
    idle_seconds = client.number("idle_client_seconds", 60.0)
    most = seen.number("maxclients") or number(await setting(client, "maxclients"))
    top = _largest(clients)
    data = {
        "connected": len(clients),
        "limit": most,
        "refused": seen.number("rejected_connections"),
        "crowded": client.crowded,
        "blocked": _count(clients, "blocked"),
        "replicas": _count(clients, "replica"),
        "monitors": _count(clients, "monitor"),
        "subscribers": _count(clients, "subscriber"),
        "idle_seconds": idle_seconds,
        "idle": sum(1 for each in clients if each.idle >= idle_seconds and not each.role),
        "top_name": top[0].name if top else "",
        "top_host": top[0].host if top else "",
        "top_count": len(top),
        "top_idle": sum(1 for each in top if each.idle >= idle_seconds),
        **_buffers(clients),
        "rows": [_row(each) for each in sorted(clients, key=lambda each: -each.buffer)[: max(1, min(limit, 20))]],
    }
    who = (
        f"; '{data['top_name'] or data['top_host']}' has {data['top_count']} of them, {data['top_idle']} idle"
        if top
        else ""
    )
    return Finding(f"{len(clients)} of {most:.0f} clients connected{who}.", data)


def _count(clients: Iterable[Connected], role: str) -> int:
    return sum(1 for each in clients if each.role == role)


def _group(each: Connected) -> tuple[str, str]:
    return (each.name, "" if each.name else each.host)


def _largest(clients: Sequence[Connected]) -> list[Connected]:
    groups: dict[tuple[str, str], list[Connected]] = {}
    for each in clients:
        if not each.ours and not each.role:
            groups.setdefault(_group(each), []).append(each)
    return max(groups.values(), key=len, default=[])


def _buffers(clients: Iterable[Connected]) -> dict[str, Any]:
    """The sum of what clients have not read, and who leaves most; replicas have limits of their own."""
    unread = [each for each in clients if each.role != "replica"]
    worst = max(unread, key=lambda each: each.buffer, default=None)
    return {
        "buffer_bytes": sum(each.buffer for each in unread),
        "top_buffer_bytes": worst.buffer if worst else 0.0,
        "top_buffer_address": worst.address if worst else "",
        "top_buffer_role": worst.role if worst else "",
    }


def _row(each: Connected) -> dict[str, Any]:
    return {
        "id": each.id,
        "address": each.address,
        "name": each.name,
        "idle_seconds": each.idle,
        "age_seconds": each.age,
        "role": each.role,
        "command": each.command,
        "buffer_bytes": each.buffer,
    }


async def read_clients(client: RedisReader, key: JSON) -> JSON:
    """Which of the clients are still connected, and to which run of the server."""
    wanted = set(_ids(key))
    there = [each.id for each in await connected(client) if each.id in wanted]
    return {"run_id": (await info(client)).text("run_id"), "connected": there}


async def end_clients(client: RedisWriter, change: Change) -> None:
    """CLIENT KILL each by its id, which Redis never gives twice within one run."""
    for number_of in _ids(change.key):
        await client.ask("CLIENT KILL", "ID", number_of)


async def clients_gone(client: RedisReader, change: Change) -> bool:
    """Whether none of them is connected any more, or the server has been restarted since."""
    now = mapping(await read_clients(client, change.key))
    return now["run_id"] != mapping(change.before).get("run_id") or not now["connected"]


def end_steps(key: JSON, before: JSON, after: JSON) -> Sequence[str]:
    """One CLIENT KILL for each client."""
    return [f"CLIENT KILL ID {each}" for each in _ids(key)]


def _ids(key: JSON) -> list[int]:
    rows = [mapping(row) for row in sequence(mapping(key).get("clients"))]
    if not rows:
        raise Unexpected("The change names no clients.")
    return [int(number(row.get("id"))) for row in rows]


ended_clients = redis.action(
    "redis-clients",
    read=read_clients,
    do=end_clients,
    check=clients_gone,
    steps=end_steps,
    verification="CLIENT LIST shows none of these ids.",
    no_undo="A connection cannot be given back; the application opens a new one when it needs it.",
)


@redis.remediation(approval=Approval.HARD, uses=(ended_clients,))
async def kill_redis_clients(client: RedisReader, name: str = "", address: str = "", idle_seconds: float = 0.0) -> Plan:
    """End connected clients by name or address, each by its id.

    Never ends replicas, masters, clients blocked in a command on purpose, or our own. A
    monitor or subscriber is ended only when its exact address is given.

    Args:
        name: the name that the clients gave themselves.
        address: `ip:port` of one client, or the ip alone for all nameless clients from there.
        idle_seconds: only clients without a command for so long.
    """
    if not name and not address:
        raise Refused("Neither a name nor an address says which clients to end.", "Look at check_redis_clients.")
    clients = await connected(client)
    matching = [each for each in clients if _matches(each, name, address) and not each.ours]
    chosen = [each for each in matching if each.idle >= idle_seconds and _endable(each, address)][:MOST]
    if not matching:
        return nothing_to_do(f"No client is connected as {_who(name, address)}.")
    if not chosen:
        raise Refused(f"Every client {_who(name, address)} is busy or quiet on purpose ({_roles(matching)}).")
    change = ended_clients.change(
        client.service.name,
        {"clients": [{"id": each.id, "address": each.address, "name": each.name} for each in chosen]},
        {"run_id": (await info(client)).text("run_id"), "connected": [each.id for each in chosen]},
        {"connected": []},
        why=f"Connected clients: {len(clients)}, {len(chosen)} of them {_who(name, address)}.",
        observed={"clients": [_row(each) for each in chosen[:20]]},
    )
    return plan_of(
        f"End {counted(len(chosen), 'client')} {_who(name, address)}.",
        change,
        risk="What these clients are doing fails; an application that pools connections opens new ones at once.",
    )


def _matches(each: Connected, name: str, address: str) -> bool:
    if name and each.name != name:
        return False
    # A host alone means the nameless: who has a name is meant by it.
    return not address or each.address == address or (each.host == address and each.name == name)


def _endable(each: Connected, address: str) -> bool:
    return not each.role or (each.role in ("monitor", "subscriber") and each.address == address)


def _who(name: str, address: str) -> str:
    return " ".join(part for part in (f"named '{name}'" if name else "", f"from {address}" if address else "") if part)


def _roles(clients: Iterable[Connected]) -> str:
    return ", ".join(sorted({each.role or "plain" for each in clients}))
