"""Remediations of settings: what ALTER SYSTEM wrote, changed or taken back, and reloaded."""

from __future__ import annotations

import re
from typing import Any

from cockpit.model import JSON, Approval, Denied, Plan, Refused
from cockpit.toolkit import nothing_to_do, plan_of
from tools.postgres.client import LOGIN, PostgresReader, PostgresWriter, Row
from tools.postgres.kind import postgres
from tools.postgres.names import literal, shown
from tools.postgres.quantities import in_base_unit

SETTING = """
select name, setting as value, coalesce(unit, '') as unit, vartype as type, context, source, boot_val as default,
       coalesce(min_val, '') as least, coalesce(max_val, '') as most, coalesce(enumvals, '{}') as choices
from pg_settings where lower(name) = lower(%s)
"""
IN_FILES = """
select setting as value, sourcefile ~ 'postgresql\\.auto\\.conf$' as altered
from pg_file_settings where lower(name) = lower(%s) order by seqno
"""
FROM_FILES = ("default", "configuration file")

UNSAFE = re.compile(
    "fsync|full_page_writes|zero_damaged_pages|ignore_.*|allow_.*|listen_addresses|port|search_path|temp_tablespaces"
    "|dynamic_library_path|archive_library|jit_provider|ssl_library|unix_socket_.*|log_filename"
    "|.*(_command|_libraries|_file|_directory|_keyfile)"
)
"""Settings that can lose data, load code or lock cockpit out, and lists that ALTER SYSTEM quotes in its own way."""


async def _setting(reader: PostgresReader, name: str) -> Row:
    found = await reader.row(SETTING, [name])
    if not found:
        raise Refused(f"PostgreSQL has no setting {shown(name)}.", "See check_settings_drift for names.")
    return found


async def _in_files(reader: PostgresReader, name: str) -> list[Row]:
    try:
        return await reader.rows(IN_FILES, [name], role=LOGIN)
    except Denied as error:
        raise Denied(
            "Only a superuser can read and change what ALTER SYSTEM wrote.", "Let cockpit connect as one."
        ) from error


async def _read_setting(reader: PostgresReader, key: JSON) -> JSON:
    """What ALTER SYSTEM wrote for a setting (None: nothing), and the value in effect where the files decide it."""
    assert isinstance(key, dict)
    name = str(key["name"])
    row = await _setting(reader, name)
    altered = [entry["value"] for entry in await _in_files(reader, name) if entry["altered"]]
    return {
        "altered": altered[-1] if altered else None,
        "effective": row["value"] if row["source"] in FROM_FILES else None,
    }


async def _write_setting(writer: PostgresWriter, key: JSON, before: JSON, after: JSON) -> None:
    from psycopg import sql

    assert isinstance(key, dict) and isinstance(after, dict)
    name = sql.Identifier(*str(key["name"]).split("."))
    if after["altered"] is None:
        await writer.run(sql.SQL("alter system reset {}").format(name))
    else:
        await writer.run(sql.SQL("alter system set {} = {}").format(name, sql.Literal(after["altered"])))
    await writer.run("select pg_reload_conf()")


def _steps(key: JSON, before: JSON, after: JSON) -> list[str]:
    assert isinstance(key, dict) and isinstance(after, dict)
    name = str(key["name"])
    change = f"reset {name}" if after["altered"] is None else f"set {name} = {literal(after['altered'])}"
    return [f"alter system {change};", "select pg_reload_conf();"]


altered_setting = postgres.resource(
    "postgres-setting",
    read=_read_setting,
    write=_write_setting,
    steps=_steps,
    verification="postgresql.auto.conf has the value, and pg_settings shows it in effect unless it needs a restart.",
)


@postgres.remediation(approval=Approval.HARD, uses=(altered_setting,))
async def change_postgres_setting(reader: PostgresReader, name: str, value: str) -> Plan:
    """Set one configuration parameter for the whole server. Use it with a value you can explain.

    Sends `ALTER SYSTEM SET` and `pg_reload_conf()`. A parameter that needs a restart is written and
    waits for it. Parameters that run commands, load code or risk data are refused.

    Args:
        name: the parameter, as in pg_settings.
        value: its new value, with a unit where it has one, such as 60s or 64MB.
    """
    row = await _setting(reader, name)
    _must_be_changeable(row)
    effective = canonical_value(row, value)
    before = await _read_setting(reader, {"name": row["name"]})
    assert isinstance(before, dict)
    waits = row["context"] in ("postmaster", "superuser-backend", "backend")
    after = {"altered": value, "effective": before["effective"] if waits or before["effective"] is None else effective}
    if before["altered"] == value or (before["effective"] == effective and not waits):
        return nothing_to_do(f"{row['name']} is {value} already.")
    risk = "It takes effect at the next restart." if waits else "It takes effect at once, for every session."
    return _plan(reader, row, before, after, f"Set {row['name']} to {value}.", risk)


@postgres.remediation(approval=Approval.HARD, uses=(altered_setting,))
async def reset_postgres_setting(reader: PostgresReader, name: str) -> Plan:
    """Take back what ALTER SYSTEM set for one parameter. Use it for a bad value that waits for the next restart.

    Sends `ALTER SYSTEM RESET` and `pg_reload_conf()`; then `postgresql.conf` or the default decides again.

    Args:
        name: the parameter, as in pg_settings.
    """
    row = await _setting(reader, name)
    before = await _read_setting(reader, {"name": row["name"]})
    assert isinstance(before, dict)
    if before["altered"] is None:
        return nothing_to_do(f"ALTER SYSTEM has set nothing for {row['name']}.")
    others = [entry["value"] for entry in await _in_files(reader, row["name"]) if not entry["altered"]]
    waits = row["context"] == "postmaster" or before["effective"] is None
    falls_back = before["effective"] if waits else canonical_value(row, others[-1]) if others else row["default"]
    after = {"altered": None, "effective": falls_back}
    return _plan(
        reader,
        row,
        before,
        after,
        f"Take back what was set for {row['name']}.",
        "It takes effect at once, or never did.",
    )


def _plan(reader: PostgresReader, row: Row, before: JSON, after: JSON, summary: str, risk: str) -> Plan:
    change = altered_setting.change(
        reader.service.name,
        {"name": row["name"]},
        before,
        after,
        why=f"{row['name']} is now {row['value']}{row['unit'] and ' × ' + row['unit']}.",
        observed={"in_effect": row["value"], "unit": row["unit"], "source": row["source"]},
    )
    return plan_of(summary, change, risk=risk)


def _must_be_changeable(row: Row) -> None:
    name = row["name"]
    if row["context"] == "internal":
        raise Refused(f"{name} is fixed when the server is built.", "It cannot be changed.")
    if UNSAFE.fullmatch(name.lower()):
        raise Refused(f"{name} can run commands, load code or lose data.", "Change it by hand in postgresql.conf.")
    if row["source"] in ("command line", "environment variable"):
        raise Refused(f"{name} is set by the server's {row['source']}, which wins.", "Change it there.")


def canonical_value(row: Row, value: str) -> str:
    """The value as pg_settings will show it. Raises Refused where the setting would not take it."""
    if row["type"] == "bool":
        return _one_of(
            row,
            value,
            {"on": "on", "true": "on", "yes": "on", "1": "on", "off": "off", "false": "off", "no": "off", "0": "off"},
        )
    if row["type"] == "enum":
        return _one_of(row, value, {choice: choice for choice in row["choices"]})
    if row["type"] not in ("integer", "real"):
        return value
    number = in_base_unit(value, row["unit"])
    if number is None:
        raise Refused(f"{shown(value)} is no value for {row['name']}.", f"Give a number{_with_unit(row)}.")
    number = round(number) if row["type"] == "integer" else number
    if not float(row["least"]) <= number <= float(row["most"]):
        raise Refused(
            f"{value} is out of range for {row['name']}.", f"From {row['least']} to {row['most']}{_with_unit(row)}."
        )
    return f"{number:.15g}"


def _with_unit(row: Row) -> str:
    return f", in units of {row['unit']}" if row["unit"] else ""


def _one_of(row: Row, value: str, choices: dict[str, Any]) -> str:
    if value.lower() not in choices:
        raise Refused(f"{shown(value)} is no value for {row['name']}.", f"One of: {', '.join(choices)}.")
    return str(choices[value.lower()])
