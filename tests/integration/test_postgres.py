"""PostgreSQL's faults on a real server: each is seen, explained, mended and verified."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from cockpit.agent.runbooks import Library
from cockpit.lab.lab import Lab
from cockpit.lab.parts import Fault
from cockpit.lab.postgres import FAULTS, SERVERS, execute
from cockpit.model import Approval, CockpitError, Denied, Level, Refused, RunStatus, Service, Unexpected
from cockpit.toolkit import probe, undo_plan
from tests.integration.postgres_lab import (
    BY_NAME,
    REGISTRY,
    alerts,
    apply,
    ask,
    calls,
    concluded,
    conclusions,
    holds_now,
    library,
    planned,
    raised,
    reads,
    until,
    with_options,
)
from tools.postgres import postgres
from tools.postgres.client import PostgresReader

CONDITIONS = {
    "postgres-connections-exhausted": {"postgres-connections-used-up"},
    "postgres-lock-queue": {"postgres-locks-pile-up"},
    "postgres-runaway-query": {"postgres-long-query"},
    "postgres-bloated-table": {"postgres-table-bloated", "postgres-statistics-stale"},
    "postgres-stopped": {"postgres-down"},
    "postgres-connections-leaked": {"postgres-connections-used-up"},
    "postgres-old-snapshot": {"postgres-table-bloated", "postgres-statistics-stale"},
    "postgres-bad-setting-pending": {"postgres-settings-broken"},
    "postgres-stale-statistics": {"postgres-statistics-stale"},
    "postgres-invalid-index": {"postgres-index-invalid"},
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = Lab.create(SERVERS)
    asyncio.run(made.up())
    yield made
    asyncio.run(made.down())


@pytest.fixture(scope="module")
def books() -> Library:
    return library()


@pytest.fixture
def service(lab: Lab) -> Service:
    return lab.services()[0]


@asynccontextmanager
async def injected(lab: Lab, name: str) -> AsyncIterator[Fault]:
    fault = BY_NAME[name]
    await fault.inject(lab)
    try:
        yield fault
    finally:
        await fault.clear(lab)


@asynccontextmanager
async def client(lab: Lab, application: str, user: str = "shop") -> AsyncIterator[psycopg.AsyncConnection]:
    """One more client of the shop, which its server may end at any time."""
    connection = await psycopg.AsyncConnection.connect(
        host="127.0.0.1", port=lab.port("postgres"), user=user, dbname="shop", application_name=application
    )
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_well_server_raises_nothing(lab: Lab, service: Service, books: Library) -> None:
    health = await probe(postgres, service)
    assert health.level is Level.UP
    assert set(health.samples) <= set(postgres.samples)
    assert set(postgres.samples) - set(health.samples) == {"too_many_connections", "crash_recovery_age_seconds"}
    assert raised(books, service, health) == set()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_is_seen_explained_and_mended(fault: Fault, lab: Lab, service: Service, books: Library) -> None:
    async def seen() -> bool:
        return CONDITIONS[fault.name] <= await alerts(books, service)

    async def gone() -> bool:
        return not CONDITIONS[fault.name] & await alerts(books, service)

    assert await fault.well(lab)
    async with injected(lab, fault.name):
        await until(seen, within=3)
        assert not await fault.well(lab)
        names = await alerts(books, service)
        assert names == CONDITIONS[fault.name]
        certain = [(book, known) for book, known, sure in await conclusions(books, service, names) if sure]
        assert [book.id for book, _ in certain] == [fault.runbook]
        proposed = calls(*certain[0])
        assert proposed[0][0] == fault.remedy
        for tool, arguments in proposed:
            plan = await planned(service, tool, **arguments)
            for change in plan.changes:
                assert change.steps
                assert change.undo or change.no_undo
                await apply(service, change)
            if await fault.well(lab) and await gone():
                break
        await until(lambda: fault.well(lab))
        await until(gone)
    await until(lambda: fault.well(lab))


async def test_every_diagnostic_answers_on_a_well_server(service: Service) -> None:
    arguments = {"explain_query": {"query": "select * from orders where total = 3"}}
    for name, tool in postgres.tools.items():
        if not tool.writes:
            finding = await ask(service, name, **arguments.get(name, {}))
            assert finding.summary.endswith(".")
            assert None not in finding.data.values(), name


async def test_a_diagnostic_still_answers_while_connections_and_locks_are_used_up(lab: Lab, service: Service) -> None:
    async with injected(lab, "postgres-connections-exhausted"):
        names = [n for n, tool in postgres.tools.items() if not tool.writes and n != "explain_query"]
        findings = await asyncio.gather(*(ask(service, name) for name in names))
        assert all(finding.status is not RunStatus.ERROR for finding in findings)
    async with injected(lab, "postgres-lock-queue"):
        bloat = await ask(service, "check_specific_database")
        assert {row["table"] for row in bloat.data["tables"]} >= {"orders", "customers"}


async def test_a_probe_that_finds_no_connection_left_says_so(lab: Lab, service: Service, books: Library) -> None:
    async with injected(lab, "postgres-connections-exhausted"):
        plain = with_options(service, user="shop")
        health = await probe(postgres, plain)
        assert (health.level, dict(health.samples)) == (Level.DOWN, {"too_many_connections": 1.0})
        assert raised(books, plain, health) == {"postgres-no-connection-left"}
        assert await concluded(books, plain, {"postgres-no-connection-left"}) == ["postgres-no-slot-for-cockpit"]


async def test_only_the_root_of_a_lock_queue_is_named(lab: Lab, service: Service) -> None:
    async with injected(lab, "postgres-lock-queue"):
        locks = (await ask(service, "check_database_locks")).data
        assert (locks["root_count"], locks["root_application"], locks["root_idle"]) == (1.0, "batch", True)
        assert (locks["waiters"], locks["root_waiters"]) == (7.0, 7.0)
        assert locks["exclusive_waiting"]
        # Ending a waiter would be planned if somebody asked for it by pid, but it frees nobody.
        assert locks["exclusive_pid"] != locks["root_pid"]


async def test_a_dump_is_never_ended(lab: Lab, service: Service, books: Library) -> None:
    async with client(lab, "pg_dump") as dump, client(lab, "migration") as migration, client(lab, "web") as web:
        await dump.execute("lock table orders in access share mode")
        waiting = [asyncio.create_task(migration.execute("lock table orders in access exclusive mode"))]
        waiting += [asyncio.create_task(web.execute("select count(*) from orders"))]
        await until(lambda: _waiters(service, 2))
        assert await concluded(books, service, {"postgres-locks-pile-up"}) == ["postgres-lock-queue-behind-dump"]
        pid = dump.info.backend_pid
        with pytest.raises(Refused, match="no backup"):
            await planned(service, "kill_long_running_query", database="", query_pid=pid)
        with pytest.raises(Refused, match="backup or dump"):
            await planned(service, "restart_postgres_service")
        await dump.rollback()
        await asyncio.gather(waiting[0])
        await migration.rollback()
        await asyncio.gather(waiting[1])


async def _waiters(service: Service, count: int) -> bool:
    return (await ask(service, "check_database_locks")).data["waiters"] == count


async def test_work_that_reports_progress_is_not_taken_for_a_runaway(
    lab: Lab, service: Service, books: Library
) -> None:
    async with client(lab, "import") as loader:
        async with loader.cursor().copy("copy imports from stdin") as copy:
            await copy.write("1\t1\n")

            async def busy() -> bool:
                return (await ask(service, "analyze_slow_queries", min_duration_ms=500)).data["legitimate_count"] == 1

            await until(busy)
            assert await alerts(books, service) == set()
            assert await concluded(books, service, {"postgres-long-query"}) == ["postgres-heavy-work"]
            with pytest.raises(Refused, match="makes progress"):
                await planned(service, "kill_long_running_query", database="", query_pid=loader.info.backend_pid)
        await loader.rollback()


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


async def test_a_planned_setting_is_not_taken_for_a_bad_one(lab: Lab, service: Service, books: Library) -> None:
    plan = await planned(service, "change_postgres_setting", name="max_connections", value="25")
    await apply(service, plan.changes[0])
    try:
        assert await alerts(books, service) == {"postgres-settings-broken"}
        assert await concluded(books, service, {"postgres-settings-broken"}) == ["postgres-setting-waits"]
    finally:
        await execute(lab, "alter system reset max_connections", "select pg_reload_conf()")


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


async def test_a_killed_backend_is_told_from_a_restart(lab: Lab, service: Service, books: Library) -> None:
    async def up_for_a_while() -> bool:
        return (await probe(postgres, service)).samples["uptime_seconds"] > 1

    await until(up_for_a_while)
    async with client(lab, "victim") as victim:
        os.kill(victim.info.backend_pid, 9)

    async def back() -> bool:
        return (await probe(postgres, service)).level is Level.UP

    await until(back)
    assert await alerts(books, service) == {"postgres-crashed"}
    assert await concluded(books, service, {"postgres-crashed"}) == ["postgres-backend-killed"]
    log = (await ask(service, "check_postgres_log")).data
    assert log["backend_killed"]
    await lab.restart("postgres")
    assert await alerts(books, service) == set()


async def test_a_slot_that_nobody_reads_is_dropped(lab: Lab, service: Service) -> None:
    await execute(lab, "select pg_create_physical_replication_slot('nas', true)")
    assert (await ask(service, "check_replication_status")).data["inactive_slot"] == "nas"
    plan = await planned(service, "drop_inactive_replication_slot", slot="nas")
    await apply(service, plan.changes[0])
    with pytest.raises(Refused, match="no replication slot"):
        await planned(service, "drop_inactive_replication_slot", slot="nas")


async def test_commits_that_wait_for_a_standby_are_told_from_a_lock(lab: Lab, service: Service, books: Library) -> None:
    standby = "synchronous_standby_names"
    await execute(lab, f"alter system set {standby} = 'replica1'", "select pg_reload_conf()")
    try:
        async with client(lab, "checkout") as shop:
            await shop.execute("set synchronous_commit = on")
            await shop.execute("update customers set name = name where id = 1")
            commit = asyncio.create_task(shop.commit())

            async def hangs() -> bool:
                return await alerts(books, service) == {"postgres-commits-hang"}

            await until(hangs)
            assert await concluded(books, service, {"postgres-commits-hang"}) == ["postgres-standby-gone"]
            await execute(lab, f"alter system reset {standby}", "select pg_reload_conf()")
            await commit
    finally:
        await execute(lab, f"alter system reset {standby}", "select pg_reload_conf()")


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
