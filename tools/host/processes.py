"""Processes of this machine: the largest and busiest, and ending or slowing one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from cockpit.model import JSON, Approval, Change, CockpitError, Denied, Finding, Plan, Refused
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.host.census import start_ticks
from tools.host.client import HostReader, HostWriter
from tools.host.kind import host

MOST = 20
"""Rows in a finding."""
LOOK_SECONDS = 0.5
GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL."""


@host.diagnostic()
async def check_processes(client: HostReader, sort_by: Literal["cpu", "memory"] = "cpu", limit: int = 10) -> Finding:
    """The processes that use most processor time or memory, measured over half a second.

    Args:
        sort_by: cpu or memory.
        limit: how many, at most 20.
    """
    rows = await client.call(_busiest, await _measured(client), sort_by)
    zombies = [row for row in rows if row["state"] == "zombie"]
    first = rows[0] if rows else {}
    data: dict[str, JSON] = {
        "processes": len(rows),
        "zombies": len(zombies),
        "zombie_parent": str(zombies[0]["parent"]) if zombies else "",
        "first_pid": first.get("pid", 0),
        "first_name": first.get("name", ""),
        "first_cpu_ratio": first.get("cpu_ratio", 0.0),
        "first_memory_bytes": first.get("memory_bytes", 0),
        "first_memory_ratio": first.get("memory_ratio", 0.0),
        "rows": rows[: max(1, min(limit, MOST))],
    }
    all_of_them = counted(len(rows), "process", "processes")
    return Finding(f"{first.get('name', 'nothing')} leads {all_of_them} by {sort_by}.", data)


@host.diagnostic()
async def check_open_files(client: HostReader) -> Finding:
    """Files that processes hold open though they were deleted: their space is not free until they are closed.

    Use it when a disk is full and no file explains it. Other users' processes are seen by root alone.
    """
    found = await client.call(_deleted_files)
    total = sum(size for _, _, size in found)
    rows: list[JSON] = [{"process": name, "file": file, "bytes": size} for name, file, size in found[:MOST]]
    data: dict[str, JSON] = {
        "files": len(found),
        "bytes": total,
        "first_process": found[0][0] if found else "",
        "rows": rows,
    }
    held = counted(len(found), "deleted file is held open and takes", "deleted files are held open and take")
    return Finding(f"{held} {counted(total, 'byte')}.", data)


def _target(key: JSON) -> tuple[int, int]:
    fields = key if isinstance(key, Mapping) else {}
    return int(str(fields["pid"])), int(str(fields["started"]))


async def _read_process(client: HostReader, key: JSON) -> JSON:
    """Who it is; None when that pid is gone or somebody else's by now."""
    found = await client.call(_described, _target(key)[0])
    return found if found and found["started"] == _target(key)[1] else None


async def _terminate(client: HostWriter, change: Change) -> None:
    pid, started = _target(change.key)
    await client.signal(pid, started, signal.SIGTERM)
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            while await _read_process(client, change.key):  # noqa: ASYNC110 - a process tells its end to its parent only
                await asyncio.sleep(0.05)
    except TimeoutError:
        await client.signal(pid, started, signal.SIGKILL)


async def _terminated(client: HostReader, change: Change) -> bool:
    return await _read_process(client, change.key) is None


process_end = host.action(
    "process end",
    read=_read_process,
    do=_terminate,
    check=_terminated,
    steps=lambda key, before, after: [f"kill -TERM {_target(key)[0]}", f"kill -KILL {_target(key)[0]}  # after 10 s"],
    verification="No process with that pid and start time is left.",
    no_undo="A process that has ended cannot be brought back; its service has to start it.",
    timeout=30.0,
)


async def _read_nice(client: HostReader, key: JSON) -> JSON:
    pid, started = _target(key)
    found = await client.call(_described, pid)
    return await client.call(os.getpriority, os.PRIO_PROCESS, pid) if found and found["started"] == started else None


async def _write_nice(client: HostWriter, key: JSON, before: JSON, after: JSON) -> None:
    if await _read_nice(client, key) is not None:
        await client.call(os.setpriority, os.PRIO_PROCESS, _target(key)[0], int(str(after)))


process_priority = host.resource(
    "process priority",
    read=_read_nice,
    write=_write_nice,
    steps=lambda key, before, after: [f"renice -n {after} -p {_target(key)[0]}"],
    verification="The process has that nice value.",
)


@host.remediation(approval=Approval.HARD, uses=(process_end,))
async def terminate_process(client: HostReader, pid: int) -> Plan:
    """End one process: SIGTERM, and after ten seconds SIGKILL.

    The process is meant by its pid and its start time together, so a later process with the same pid is safe.
    Refuses cockpit itself, what it runs under, the first process and the kernel's own.

    Args:
        pid: its process id.
    """
    found = await _found(client, pid)
    key: JSON = {"pid": pid, "started": found["started"]}
    use = await client.call(_use, pid)
    change = process_end.change(client.service.name, key, found, "it has ended", why="Asked for.", observed=use)
    return plan_of(
        f"End {found['name']}, process {pid}",
        change,
        risk="What it had not written is lost; whoever uses it is cut off.",
    )


@host.remediation(approval=Approval.SOFT, uses=(process_priority,))
async def renice_process(client: HostReader, pid: int, nice: int) -> Plan:
    """Give a process less of the processor while others want it, or more again.

    Args:
        pid: its process id.
        nice: from 0, normal, to 19, last in the line; below 0 is refused.
    """
    if not 0 <= nice <= 19:
        raise Refused(f"A nice value of {nice} is outside 0 to 19.", "Give one from 0 to 19.")
    found = await _found(client, pid)
    key: JSON = {"pid": pid, "started": found["started"]}
    before = await _read_nice(client, key)
    if before == nice:
        return nothing_to_do(f"{found['name']} has the nice value {nice} already.")
    change = process_priority.change(client.service.name, key, before, nice, why="Asked for.")
    note = "Only root can make it quicker again." if os.geteuid() else "It can be put back."
    return plan_of(f"Nice value {nice} for {found['name']}, process {pid}", change, risk=f"It runs slower. {note}")


async def _found(client: HostReader, pid: int) -> dict[str, Any]:
    found = await client.call(_described, pid) if pid > 0 else None
    if found is None:
        raise Refused(f"There is no process {pid}.", "Look with check_processes.")
    if pid == 1 or pid in await client.call(_own_line) or not found["command"]:
        raise Refused(
            f"Process {pid} ({found['name']}) is cockpit, what it runs under, or the system's own.", "Leave it."
        )
    return found


def _described(pid: int) -> dict[str, Any] | None:
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            command = " ".join(process.cmdline())[:300]
            return {
                "name": process.name(),
                "user": process.username(),
                "command": command,
                "started": start_ticks(pid),
            }
    except (psutil.NoSuchProcess, OverflowError):
        return None
    except psutil.AccessDenied as error:
        raise Denied(f"Process {pid} may not be looked at.", "Run cockpit under an account that may.") from error


def _own_line() -> set[int]:
    import psutil

    own = psutil.Process()
    return {own.pid, *(parent.pid for parent in own.parents())}


def _use(pid: int) -> dict[str, JSON]:
    import psutil

    try:
        process = psutil.Process(pid)
        return {"memory_bytes": process.memory_info().rss, "cpu_seconds": round(sum(process.cpu_times()[:2]), 1)}
    except psutil.Error as error:
        raise CockpitError(f"Process {pid} cannot be looked at: {error}.", "It may just have ended.") from error


async def _measured(client: HostReader) -> dict[int, float]:
    before = await client.call(_times)
    await asyncio.sleep(LOOK_SECONDS)
    after = await client.call(_times)
    return {pid: max(0.0, spent - before.get(pid, spent)) / LOOK_SECONDS for pid, spent in after.items()}


def _times() -> dict[int, float]:
    import psutil

    return {
        one.pid: sum(one.info["cpu_times"][:2]) for one in psutil.process_iter(["cpu_times"]) if one.info["cpu_times"]
    }


def _busiest(cpu: dict[int, float], sort_by: str) -> list[dict[str, Any]]:
    import psutil

    total = psutil.virtual_memory().total
    rows = []
    for process in psutil.process_iter(["name", "username", "memory_info", "create_time", "status", "ppid"]):
        found = process.info
        memory = found["memory_info"].rss if found["memory_info"] else 0
        rows.append(
            {
                "pid": process.pid,
                "name": found["name"] or "",
                "user": found["username"] or "",
                "cpu_ratio": round(cpu.get(process.pid, 0.0), 3),
                "memory_bytes": memory,
                "memory_ratio": round(memory / total, 4),
                "state": found["status"],
                "parent": found["ppid"] or 0,
            }
        )
    return sorted(rows, key=lambda row: -row["cpu_ratio" if sort_by == "cpu" else "memory_bytes"])


def _deleted_files() -> list[tuple[str, str, int]]:
    import psutil

    found: dict[tuple[int, int], tuple[str, str, int]] = {}
    for process in psutil.process_iter(["name"]):
        try:
            links = list(Path(f"/proc/{process.pid}/fd").iterdir())
        except OSError:
            continue
        for link in links:
            held = _held(link)
            if held:
                inode, file, size = held
                found[inode] = (f"{process.info['name']} ({process.pid})", file, size)
    return sorted(found.values(), key=lambda row: -row[2])


def _held(link: Path) -> tuple[tuple[int, int], str, int] | None:
    try:
        file = str(link.readlink())
        if not file.endswith(" (deleted)") or file.startswith(("/memfd:", "/dev/shm/")):  # noqa: S108 - compared, not used
            return None
        state = link.stat()
    except OSError:
        return None
    return (state.st_dev, state.st_ino), file.removesuffix(" (deleted)"), state.st_blocks * 512
