"""A kind of service for investigations: figures that show a cause, and four places for what strangers write.

Its world is a folder, as in tests/faults/world.py, and every effect on it is counted there. The
files `log`, `tables`, `page` and `figures` hold what its diagnostics return.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from cockpit.model import JSON, Approval, Finding, Health, Level, Plan, RunStatus, Service, Unreachable
from cockpit.toolkit import Kind, Option, Registry
from tests.faults.world import WorldReader, WorldWriter, deed_of, deed_plan, value_of, value_plan

CONDITIONS = """
kind: shop
conditions:
  - {id: shop-slow, when: samples.trouble == 1.0, severity: critical, summary: The shop answers slowly}
"""
FIGURES: dict[str, JSON] = {"used": 20, "limit": 20, "used_ratio": 1.0, "waiting": 7, "state": "full"}

shop = Kind("shop", "A shop", WorldReader, WorldWriter, (Option("folder", str, "Where it is.", required=True),))


@shop.health(trouble="1 when something is wrong")
async def probe(reader: WorldReader) -> Health:
    """Whether the folder holds a file named trouble."""
    trouble = (reader.folder / "trouble").exists()
    return Health(
        Level.DEGRADED if trouble else Level.UP, reader.trouble() if trouble else "well", {"trouble": trouble}
    )


def written(reader: WorldReader, name: str) -> list[str]:
    """The lines that strangers wrote into one of the files."""
    file = reader.folder / name
    return file.read_text().splitlines() if file.exists() else []


@shop.diagnostic()
async def check_shop_pool(reader: WorldReader) -> Finding:
    """Connections of the pool against its limit, and who waits for one. Use it when the shop is slow."""
    if (reader.folder / "silent").exists():
        raise Unreachable("The shop does not answer.")
    file = reader.folder / "figures"
    figures = json.loads(file.read_text()) if file.exists() else FIGURES
    return Finding(f"{figures['used']} of {figures['limit']} connections used.", figures)


@shop.diagnostic()
async def check_shop_disk(reader: WorldReader, folder: str = "/") -> Finding:
    """Room on the shop's disk.

    Args:
        folder: which part of it.
    """
    return Finding("12 % used.", {"used_ratio": 0.12, "folder": folder}, RunStatus.NOTHING)


@shop.diagnostic(timeout=5.0)
async def meet_in_shop(reader: WorldReader, name: str) -> Finding:
    """Waits until a second one of its kind runs at the same time.

    Args:
        name: of this one.
    """
    (reader.folder / f"here-{name}").touch()
    while len(list(reader.folder.glob("here-*"))) < 2:
        await asyncio.sleep(0.01)
    return Finding("Met.", {"met": True})


@shop.diagnostic(quotes=True)
async def read_shop_log(reader: WorldReader, lines: int = 20) -> Finding:
    """The last lines of the shop's log.

    Args:
        lines: how many.
    """
    found = written(reader, "log")[-lines:]
    return Finding(f"{len(found)} lines.", {"lines": len(found), "rows": [{"message": line} for line in found]})


@shop.diagnostic()
async def list_shop_tables(reader: WorldReader) -> Finding:
    """The tables of the shop's database, with their rows."""
    found = written(reader, "tables") or ["orders"]
    return Finding(f"{len(found)} tables.", {"tables": [{"name": name, "rows": 100} for name in found]})


@shop.diagnostic(quotes=True)
async def fetch_shop_page(reader: WorldReader) -> Finding:
    """What the shop's front page answers."""
    body = "\n".join(written(reader, "page")) or "Welcome."
    return Finding("The page answers 200.", {"status": 200, "body": body})


value, deed = value_of(shop), deed_of(shop)


@shop.remediation(approval=Approval.SOFT, uses=(value,))
async def set_shop_value(reader: WorldReader, key: str, to: str) -> Plan:
    """Set a value of the shop, such as the size of its pool.

    Args:
        key: which.
        to: the new value.
    """
    return value_plan(value, reader, key, to)


@shop.remediation(approval=Approval.SOFT, uses=(deed,))
async def do_shop_deed(reader: WorldReader, key: str) -> Plan:
    """Do a deed that cannot be undone, such as emptying a table.

    Args:
        key: which.
    """
    return deed_plan(deed, reader, key, f"Do {key}")


def registry() -> Registry:
    """A registry of this kind alone."""
    return Registry.of([shop])


def services(folder: Path) -> tuple[Service, ...]:
    """A shop, the one it depends on, one that depends on it, and one that has nothing to do with it."""
    options = {"folder": str(folder)}
    more = {"interval": 0.2, "timeout": 2.0}
    return (
        Service("shop/front", options, depends_on=("shop/store",), note="The pool may have up to 50.", **more),
        Service("shop/store", options, **more),
        Service("shop/till", options, depends_on=("shop/front",), **more),
        Service("shop/other", options, **more),
    )
