"""PostgreSQL's faults on a real server: each is seen, explained, mended and verified."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from cockpit.agent.runbooks import Library
from cockpit.lab.lab import Lab
from cockpit.lab.parts import Fault
from cockpit.lab.postgres import FAULTS, execute
from cockpit.model import Level, Refused, RunStatus, Service
from cockpit.toolkit import probe
from tests.integration.postgres_lab import (
    alerts,
    apply,
    ask,
    calls,
    client,
    concluded,
    conclusions,
    injected,
    library,
    planned,
    raised,
    running_lab,
    until,
    with_options,
)
from tools.postgres import postgres

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
    yield from running_lab()


@pytest.fixture(scope="module")
def books() -> Library:
    return library()


@pytest.fixture
def service(lab: Lab) -> Service:
    return lab.services()[0]


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
        await until(seen)
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
        findings = [await ask(service, name) for name in names]
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
        await until(lambda: _waiters(service, 1))
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


async def test_a_planned_setting_is_not_taken_for_a_bad_one(lab: Lab, service: Service, books: Library) -> None:
    plan = await planned(service, "change_postgres_setting", name="max_connections", value="25")
    await apply(service, plan.changes[0])
    try:
        assert await alerts(books, service) == {"postgres-settings-broken"}
        assert await concluded(books, service, {"postgres-settings-broken"}) == ["postgres-setting-waits"]
    finally:
        await execute(lab, "alter system reset max_connections", "select pg_reload_conf()")


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
