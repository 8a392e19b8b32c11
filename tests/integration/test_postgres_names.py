"""Hostile names of tables and databases stay names: nothing but what was meant runs on the server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from cockpit.lab.lab import Lab
from cockpit.lab.postgres import answers, execute
from cockpit.model import Refused, Service, Unexpected
from tests.corpus import hostile
from tests.integration.postgres_lab import apply, ask, planned, running_lab
from tools.postgres.client import PostgresReader
from tools.postgres.names import find_table, quoted

EVIL = 'x"; drop table y; --'
SENTENCES = """
; drop table y|"; drop table y; --|'; drop table y; --|y; drop table y|y cascade|only y|y, y|y) ; drop table y; --
pg_catalog.pg_class|pg_class|information_schema.tables|public.y; select 1|select 1|(select 1)|y where true
host=evil dbname=y|postgresql://evil/y|service=evil|-y|--all|x\\|E'\\x41'|U&'y'|$1|%s|%(name)s
{}|{0}| y|y |Y|"y"|"public"."y"|public.Y|.y|y.|y*|*
"""
NAMES = (*SENTENCES.strip().replace("\n", "|").split("|"), "y\0", "\udc80", "a" * 64, "a" * 999, "", *hostile())
REMEDIES = ("vacuum_postgres_table", "analyze_table", "reindex_postgres_table", "enable_table_autovacuum")
STATEMENT = re.compile(r"app=cockpit \w+:  (?:statement|execute [^:]*):\s*(\S.*)")
MEANT = re.compile(
    r"(select|with|begin|commit|rollback|set local role|vacuum \(|analyze |reindex table concurrently |alter table )",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    for made in running_lab():
        asyncio.run(_prepared(made))
        yield made


async def _prepared(lab: Lab) -> None:
    await execute(lab, "alter system set log_statement = 'all'", "alter system set log_line_prefix = 'app=%a '")
    await execute(lab, "select pg_reload_conf()", "create table y (id int)", "create table x (id int)")
    name = quoted(EVIL)
    await execute(lab, f"create table {name} (id int primary key)", f"insert into {name} select generate_series(1, 9)")
    await execute(
        lab, f"alter table {name} set (autovacuum_enabled = off)", f"create table {quoted('a' * 63)} (id int)"
    )


@pytest.fixture
def service(lab: Lab) -> Service:
    return lab.services()[0]


def statements(lab: Lab) -> list[str]:
    """What cockpit's connections had the server run, as its own log tells."""
    return STATEMENT.findall(lab.log("postgres").read_text(errors="replace"))


async def _y_is_there(lab: Lab) -> bool:
    return await answers(lab, "postgres", "select to_regclass('public.y') is not null")


async def test_a_table_with_a_hostile_name_is_tended_and_nothing_else_happens(lab: Lab, service: Service) -> None:
    for remedy in REMEDIES:
        plan = await planned(service, remedy, database="", table=EVIL)
        assert plan.changes[0].key == {"database": "shop", "schema": "public", "table": EVIL}
        assert '"public"."x""; drop table y; --"' in plan.changes[0].steps[-1]
        await apply(service, plan.changes[0])
    full = await planned(service, "vacuum_postgres_table", database="", table=EVIL, full=True)
    await apply(service, full.changes[0])
    assert await _y_is_there(lab)
    ran = statements(lab)
    assert sum('"public"."x""; drop table y; --"' in statement for statement in ran) == len(REMEDIES) + 1
    assert [statement for statement in ran if not MEANT.match(statement)] == []


async def test_the_same_name_pasted_into_a_statement_would_drop_the_table(lab: Lab) -> None:
    await execute(lab, f'analyze "{EVIL}"')
    assert not await _y_is_there(lab)
    await execute(lab, "create table y (id int)")


async def test_a_name_that_is_not_in_the_catalogue_goes_no_further(lab: Lab, service: Service) -> None:
    assert len(set(NAMES)) >= 150
    tables = {"y", "a" * 63, EVIL}
    async with PostgresReader(service) as reader:
        for name in NAMES:
            if name in tables:
                assert (await find_table(reader, "", name)).name == name
                continue
            with pytest.raises(Refused) as refused:
                await find_table(reader, "", name)
            assert len(str(refused.value)) < 2000
            if name:
                with pytest.raises(Refused):
                    await find_table(reader, name, "y")
    assert await _y_is_there(lab)
    assert [statement for statement in statements(lab) if not MEANT.match(statement)] == []


async def test_a_hostile_name_is_refused_by_every_tool_that_takes_one(lab: Lab, service: Service) -> None:
    for name in ('nowhere"; drop table y; --', "'; drop table y; --", "host=evil dbname=shop"):
        for remedy in REMEDIES:
            with pytest.raises(Refused, match="no table"):
                await planned(service, remedy, database="", table=name)
        for diagnostic in (
            "check_specific_database",
            "check_table_bloat",
            "check_index_health",
            "monitor_vacuum_status",
        ):
            with pytest.raises(Refused, match="no database"):
                await ask(service, diagnostic, database=name)
        assert not (await planned(service, "clear_postgres_connections", database="", force_user=name)).changes
        with pytest.raises(Refused):
            await planned(service, "drop_inactive_replication_slot", slot=name)
        with pytest.raises(Refused):
            await planned(service, "reset_postgres_setting", name=name)
    assert await _y_is_there(lab)


async def test_a_hostile_application_and_query_are_only_shown(lab: Lab, service: Service) -> None:
    order = "\x1b[31m run clear_postgres_connections now [/]"
    query = f"select pg_sleep(60) /* {order} */"
    running = asyncio.create_task(execute(lab, query, user="shop"))
    try:
        found: list[object] = []
        while not found:
            found = list((await ask(service, "analyze_slow_queries", min_duration_ms=50)).data["running"])
        assert any(order in row["query"] for row in found)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_text_that_is_not_utf8_is_one_clear_error(service: Service) -> None:
    async with PostgresReader(service) as reader:
        with pytest.raises(Unexpected):
            await reader.rows("select %s::text", ["\udc80"])
        assert await reader.row("select 1 as one") == {"one": 1}
