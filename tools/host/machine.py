"""What can be asked of the machine as a whole: memory, clock, network, and what it waits for."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from cockpit.model import JSON, Denied, Finding, RunStatus
from cockpit.toolkit import counted
from tools.host.census import census
from tools.host.client import HostReader
from tools.host.clock import clock
from tools.host.kind import host, recent_kills
from tools.host.memory import group_kills, kills, pressure
from tools.host.sockets import port_range

MOST = 20
"""Rows in a finding."""
REBOOT = (Path("/run/reboot-required"), Path("/var/run/reboot-required"))


@host.diagnostic()
async def check_host_resources(client: HostReader) -> Finding:
    """Processors, load, memory, swap and uptime at a glance."""
    data = await client.call(_resources)
    return Finding(
        f"Load {data['load_1']:.2f} on {counted(data['processors'], 'processor')}, "
        f"{data['memory_available_ratio']:.0%} of memory available, up {data['uptime_days']:.1f} days.",
        data,
    )


@host.diagnostic()
async def check_memory_pressure(client: HostReader) -> Finding:
    """Whether memory is really short: what is available, whether tasks wait for it, and who holds most.

    MemFree is low on every healthy machine, because the page cache fills it; MemAvailable and the pressure
    figures (/proc/pressure/memory) tell. Use it for every alert about memory.
    """
    data = await client.call(_memory)
    waits = (
        f"{data['pressure_some']:.1f} % of the time some task waits"
        if data["pressure_known"]
        else "no pressure figures"
    )
    return Finding(
        f"{data['available_ratio']:.1%} of memory is available, {data['free_ratio']:.1%} free; {waits}.", data
    )


@host.diagnostic()
async def check_oom_events(client: HostReader) -> Finding:
    """How many processes were killed for memory since the start, and whether by a group's limit or the machine's."""
    total = await client.call(kills)
    groups = await client.call(group_kills)
    data: dict[str, JSON] = {
        "kills": total,
        "recent": await client.call(recent_kills, client.service.name),
        "in_groups": sum(count for _, count in groups),
        "first_group": groups[0][0] if groups else "",
        "rows": [{"group": name, "kills": count} for name, count in groups[:MOST]],
    }
    if not total and not groups:
        return Finding("Nothing was killed for memory since the start.", data, RunStatus.NOTHING)
    killed = counted(total, "process was", "processes were")
    where = counted(len(groups), "group")
    return Finding(f"{killed} killed for memory since the start, in {where} with a limit.", data)


@host.diagnostic()
async def check_time_sync(client: HostReader) -> Finding:
    """Whether the clock is kept right, and by what (adjtimex, read only).

    Use it when TLS, tokens or S3 fail on this machine alone.
    """
    seen = await client.call(census)
    found = await client.call(clock, seen.names)
    data: dict[str, JSON] = {
        "synchronised": found.synchronised,
        "service": found.service,
        "offset_seconds": found.offset_seconds,
        "max_error_seconds": found.max_error_seconds,
        "adrift": found.adrift,
    }
    state = "synchronised" if found.synchronised else "not synchronised"
    return Finding(f"The clock is {state}; {found.service or 'no time service'} runs.", data)


@host.diagnostic()
async def check_network_interfaces(client: HostReader) -> Finding:
    """Each interface: whether it is up, its addresses, and its errors and drops since the start."""
    rows = await client.call(_interfaces)
    data: dict[str, JSON] = {
        "interfaces": len(rows),
        "down": sum(not row["up"] for row in rows),
        "errors": sum(row["errors"] for row in rows),
        "drops": sum(row["drops"] for row in rows),
        "rows": rows[:MOST],
    }
    errors = counted(sum(row["errors"] for row in rows), "error")
    return Finding(f"{counted(len(rows), 'interface')}, {data['down']} of them down, {errors}.", data)


@host.diagnostic()
async def check_listening_ports(client: HostReader, port: int = 0) -> Finding:
    """What listens for TCP connections, and which process it is, as far as our rights let us see.

    Args:
        port: only this port; 0 for all.
    """
    found = [row for row in await client.call(_listening) if port in (0, row["port"])]
    data: dict[str, JSON] = {"listening": len(found), "rows": found[:MOST]}
    status = RunStatus.FOUND if found else RunStatus.NOTHING
    listening = counted(len(found), "socket listens", "sockets listen")
    return Finding(f"{listening}{f' on port {port}' if port else ''}.", data, status)


@host.diagnostic()
async def check_connections(client: HostReader) -> Finding:
    """TCP connections by remote address, against the ports there are for them.

    Use it when connections fail with "Cannot assign requested address": all ports to one address are in use.
    """
    remotes = await client.call(_remotes)
    first, last = port_range()
    address, most = remotes.most_common(1)[0] if remotes else ("", 0)
    data: dict[str, JSON] = {
        "connections": remotes.total(),
        "ports": last - first + 1,
        "first_remote": address,
        "first_count": most,
        "first_ratio": most / (last - first + 1),
        "rows": [{"remote": remote, "connections": count} for remote, count in remotes.most_common(MOST)],
    }
    return Finding(f"{counted(remotes.total(), 'connection')}, {most} of them to {address or 'nobody'}.", data)


@host.diagnostic()
async def check_reboot_required(client: HostReader) -> Finding:
    """Whether an update waits for a reboot (/run/reboot-required)."""
    required = await client.call(lambda: any(file.exists() for file in REBOOT))
    said = "An update waits for a reboot." if required else "No reboot is required."
    return Finding(said, {"required": required}, RunStatus.FOUND if required else RunStatus.NOTHING)


def _resources() -> dict[str, Any]:
    import psutil

    memory, swap, load = psutil.virtual_memory(), psutil.swap_memory(), os.getloadavg()
    return {
        "processors": os.cpu_count() or 1,
        "load_1": load[0],
        "load_5": load[1],
        "load_15": load[2],
        "memory_total_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "memory_available_ratio": memory.available / memory.total,
        "swap_total_bytes": swap.total,
        "swap_used_bytes": swap.used,
        "uptime_days": (time.time() - psutil.boot_time()) / 86_400,
    }


def _memory() -> dict[str, Any]:
    import psutil

    memory, swap, waits = psutil.virtual_memory(), psutil.swap_memory(), pressure()
    largest = max(psutil.process_iter(["name", "memory_info"]), key=lambda process: _resident(process.info))
    return {
        "total_bytes": memory.total,
        "available_bytes": memory.available,
        "available_ratio": memory.available / memory.total,
        "free_ratio": memory.free / memory.total,
        "cache_bytes": memory.cached + memory.buffers,
        "cache_ratio": (memory.cached + memory.buffers) / memory.total,
        "swap_used_ratio": swap.percent / 100,
        "swap_in_bytes": swap.sin,
        "pressure_known": waits is not None,
        "pressure_some": waits.some if waits else 0.0,
        "pressure_full": waits.full if waits else 0.0,
        "largest_name": largest.info["name"] or "",
        "largest_pid": largest.pid,
        "largest_bytes": _resident(largest.info),
        "largest_ratio": _resident(largest.info) / memory.total,
    }


def _resident(info: dict[str, Any]) -> int:
    return info["memory_info"].rss if info["memory_info"] else 0


def _interfaces() -> list[dict[str, Any]]:
    import psutil

    counters, addresses = psutil.net_io_counters(pernic=True), psutil.net_if_addrs()
    rows = []
    for name, state in sorted(psutil.net_if_stats().items()):
        traffic = counters.get(name)
        rows.append(
            {
                "interface": name,
                "up": state.isup,
                "addresses": ", ".join(
                    one.address for one in addresses.get(name, ()) if "." in one.address or ":" in one.address
                ),
                "errors": traffic.errin + traffic.errout if traffic else 0,
                "drops": traffic.dropin + traffic.dropout if traffic else 0,
            }
        )
    return rows


def _listening() -> list[dict[str, Any]]:
    import psutil

    names = {process.pid: process.info["name"] for process in psutil.process_iter(["name"])}
    rows = [
        {"address": one.laddr.ip, "port": one.laddr.port, "pid": one.pid or 0, "process": names.get(one.pid or 0, "")}
        for one in _connections()
        if one.status == psutil.CONN_LISTEN
    ]
    return sorted(rows, key=lambda row: (row["port"], row["address"]))


def _remotes() -> Counter[str]:
    return Counter(f"{one.raddr.ip}:{one.raddr.port}" for one in _connections() if one.raddr)


def _connections() -> list[Any]:
    import psutil

    try:
        return psutil.net_connections("tcp")
    except psutil.AccessDenied as error:
        raise Denied("Connections may not be listed.", "Run cockpit under an account that may.") from error
