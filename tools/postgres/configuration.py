"""The diagnostic of settings: what was changed, what has an error, what waits for a restart."""

from __future__ import annotations

from typing import Any

from cockpit.model import Denied, Finding, RunStatus
from cockpit.toolkit import counted
from tools.postgres.client import LOGIN, PostgresReader, Row
from tools.postgres.kind import postgres
from tools.postgres.quantities import in_base_unit
from tools.postgres.sessions import ROWS

ALTERED = """
select name, setting as value, coalesce(unit, '') as unit, coalesce(boot_val, '') as default, source, pending_restart
from pg_settings
where (source not in ('default', 'client', 'override', 'session') or pending_restart)
order by pending_restart desc, name limit 60
"""
FILE_ERRORS = """
select coalesce(f.name, '') as name, coalesce(f.setting, '') as asked, f.error, coalesce(f.sourceline, 0) as line,
       f.sourcefile ~ 'postgresql\\.auto\\.conf$' as altered_by_sql, coalesce(s.setting, '') as value,
       coalesce(s.unit, '') as unit, coalesce(s.vartype, '') as type,
       coalesce(s.context = 'postmaster', false) as needs_restart
from pg_file_settings f left join pg_settings s on lower(s.name) = lower(f.name)
where f.error is not null order by f.seqno limit 20
"""
RULE_ERRORS = "select line_number as line, error from pg_hba_file_rules where error is not null order by 1 limit 20"


@postgres.diagnostic()
async def check_settings_drift(reader: PostgresReader) -> Finding:
    """Settings that differ from their defaults, and errors in the files that wait for the next restart.

    Reads `pg_settings`, `pg_file_settings` and `pg_hba_file_rules`. While a file has an error
    the running server goes on, and a restart may not come up again. `readable` is false when
    the role may not read the files.
    """
    altered = await reader.rows(ALTERED)
    data: dict[str, Any] = {
        "altered": altered[:ROWS],
        "pending": [row for row in altered if row["pending_restart"]],
        "pending_count": float(sum(row["pending_restart"] for row in altered)),
    }
    try:
        errors, rules = await reader.rows(FILE_ERRORS, role=LOGIN), await reader.rows(RULE_ERRORS, role=LOGIN)
    except Denied:
        return Finding(f"Settings not at their default: {len(altered)}.", data | {"readable": False})
    told = [row | {"factor": growth(row)} for row in errors]
    data |= {
        "readable": True,
        "errors": told,
        "error_count": float(len(errors)),
        "rule_errors": rules,
        "rule_error_count": float(len(rules)),
        "largest_factor": max((row["factor"] for row in told), default=0.0),
        **(_first(told[0]) if told else {}),
    }
    found = RunStatus.FOUND if altered or errors or rules else RunStatus.NOTHING
    wrong = f"{counted(len(errors), 'setting')} and {counted(len(rules), 'access rule')}"
    return Finding(f"{wrong} have an error.", data, found)


def growth(row: Row) -> float:
    """How many times the running value is asked for; 0 where that is not a number."""
    asked, running = in_base_unit(row["asked"], row["unit"]), in_base_unit(row["value"], row["unit"])
    return asked / running if asked is not None and running else 0.0


def _first(row: Row) -> dict[str, Any]:
    return {
        "first_name": row["name"],
        "first_asked": row["asked"],
        "first_error": row["error"],
        "first_altered_by_sql": row["altered_by_sql"],
        "first_needs_restart": row["needs_restart"],
    }
