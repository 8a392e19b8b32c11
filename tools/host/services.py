"""The services of this machine that the config names, and systemd's view of all others."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from cockpit.model import JSON, Approval, Change, CockpitError, Drifted, Finding, Plan, Refused, RunStatus, Unreachable
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.command import execute
from tools.control import UNIT, systemd_runs
from tools.host.client import HostReader, HostWriter
from tools.host.kind import host

RUNNING, STOPPED = "running", "stopped"
MOST = 20
"""Rows in a finding."""
SECONDS = 10.0


@host.diagnostic()
async def check_services(client: HostReader) -> Finding:
    """Which of the configured services of this machine run, and which do not."""
    states = {name: await client.running(name) for name in client.units()}
    stopped = sorted(name for name, runs in states.items() if not runs)
    data: dict[str, JSON] = {
        "services": len(states),
        "stopped": len(stopped),
        "first_stopped": stopped[0] if stopped else "",
        "rows": [{"service": name, "running": runs} for name, runs in states.items()][:MOST],
    }
    if not states:
        return Finding("No service is configured under 'units'.", data, RunStatus.NOTHING)
    return Finding(f"{', '.join(stopped) or 'none'} of {counted(len(states), 'service')} stopped.", data)


@host.diagnostic()
async def check_failed_units(client: HostReader) -> Finding:
    """The systemd units that have failed (`systemctl list-units --state=failed`)."""
    data: dict[str, JSON] = {"systemd": systemd_runs(), "failed": 0, "first": "", "rows": []}
    if not data["systemd"]:
        return Finding("systemd does not run on this machine, so there are no units.", data, RunStatus.NOTHING)
    command = ("systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full")
    output = await execute(command, seconds=SECONDS)
    rows = [line.split(None, 4) for line in output.text.splitlines() if line.strip()]
    data |= {
        "failed": len(rows),
        "first": rows[0][0] if rows else "",
        "rows": [{"unit": row[0], "description": row[4] if len(row) > 4 else ""} for row in rows[:MOST]],
    }
    failed = counted(len(rows), "unit has", "units have")
    return Finding(f"{failed} failed.", data, RunStatus.FOUND if rows else RunStatus.NOTHING)


@host.diagnostic(timeout=30.0, quotes=True)
async def search_journal(
    client: HostReader, text: str = "", unit: str = "", minutes: float = 60.0, limit: int = 20
) -> Finding:
    """The last lines of the systemd journal, newest first (`journalctl -o json`).

    Args:
        text: what a line must contain, as plain text; empty for every line.
        unit: of which systemd unit; empty for all.
        minutes: how far back to look.
        limit: how many lines, at most 20.
    """
    if unit and not UNIT.fullmatch(unit):
        raise CockpitError("That is not the name of a systemd unit.", "Give one such as nginx.service.")
    command = ["journalctl", "--output=json", "--no-pager", "--reverse", f"--since=-{minutes:g}min", "--lines=5000"]
    try:
        output = await execute(command + ([f"--unit={unit}"] if unit else []), seconds=SECONDS)
    except Unreachable:
        return Finding("There is no journal: journalctl is not installed.", {"lines": 0, "rows": []}, RunStatus.NOTHING)
    found = [
        entry
        for line in output.text.splitlines()
        if (entry := _entry(line)) and text.casefold() in _said(entry).casefold()
    ]
    rows: list[JSON] = [_row(entry) for entry in found[: max(1, min(limit, MOST))]]
    status = RunStatus.FOUND if found else RunStatus.NOTHING
    summary = f"{counted(len(found), 'line')} in {counted(minutes, 'minute')}."
    return Finding(summary, {"lines": len(found), "rows": rows}, status)


def _fields(key: JSON) -> dict[str, str]:
    return {str(field): str(value) for field, value in key.items()} if isinstance(key, Mapping) else {}


def _same_command(client: HostReader, key: JSON, verb: str) -> str:
    """The unit's name, if its command is still the one that was shown. Raises Drifted."""
    fields = _fields(key)
    if client.step(fields["unit"], verb) != fields[verb]:
        raise Drifted(f"The command to {verb} {fields['unit']} is another one by now.", "Plan it again.")
    return fields["unit"]


async def _read(client: HostReader, key: JSON) -> JSON:
    return RUNNING if await client.running(_fields(key)["unit"]) else STOPPED


async def _write(client: HostWriter, key: JSON, before: JSON, after: JSON) -> None:
    verb = "start" if after == RUNNING else "stop"
    await client.control(_same_command(client, key, verb), verb)


def _steps(key: JSON, before: JSON, after: JSON) -> list[str]:
    return [_fields(key)["start" if after == RUNNING else "stop"]]


unit_state = host.resource(
    "unit",
    read=_read,
    write=_write,
    steps=_steps,
    verification="Its pid file or its service manager says that it runs, or that it is stopped.",
    timeout=90.0,
)


async def _identity(client: HostReader, key: JSON) -> JSON:
    return {"run": await client.identity(_fields(key)["unit"])}


async def _restart(client: HostWriter, change: Change) -> None:
    await client.control(_same_command(client, change.key, "restart"), "restart")


async def _restarted(client: HostReader, change: Change) -> bool:
    now = await client.identity(_fields(change.key)["unit"])
    return bool(now) and {"run": now} != change.before


unit_restart = host.action(
    "unit restart",
    read=_identity,
    do=_restart,
    check=_restarted,
    steps=lambda key, before, after: [_fields(key)["restart"]],
    verification="It runs as another process than before.",
    no_undo="A restart leaves nothing to put back.",
    timeout=90.0,
)


@host.remediation(approval=Approval.SOFT, uses=(unit_state,))
async def start_service(client: HostReader, unit: str) -> Plan:
    """Start a configured service of this machine that is stopped.

    Args:
        unit: its name under `units` in the config.
    """
    return await _plan_state(client, unit, RUNNING, "Its start may load the machine for a moment.")


@host.remediation(approval=Approval.HARD, uses=(unit_state,))
async def stop_service(client: HostReader, unit: str) -> Plan:
    """Stop a configured service of this machine.

    Args:
        unit: its name under `units` in the config.
    """
    return await _plan_state(client, unit, STOPPED, "Whoever uses it is refused until it is started again.")


@host.remediation(approval=Approval.HARD, uses=(unit_restart,))
async def restart_service(client: HostReader, unit: str) -> Plan:
    """Restart a configured service of this machine, where the cause is one that a restart mends.

    Args:
        unit: its name under `units` in the config.
    """
    before = await client.identity(unit)
    if not before:
        raise Refused(f"{unit} is stopped, so there is nothing to restart.", "Start it with start_service.")
    key = {"unit": unit, "restart": client.step(unit, "restart")}
    change = unit_restart.change(client.service.name, key, {"run": before}, "another process runs", why="Asked for.")
    return plan_of(f"Restart {unit}", change, risk="Its connections break, and it is away until it has started again.")


async def _plan_state(client: HostReader, unit: str, after: str, risk: str) -> Plan:
    if unit not in client.units():
        raise Refused("There is no such service under 'units'.", f"There are: {', '.join(client.units()) or 'none'}.")
    key = {"unit": unit, "start": client.step(unit, "start"), "stop": client.step(unit, "stop")}
    before = await _read(client, key)
    if before == after:
        return nothing_to_do(f"{unit} is {after} already.")
    change = unit_state.change(client.service.name, key, before, after, why=f"It is {before}.")
    return plan_of(f"{'Start' if after == RUNNING else 'Stop'} {unit}", change, risk=risk)


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _said(entry: Mapping[str, Any]) -> str:
    said = entry.get("MESSAGE")
    # The journal gives a line that is no UTF-8 as a list of its bytes.
    return bytes(said).decode(errors="replace") if isinstance(said, list) else str(said or "")


def _row(entry: Mapping[str, Any]) -> dict[str, JSON]:
    at = str(entry.get("__REALTIME_TIMESTAMP", "0"))
    return {
        "at": int(at) / 1e6 if re.fullmatch(r"\d+", at) else 0.0,
        "unit": str(entry.get("_SYSTEMD_UNIT") or entry.get("SYSLOG_IDENTIFIER") or ""),
        "text": _said(entry)[:300],
    }
