"""The remediation that drops a replication slot nobody reads."""

from __future__ import annotations

from cockpit.model import JSON, Approval, Change, Plan, Refused
from cockpit.toolkit import plan_of
from tools.postgres.client import PostgresReader, PostgresWriter, Row
from tools.postgres.kind import postgres
from tools.postgres.names import literal, shown

SLOT = """
select slot_name::text as slot, slot_type as type, coalesce(plugin::text, '') as plugin,
       coalesce(database::text, '') as database, active, case when pg_is_in_recovery() then 0
                    else coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0) end::float8 as held_bytes
from pg_replication_slots where slot_name::text = %s::text
"""
DROP = """
select pg_drop_replication_slot(slot_name) from pg_replication_slots
where slot_name::text = %s::text and not active
"""


async def _slot(reader: PostgresReader, key: JSON) -> Row:
    assert isinstance(key, dict)
    return await reader.row(SLOT, [key["slot"]])


async def _read_slot(reader: PostgresReader, key: JSON) -> JSON:
    row = await _slot(reader, key)
    return {name: row[name] for name in ("slot", "type", "plugin", "database", "active")} if row else None


async def _drop(writer: PostgresWriter, change: Change) -> None:
    assert isinstance(change.key, dict)
    await writer.run(DROP, [change.key["slot"]])


async def _dropped(reader: PostgresReader, change: Change) -> bool:
    return not await _slot(reader, change.key)


def _steps(key: JSON, before: JSON, after: JSON) -> list[str]:
    assert isinstance(key, dict)
    return [f"select pg_drop_replication_slot({literal(key['slot'])});"]


dropped_slot = postgres.action(
    "postgres-slot",
    read=_read_slot,
    do=_drop,
    check=_dropped,
    steps=_steps,
    verification="pg_replication_slots no longer has the slot.",
    no_undo="A slot can be created again, but its position is lost: its standby or subscriber must be copied anew.",
)


@postgres.remediation(approval=Approval.HARD, uses=(dropped_slot,))
async def drop_inactive_replication_slot(reader: PostgresReader, slot: str) -> Plan:
    """Drop a replication slot that holds back WAL and that nobody reads. Use it when its standby will not return.

    Sends `pg_drop_replication_slot()`. Refused while somebody reads it.

    Args:
        slot: its name, as check_replication_status shows it.
    """
    row = {} if "\0" in slot else await reader.row(SLOT, [slot])
    if not row:
        raise Refused(f"There is no replication slot {shown(slot)}.", "See check_replication_status.")
    if row["active"]:
        raise Refused(f"Somebody reads the slot {shown(slot)}.", "Leave it alone.")
    before = {name: row[name] for name in ("slot", "type", "plugin", "database", "active")}
    change = dropped_slot.change(
        reader.service.name,
        {"slot": slot},
        before,
        None,
        why=f"It holds back {row['held_bytes'] / 1048576:.0f} MiB of WAL.",
        observed={"held_bytes": row["held_bytes"]},
    )
    return plan_of(
        f"Drop the replication slot {slot}.",
        change,
        risk="Its standby cannot catch up any more and must be copied anew.",
    )
