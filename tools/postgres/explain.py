"""The plan of a query, without running it."""

from __future__ import annotations

import json
from typing import Any

from cockpit.model import Finding, Refused
from cockpit.toolkit import counted
from tools.postgres.client import READ_ALL, PostgresReader
from tools.postgres.kind import postgres
from tools.postgres.names import find_database
from tools.postgres.sessions import ROWS


@postgres.diagnostic()
async def explain_query(reader: PostgresReader, query: str, database: str = "") -> Finding:
    """How the server would carry out a query: its plan, with expected rows and costs. It is not run.

    Sends `EXPLAIN (FORMAT JSON)` without ANALYZE, as one statement in a read-only transaction.

    Args:
        query: one SELECT or VALUES; planning a statement that writes would need rights that a reader lacks.
        database: where to plan it; empty for the configured one.
    """
    from psycopg import sql

    name = await find_database(reader, database)
    if "\0" in query or not query.strip():
        raise Refused("That is no query.", "Give one statement.")
    statement = sql.SQL("explain (format json) ") + sql.SQL(query)
    found = await reader.row(statement, database=name, role=READ_ALL)
    plan = next(iter(found.values()))
    top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    nodes = _nodes(top)
    data: dict[str, Any] = {
        "expected_rows": float(top["Plan Rows"]),
        "cost": float(top["Total Cost"]),
        "nodes": nodes[:ROWS],
        "scans_whole_table": any(node["node"] == "Seq Scan" for node in nodes),
    }
    rows = counted(top["Plan Rows"], "row")
    return Finding(f"The plan expects {rows} at a cost of {top['Total Cost']:.0f}.", data)


def _nodes(plan: dict[str, Any], depth: int = 0) -> list[dict[str, Any]]:
    """The plan's nodes from the top down."""
    here = {
        "depth": float(depth),
        "node": plan["Node Type"],
        "relation": plan.get("Relation Name", ""),
        "index": plan.get("Index Name", ""),
        "expected_rows": float(plan["Plan Rows"]),
        "cost": float(plan["Total Cost"]),
    }
    below = [node for child in plan.get("Plans", ()) for node in _nodes(child, depth + 1)]
    return [here, *below]
