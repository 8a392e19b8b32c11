"""What may be changed on a real PostgreSQL, what is refused, and what a reader can never do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cockpit.lab.lab import Lab
from cockpit.lab.postgres import execute
from cockpit.model import Approval, CockpitError, Denied, Refused, Service, Unexpected
from cockpit.toolkit import undo_plan
from tests.integration.postgres_lab import (
    REGISTRY,
    apply,
    ask,
    client,
    holds_now,
    injected,
    planned,
    reads,
    running_lab,
    until,
    with_options,
)
from tools.postgres import postgres
from tools.postgres.client import PostgresReader


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from running_lab()


@pytest.fixture
def service(lab: Lab) -> Service:
    return lab.services()[0]


async def test_another_database_or_server_process_is_refused(service: Service) -> None:
    async with PostgresReader(service) as reader:
        writer = await reader.row("select pid from pg_stat_activity where backend_type = 'walwriter'")
        own = await reader.row("select pg_backend_pid() as pid")
        with pytest.raises(Refused, match="walwriter"):
            await planned(service, "kill_long_running_query", database="", query_pid=writer["pid"])
        with pytest.raises(Refused, match="no database"):
            await planned(service, "kill_long_running_query", database="nowhere", query_pid=own["pid"])
    assert not (await planned(service, "kill_long_running_query", database="", query_pid=2**22 + 1)).changes


async def test_a_session_that_moved_on_is_not_ended(lab: Lab, service: Service) -> None:
    async with client(lab, "batch") as batch:
        await batch.execute("select 1")
        plan = await planned(service, "kill_long_running_query", database="", query_pid=batch.info.backend_pid)
        await batch.rollback()
        await batch.execute("select 2")
        change = plan.changes[0]
        assert await reads(service, change) != change.before
        item = postgres.items[change.item]
        async with postgres.writer(service) as writer:
            await item.apply(writer, change)
        assert (await (await batch.execute("select 3")).fetchone()) == (3,)


async def test_superusers_are_ended_only_when_named(lab: Lab, service: Service) -> None:
    async with client(lab, "admin", user="postgres") as admin, client(lab, "checkout") as shop:
        await admin.execute("select 1")
        await shop.execute("select 1")
        pids = {admin.info.backend_pid, shop.info.backend_pid}

        async def chosen() -> bool:
            plan = await planned(service, "clear_postgres_connections", database="shop")
            return bool(plan.changes) and _pids(plan) & pids == {shop.info.backend_pid}

        await until(chosen)
        named = await planned(service, "clear_postgres_connections", database="shop", force_user="postgres")
        assert _pids(named) == {admin.info.backend_pid}


def _pids(plan: object) -> set[int]:
    return {known["pid"] for change in plan.changes for known in change.before["sessions"]}


async def test_a_session_that_ended_by_itself_is_drift(lab: Lab, service: Service) -> None:
    async with client(lab, "checkout") as shop, client(lab, "checkout") as other:
        await shop.execute("select 1")
        await other.execute("select 1")

        async def both() -> bool:
            return len(_pids(await planned(service, "clear_postgres_connections", database=""))) == 2

        await until(both)
        change = (await planned(service, "clear_postgres_connections", database="")).changes[0]
        await other.rollback()
        assert await reads(service, change) != change.before
        assert not await holds_now(service, change)


async def test_vacuum_is_refused_while_a_snapshot_holds_the_dead_rows(lab: Lab, service: Service) -> None:
    async with injected(lab, "postgres-old-snapshot"):

        async def held() -> bool:
            return bool((await ask(service, "check_table_bloat", min_bloat_mb=0.5)).data["held"])

        await until(held)
        with pytest.raises(Refused, match="held a snapshot"):
            await planned(service, "vacuum_postgres_table", database="", table="orders")


async def test_a_full_vacuum_waits_for_a_person_and_shrinks_the_table(lab: Lab, service: Service) -> None:
    async with injected(lab, "postgres-bloated-table"):
        soft = await planned(service, "vacuum_postgres_table", database="shop", table="public.orders")
        assert (REGISTRY.tool("vacuum_postgres_table").approval, soft.approval) == (Approval.SOFT, None)
        full = await planned(service, "vacuum_postgres_table", database="shop", table="orders", full=True)
        assert full.approval is Approval.HARD
        assert "MiB are free" in full.risk
        before = (await ask(service, "check_specific_database")).data["bytes"]
        await apply(service, full.changes[0])
        assert (await ask(service, "check_specific_database")).data["bytes"] < before


async def test_autovacuum_is_switched_on_again_and_back(lab: Lab, service: Service) -> None:
    async with injected(lab, "postgres-bloated-table"):
        plan = await planned(service, "enable_table_autovacuum", database="", table="orders")
        await apply(service, plan.changes[0])
        assert not (await planned(service, "enable_table_autovacuum", database="", table="orders")).changes
        await apply(service, undo_plan(REGISTRY, plan).changes[0])
        assert await reads(service, plan.changes[0]) == plan.changes[0].before


@pytest.mark.parametrize(
    ("name", "value"),
    [("work_mem", "8MB"), ("log_min_duration_statement", "2s"), ("autovacuum", "off"), ("max_connections", "30")],
)
async def test_a_setting_is_changed_seen_in_effect_and_put_back(name: str, value: str, service: Service) -> None:
    plan = await planned(service, "change_postgres_setting", name=name, value=value)
    await apply(service, plan.changes[0])
    assert not (await planned(service, "change_postgres_setting", name=name, value=value)).changes
    await apply(service, undo_plan(REGISTRY, plan).changes[0])
    assert not (await planned(service, "reset_postgres_setting", name=name)).changes


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("archive_command", "rm -rf /", "run commands"),
        ("shared_preload_libraries", "evil", "load code"),
        ("fsync", "off", "lose data"),
        ("zero_damaged_pages", "on", "lose data"),
        ("block_size", "1", "fixed"),
        ("work_mem", "banana", "no value"),
        ("work_mem", "1", "out of range"),
        ("work_mem", "5min", "no value"),
        ("wal_level", "x'; drop table orders; --", "no value"),
        ("work_mem'; drop table orders; --", "1MB", "no setting"),
    ],
)
async def test_a_dangerous_or_wrong_setting_is_refused(name: str, value: str, why: str, service: Service) -> None:
    with pytest.raises(Refused, match=why):
        await planned(service, "change_postgres_setting", name=name, value=value)


async def test_a_restart_is_refused_while_a_setting_is_broken_and_else_seen(lab: Lab, service: Service) -> None:
    async with injected(lab, "postgres-bad-setting-pending"):
        with pytest.raises(Refused, match="might not start"):
            await planned(service, "restart_postgres_service")
    with pytest.raises(Refused, match="Containers"):
        await planned(service, "restart_postgres_service", lxc_id="101")
    with pytest.raises(Refused, match="not the configured unit"):
        await planned(service, "restart_postgres_service", service_name="sshd.service")
    with pytest.raises(CockpitError, match="no service control"):
        await planned(with_options(service, control=None), "restart_postgres_service")
    plan = await planned(service, "restart_postgres_service")
    await apply(service, plan.changes[0])
    assert not (await planned(service, "start_postgres_service")).changes


async def test_a_slot_that_nobody_reads_is_dropped(lab: Lab, service: Service) -> None:
    await execute(lab, "select pg_create_physical_replication_slot('nas', true)")
    assert (await ask(service, "check_replication_status")).data["inactive_slot"] == "nas"
    plan = await planned(service, "drop_inactive_replication_slot", slot="nas")
    await apply(service, plan.changes[0])
    with pytest.raises(Refused, match="no replication slot"):
        await planned(service, "drop_inactive_replication_slot", slot="nas")


async def test_a_reader_cannot_write(lab: Lab, service: Service) -> None:
    attempts = (
        "create table stolen (id int)",
        "delete from orders",
        "select pg_reload_conf()",
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'checkout'",
        "select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'checkout'",
        "copy (select 1) to program 'true'",
        "select pg_create_physical_replication_slot('x')",
        "alter system set work_mem = '1MB'",
    )
    async with PostgresReader(service) as reader, client(lab, "checkout") as shop:
        await shop.execute("select 1")
        for attempt in attempts:
            with pytest.raises((Denied, Unexpected)):
                await reader.rows(attempt)
        with pytest.raises(CockpitError, match="multiple commands"):
            await reader.rows("select 1; select 2")
        assert (await (await shop.execute("select 2")).fetchone()) == (2,)


async def test_a_plan_is_explained_and_the_query_not_run(lab: Lab, service: Service) -> None:
    before = await execute(lab, "select count(*) from orders")
    finding = await ask(service, "explain_query", query="select * from orders where total = 3")
    assert finding.data["expected_rows"] == pytest.approx(40, rel=0.5)
    for hostile in (
        "analyze delete from orders",
        "select 1; delete from orders",
        "drop table orders",
        ") select 1",
        "\0",
        "",
    ):
        with pytest.raises(CockpitError):
            await ask(service, "explain_query", query=hostile)
    assert await execute(lab, "select count(*) from orders") == before
