"""Rotating the logs that the config names."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from cockpit.model import JSON, Approval, Change, Plan, Refused
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.host.client import HostReader, HostWriter, LogFile
from tools.host.folders import free_bytes, opened_folder
from tools.host.kept import HEAD, Identity, Place, empty, estimate, identity, kept_head, put_back, rotate
from tools.host.kind import host

MEGABYTE = 1_000_000
MOST = 20
"""Files that one plan rotates; the largest first."""
SPARE = 1_000_000
"""Bytes that must be left on the disk after the copy was made."""


def _place(key: JSON) -> Place:
    fields = key if isinstance(key, Mapping) else {}
    return Place(str(fields["root"]), str(fields["below"]), str(fields["kept"]))


def _key(log: LogFile, state: Identity | None = None) -> dict[str, JSON]:
    """Which log, and the name of its copy; named after its beginning, so that the same plan is the same later."""
    kept = f"{log.path.name}.{state.head[:12]}.gz" if state else ""
    return {"log": log.set, "root": str(log.root), "below": log.below, "kept": kept}


def _state(found: Identity | None) -> JSON:
    return {"device": found.device, "inode": found.inode, "head": found.head} if found else None


async def _read_log(client: HostReader, key: JSON) -> JSON:
    """Which file it is and how it begins; its size moves by itself."""
    return _state(await client.call(identity, _place(key)))


async def _rotate(client: HostWriter, change: Change) -> None:
    await client.call(rotate, _place(change.key))


async def _empty(client: HostWriter, change: Change) -> None:
    await client.call(empty, _place(change.key))


async def _put_back(client: HostWriter, change: Change) -> None:
    await client.call(put_back, _place(change.key))


async def _rotated(client: HostReader, change: Change) -> bool:
    """The kept copy is whole and begins as the log did, and the log no longer does."""
    before = _head(change.before)
    return await client.call(kept_head, _place(change.key)) == before and await _emptied(client, change)


async def _emptied(client: HostReader, change: Change) -> bool:
    found = await client.call(identity, _place(change.key))
    return found is not None and found.head != _head(change.before)


async def _read_kept(client: HostReader, key: JSON) -> JSON:
    return {"kept": await client.call(kept_head, _place(key))}


async def _is_back(client: HostReader, change: Change) -> bool:
    """The copy is removed last, so where it is gone the log is whole."""
    after = change.after if isinstance(change.after, Mapping) else {}
    found = await client.call(identity, _place(change.key))
    kept = await client.call(kept_head, _place(change.key))
    return not kept and found is not None and found.head == after.get("head")


def _head(state: JSON) -> str:
    return str(state["head"]) if isinstance(state, Mapping) else ""


def _rotate_steps(key: JSON, before: JSON, after: JSON) -> list[str]:
    log, kept = _paths(key)
    return [f"gzip -c {log} > {kept}", f"gzip -t {kept}", f"truncate -s 0 {log}"]


def _back_steps(key: JSON, before: JSON, after: JSON) -> list[str]:
    log, kept = _paths(key)
    return [f"zcat {kept} | cat - {log} > whole && cat whole > {log}", f"rm {kept}"]


def _paths(key: JSON) -> tuple[str, str]:
    place = _place(key)
    log = f"{place.root}/{place.below}"
    return shlex.quote(log), shlex.quote(f"{log.removesuffix(place.name)}{place.kept}")


log_put_back = host.action(
    "log put back",
    read=_read_kept,
    do=_put_back,
    check=_is_back,
    steps=_back_steps,
    verification="The log begins as it did before, and the kept copy is gone.",
    no_undo="Rotate the log again instead.",
    timeout=300.0,
)


def _opposite(change: Change) -> Change:
    head = _head(change.before)
    return log_put_back.change(
        change.service,
        change.key,
        {"kept": head},
        {"head": head},
        why="Puts back what the log held before it was rotated.",
    )


log_rotation = host.action(
    "log rotation",
    read=_read_log,
    do=_rotate,
    check=_rotated,
    steps=_rotate_steps,
    verification="The kept copy is whole and begins as the log did, and the log begins anew.",
    opposite=_opposite,
    undo="The kept copy is put back in front of what the log holds by then.",
    timeout=300.0,
)

log_emptying = host.action(
    "log emptying",
    read=_read_log,
    do=_empty,
    check=_emptied,
    steps=lambda key, before, after: [f"truncate -s 0 {_paths(key)[0]}"],
    verification="The log begins anew.",
    no_undo="There is no room for a copy of what is thrown away.",
)


@host.remediation(approval=Approval.SOFT, uses=(log_rotation, log_emptying), timeout=60.0)
async def rotate_logs(client: HostReader, service: str, max_size_mb: float) -> Plan:
    """Rotate the logs of a service that are larger than a size, keeping a compressed copy beside each.

    Use it when a log fills its disk or folder. The service goes on writing to the same file. Where the disk has
    no room for the copy the log is emptied without one, which then needs a person's approval. It does not stop
    the log from growing: bring the log level back as well.

    Args:
        service: the name of a log set under `logs` in the config.
        max_size_mb: files larger than this many megabytes are rotated.
    """
    if not service:
        raise Refused("No log set is named.", "Name one under 'logs'.")
    if not max_size_mb * MEGABYTE >= HEAD:
        raise Refused(f"A size of {max_size_mb:g} MB is too small to rotate by.", "Ask for 0.1 MB or more.")
    found = await _larger(client, service, max_size_mb * MEGABYTE)
    if not found:
        return nothing_to_do(f"No log of {service} is larger than {max_size_mb:g} MB.")
    changes = [await _change(client, log, state) for log, state in found[:MOST]]
    lost = [change for change in changes if change.item == log_emptying.name]
    total = sum(state.size for _, state in found[:MOST])
    summary = f"Rotate {counted(len(changes), 'log')} of {service}, {total / MEGABYTE:,.1f} MB"
    plan = plan_of(summary, *changes, risk=_risk(bool(lost)))
    return Plan(plan.summary, plan.changes, plan.risk, Approval.HARD if lost else None)


async def _larger(client: HostReader, service: str, size: float) -> list[tuple[LogFile, Identity]]:
    found = []
    for log in await client.call(client.logs, service):
        state = await client.call(identity, _place(_key(log)))
        if state and state.size > size:
            found.append((log, state))
    return sorted(found, key=lambda pair: -pair[1].size)


async def _change(client: HostReader, log: LogFile, state: Identity) -> Change:
    key = _key(log, state)
    copy = await client.call(estimate, _place(key))
    room = await client.call(_room, log)
    item = log_rotation if room > copy + SPARE else log_emptying
    return item.change(
        client.service.name,
        key,
        _state(state),
        "the log begins anew",
        why=f"It holds {state.size / MEGABYTE:,.1f} MB.",
        observed={"bytes": state.size, "copy_bytes_estimated": copy, "room_bytes": room},
    )


def _room(log: LogFile) -> int:
    with opened_folder(log.root, _place(_key(log)).folder) as folder:
        return free_bytes(folder)


def _risk(lost: bool) -> str:
    kept = "No copy is kept, for the disk has no room: what the logs hold is gone. " if lost else ""
    return f"{kept}A line written in the instant of the cut can be lost; the service itself notices nothing."
