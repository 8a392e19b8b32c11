"""Remediations of the service as a whole: start and restart."""

from __future__ import annotations

from typing import Any

from cockpit.model import JSON, Approval, Change, Denied, Plan, Refused, Unreachable
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.control import ServiceControl
from tools.postgres.client import LOGIN, PostgresReader, PostgresWriter, TooManyConnections
from tools.postgres.kind import postgres
from tools.postgres.names import shown
from tools.postgres.probe import SETTINGS

STARTED = "select pg_postmaster_start_time()::text as started_at"
SESSIONS = """
select count(*) filter (where state = 'active')::int as active, count(*)::int as sessions,
       (select count(*) from pg_stat_progress_basebackup)::int as backups,
       (select count(*) from pg_stat_activity where application_name in ('pg_dump', 'pg_dumpall'))::int as dumps
from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
"""
UNLOGGED = """
select n.nspname::text || '.' || c.relname::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relpersistence = 'u' and c.relkind = 'r' order by 1 limit 10
"""


async def _started_at(reader: PostgresReader) -> str:
    """When the server was started; empty when it does not answer."""
    try:
        return str((await reader.row(STARTED))["started_at"])
    except Unreachable:
        return ""


async def _read_service(reader: PostgresReader, key: JSON) -> JSON:
    return {"running": await ServiceControl(reader.service).running(), "started_at": await _started_at(reader)}


async def _start(writer: PostgresWriter, change: Change) -> None:
    await ServiceControl(writer.service).run("start")


async def _restart(writer: PostgresWriter, change: Change) -> None:
    await writer.close()
    await ServiceControl(writer.service).run("restart")


async def _answers_anew(reader: PostgresReader, change: Change) -> bool:
    before: Any = change.before
    await reader.close()  # a restart ended the connection we had
    started_at = await _started_at(reader)
    return bool(started_at) and started_at > before["started_at"]


def _steps(verb: str) -> Any:
    def steps(key: JSON, before: JSON, after: JSON) -> list[str]:
        assert isinstance(key, dict)
        return [str(key[verb])]

    return steps


started_service = postgres.action(
    "postgres-start",
    read=_read_service,
    do=_start,
    check=_answers_anew,
    steps=_steps("start"),
    verification="The server accepts a connection.",
    no_undo="Stopping it again would take the service away; that is never an undo.",
    timeout=120,
    patience=60,
)
restarted_service = postgres.action(
    "postgres-restart",
    read=_read_service,
    do=_restart,
    check=_answers_anew,
    steps=_steps("restart"),
    verification="pg_postmaster_start_time() is later than before, and the server accepts a connection.",
    no_undo="A restart cannot be taken back; sessions were closed and open transactions rolled back.",
    timeout=180,
    patience=60,
)


@postgres.remediation(approval=Approval.HARD, uses=(started_service,))
async def start_postgres_service(reader: PostgresReader) -> Plan:
    """Start the server when it is stopped. Uses the configured unit or control command.

    Refused while the service manager says that it runs: then it is starting, recovering or hung.
    """
    control = ServiceControl(reader.service)
    state = await _read_service(reader, None)
    assert isinstance(state, dict)
    if state["started_at"]:
        return nothing_to_do("The server answers already.")
    if state["running"]:
        raise Refused("The service manager says that it runs.", "It may be recovering: follow its log, or restart it.")
    change = started_service.change(
        reader.service.name,
        {"start": control.step("start")},
        state,
        {"running": True, "answers": True},
        why="Nothing answers at its address, and its service is stopped.",
    )
    return plan_of(f"Start {reader.service.name}.", change, risk="Somebody may have stopped it on purpose.")


@postgres.remediation(approval=Approval.HARD, uses=(restarted_service,))
async def restart_postgres_service(reader: PostgresReader, lxc_id: str = "", service_name: str = "") -> Plan:
    """Restart the server in an orderly way. Use it only where a restart mends the cause, such as a hung server.

    Uses the configured unit or control command. Refused while a configuration file has an error, as
    the server might not come up again, and while a backup or dump runs.

    Args:
        lxc_id: the container it runs in; not supported here, leave it empty.
        service_name: the systemd unit; must be the configured one when given.
    """
    _must_be_ours(reader, lxc_id, service_name)
    control = ServiceControl(reader.service)
    state = await _read_service(reader, None)
    risk, observed = await _consequences(reader)
    change = restarted_service.change(
        reader.service.name,
        {"restart": control.step("restart")},
        state,
        {"restarted": True},
        why="It was asked for." if observed else "The server does not answer.",
        observed=observed,
    )
    return plan_of(f"Restart {reader.service.name}.", change, risk=risk)


def _must_be_ours(reader: PostgresReader, lxc_id: str, service_name: str) -> None:
    if lxc_id:
        raise Refused(
            "Containers cannot be controlled from here.",
            "Leave lxc_id empty, and set 'unit' or 'control' in the config.",
        )
    if service_name and service_name != reader.service.options.get("unit"):
        raise Refused(
            f"{shown(service_name)} is not the configured unit of {reader.service.name}.", "Leave service_name empty."
        )


async def _consequences(reader: PostgresReader) -> tuple[str, dict[str, JSON]]:
    """What a restart does to those who are connected. Raises Refused where it must not be done."""
    try:
        seen = await reader.row(SESSIONS)
    except TooManyConnections:
        raise Refused(
            "Its connections are used up; a restart would not mend that.", "Free them, or connect as a superuser."
        ) from None
    except Unreachable:
        return "It does not answer now; whoever waits for it is cut off.", {}
    if seen["backups"] or seen["dumps"]:
        raise Refused("A backup or dump is running; a restart would end it.", "Wait until it is done.")
    errors = await _setting_errors(reader)
    if errors:
        wrong = counted(errors, "setting or access rule has", "settings or access rules have")
        raise Refused(
            f"{wrong} an error; the server might not start again.",
            "Mend them first: check_settings_drift, reset_postgres_setting.",
        )
    unlogged = [row["name"] for row in await reader.rows(UNLOGGED)]
    closed = counted(seen["sessions"], "session is", "sessions are")
    risk = f"{closed} closed, {seen['active']} of them at work; clients have to connect again."
    if unlogged:
        risk += f" Unlogged tables are emptied if it does not stop in order: {', '.join(unlogged)}."
    return risk, dict(seen)


async def _setting_errors(reader: PostgresReader) -> int:
    try:
        return int((await reader.row(SETTINGS, role=LOGIN))["setting_errors"])
    except Denied:
        return 0
