"""Redis on a real server: each fault is seen, explained and mended, look-alikes are told apart, harm is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from cockpit.lab import redis as cache
from cockpit.lab.lab import Lab
from cockpit.lab.redis import connected
from cockpit.model import CockpitError, Denied, Level, Refused
from cockpit.toolkit import undo_plan
from tests.integration.course_of_tools import Desk, until
from tools.redis import redis
from tools.redis.client import READS, RedisReader, RedisWriter

FAULTS = {fault.name: fault for fault in cache.FAULTS}
HOSTILE = ["*", "'; FLUSHALL", "[@click=app.approve(7)]ok[/]", "\x1b[2J", "--help", "a\r\nFLUSHALL\r\n", "${1}", ""]


@pytest.fixture
async def lab(lab_of: Callable[..., Lab]) -> AsyncIterator[Lab]:
    """The lab's Redis, put back as it was after every test."""
    running = lab_of("redis")
    yield running
    for fault in reversed(cache.FAULTS):  # who holds connections goes before the others need one
        await fault.clear(running)
    async with connected(running) as client:
        await client.config_set("save", "900 1")
        await client.config_set("appendonly", "no")
        await client.config_set("timeout", "0")
        await client.config_rewrite()
        await client.flushall()
    await cache.SERVERS[0].seed(running)


@pytest.fixture
def desk(lab: Lab) -> Desk:
    return Desk(redis, lab.services()[0])


async def setting(lab: Lab, name: str) -> str:
    async with connected(lab) as client:
        return (await client.config_get(name))[name]


async def test_a_well_server_raises_nothing_and_every_sample_is_explained(desk: Desk) -> None:
    health = await desk.probe()
    assert health.level is Level.UP
    assert set(health.samples) == set(redis.samples)
    assert await desk.raised() == set()


async def test_every_probe_comes_over_a_connection_of_its_own_and_leaves_none(lab: Lab, desk: Desk) -> None:
    await desk.probe()
    async with connected(lab) as client:
        before, received = await client.client_list(), await client.info("stats")
        for _ in range(3):
            await desk.probe()
        after, then = await client.client_list(), await client.info("stats")
    assert then["total_connections_received"] - received["total_connections_received"] == 3
    assert {each["id"] for each in after} == {each["id"] for each in before}


async def test_every_diagnostic_answers_on_a_well_server(desk: Desk) -> None:
    for tool in redis.tools.values():
        if not tool.writes:
            assert (await desk.ask(tool.name)).summary


async def test_a_full_memory_is_seen_explained_and_given_more_for_good(lab: Lab, desk: Desk) -> None:
    await FAULTS["redis-memory-full"].inject(lab)
    assert not await FAULTS["redis-memory-full"].well(lab)
    assert await desk.raised() == {"redis-memory-full"}
    assert await desk.concluded("redis-memory-full") == {"redis-maxmemory-noeviction"}
    planned = await desk.remedy("redis-maxmemory-noeviction")
    await desk.carry_out(planned)
    assert await FAULTS["redis-memory-full"].well(lab)
    assert await desk.raised() == set()
    await lab.restart("redis")
    assert await setting(lab, "maxmemory") == str(cache.MEMORY * 2)


async def test_a_raised_limit_is_put_back_by_its_undo(lab: Lab, desk: Desk) -> None:
    planned = await desk.plan("set_redis_maxmemory", megabytes=48)
    await desk.carry_out(planned)
    await desk.carry_out(undo_plan(desk.registry, planned))
    assert await setting(lab, "maxmemory") == str(cache.MEMORY)


async def test_a_limit_below_what_is_used_or_above_the_machine_is_refused(desk: Desk) -> None:
    with pytest.raises(Refused, match="refuse every write"):
        await desk.plan("set_redis_maxmemory", megabytes=0)
    with pytest.raises(Refused, match="of the machine"):
        await desk.plan("set_redis_maxmemory", megabytes=100_000_000)


async def test_the_limit_it_has_already_is_nothing_to_do(desk: Desk) -> None:
    assert not (await desk.plan("set_redis_maxmemory", megabytes=24)).changes


async def test_a_stopped_server_is_started(lab: Lab, desk: Desk) -> None:
    await FAULTS["redis-stopped"].inject(lab)
    assert (await desk.probe()).level is Level.DOWN
    assert await desk.raised() == {"redis-down"}
    assert await desk.concluded("redis-down") == {"redis-stopped"}
    await desk.carry_out(await desk.remedy("redis-stopped"))
    assert await FAULTS["redis-stopped"].well(lab)
    assert not (await desk.plan("start_redis")).changes


async def test_a_silent_server_is_not_called_stopped(desk: Desk) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    blocked = Desk(redis, replace(desk.service, options={**desk.service.options, "port": port}, timeout=5.0))
    async with server:
        assert await blocked.concluded("redis-down") == {"redis-silent"}
        with pytest.raises(Refused, match="did not answer"):
            await blocked.plan("start_redis")


async def test_a_client_flood_is_ended_over_the_connection_that_the_probe_left_open(lab: Lab, desk: Desk) -> None:
    await desk.probe()
    await FAULTS["redis-client-flood"].inject(lab)
    assert not await FAULTS["redis-client-flood"].well(lab)
    health = await desk.probe()
    assert (health.level, health.samples["rejected"]) == (Level.DEGRADED, 1.0)
    assert await desk.raised() == {"redis-clients-full"}
    assert await desk.concluded("redis-clients-full") == {"redis-client-flood"}
    await desk.carry_out(await desk.remedy("redis-client-flood"))
    assert await FAULTS["redis-client-flood"].well(lab)
    assert await desk.raised() == set()


async def test_a_flood_met_without_a_spare_connection_is_told_and_never_called_down(lab: Lab, desk: Desk) -> None:
    await FAULTS["redis-client-flood"].inject(lab)
    stranger = Desk(redis, replace(desk.service, options={**desk.service.options, "host": "localhost"}))
    assert (await stranger.probe()).level is Level.DEGRADED
    assert await stranger.raised() == {"redis-clients-full"}


async def test_a_planned_end_of_clients_stays_the_same_while_their_idle_time_grows(lab: Lab, desk: Desk) -> None:
    await desk.probe()
    await FAULTS["redis-client-flood"].inject(lab)
    first = await desk.remedy("redis-client-flood")
    second = await desk.remedy("redis-client-flood")
    assert [(each.key, each.before, each.after) for each in first.changes] == [
        (each.key, each.before, each.after) for each in second.changes
    ]


async def test_workers_that_wait_on_purpose_are_no_flood_and_are_not_ended(lab: Lab, desk: Desk) -> None:
    async with AsyncExitStack() as stack:
        waiting = []
        for _ in range(cache.CLIENTS - 4):
            client = Redis(port=lab.port("redis"), client_name="mailer", single_connection_client=True, protocol=2)
            stack.push_async_callback(client.aclose)
            await client.initialize()
            waiting.append(asyncio.create_task(client.blpop(["mails"], timeout=60)))

        async def blocked() -> bool:
            return (await desk.ask("check_redis_clients")).data["blocked"] == len(waiting)

        await until(blocked, "all of them wait")
        assert await desk.raised() == {"redis-clients-full"}
        assert await desk.concluded("redis-clients-full") == {"redis-clients-waiting"}
        with pytest.raises(Refused, match="quiet on purpose"):
            await desk.plan("kill_redis_clients", name="mailer")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_forgotten_monitor_is_ended_and_more_memory_is_not_proposed(lab: Lab, desk: Desk) -> None:
    await FAULTS["redis-monitor-forgotten"].inject(lab)
    assert not await FAULTS["redis-monitor-forgotten"].well(lab)
    assert await desk.raised() == {"redis-client-buffers"}
    assert await desk.concluded("redis-client-buffers", "redis-memory-full") == {"redis-monitor-forgotten"}
    await desk.carry_out(await desk.remedy("redis-monitor-forgotten"))
    assert await FAULTS["redis-monitor-forgotten"].well(lab)


async def test_a_cache_beside_a_queue_is_told_from_a_full_memory_and_the_queue_is_kept(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as client:
        with pytest.raises(RedisError):
            for number in range(10_000):
                await client.set(f"page:{number}", "x" * 16_384, ex=3600)
    assert await desk.concluded("redis-memory-full") == {"redis-cache-beside-queue"}
    with pytest.raises(Refused, match="without an expiry"):
        await desk.plan("set_redis_eviction_policy", policy="allkeys-lru")
    await desk.carry_out(await desk.remedy("redis-cache-beside-queue"))
    assert await FAULTS["redis-memory-full"].well(lab)


async def test_a_volatile_policy_that_could_evict_nothing_is_refused(desk: Desk) -> None:
    with pytest.raises(Refused, match="evict nothing"):
        await desk.plan("set_redis_eviction_policy", policy="volatile-lru")


async def test_a_restart_that_would_lose_everything_is_refused(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as client:
        await client.config_set("save", "")
        await client.set("cart:1", "three bicycles")
    assert (await desk.ask("check_redis_persistence")).data["restart_loses_data"]
    with pytest.raises(Refused, match="no persistence"):
        await desk.plan("restart_redis")


async def test_a_restart_into_an_empty_append_only_file_is_refused(lab: Lab, desk: Desk) -> None:
    file = lab.path("redis") / "redis.conf"
    kept = file.read_text()
    file.write_text(kept + "appendonly yes\n")
    with pytest.raises(Refused, match="start empty"):
        await desk.plan("restart_redis")
    file.write_text(kept)


async def test_a_restart_keeps_the_data_and_is_known_as_done_however_late_it_is_asked(lab: Lab, desk: Desk) -> None:
    planned = await desk.plan("restart_redis")
    await desk.carry_out(planned)
    await lab.restart("redis")
    assert await desk.holds(planned.changes[0])
    assert await FAULTS["redis-stopped"].well(lab)


async def test_the_append_only_file_is_switched_on_with_the_data_in_it(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as client:
        await client.config_set("save", "")
    assert await desk.concluded("redis-no-persistence") == {"redis-no-persistence"}
    await desk.carry_out(await desk.remedy("redis-no-persistence"))

    async def written() -> bool:
        async with connected(lab) as client:
            seen = await client.info("persistence")
        return not seen["aof_rewrite_in_progress"] and not seen["aof_rewrite_scheduled"]

    await until(written, "the append-only file is written")
    await lab.restart("redis")
    assert await FAULTS["redis-stopped"].well(lab)


async def test_a_snapshot_is_written_and_seen_to_be_newer(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as client:
        await client.set("cart:2", "a bell")
    await desk.carry_out(await desk.plan("save_redis_snapshot"))
    assert (await desk.ask("check_redis_persistence")).data["unsaved_changes"] == 0


async def test_an_empty_server_does_not_overwrite_its_last_snapshot(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as client:
        await client.flushall()
    with pytest.raises(Refused, match="no keys"):
        await desk.plan("save_redis_snapshot")


async def test_a_setting_made_by_hand_is_found_missing_in_the_file_and_written_there(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as client:
        await client.config_set("timeout", "300")
    assert (await desk.ask("check_redis_persistence")).data["settings_not_in_file"] == ["timeout"]
    await desk.carry_out(await desk.plan("persist_redis_config"))
    assert not (await desk.plan("persist_redis_config")).changes
    await lab.restart("redis")
    assert await setting(lab, "timeout") == "300"


async def test_a_timeout_that_would_cut_pools_off_is_refused(desk: Desk) -> None:
    with pytest.raises(Refused, match="between two requests"):
        await desk.plan("set_redis_client_timeout", seconds=5)


async def test_a_replicas_buffer_is_raised_on_its_master(lab: Lab, desk: Desk) -> None:
    before = await setting(lab, "client-output-buffer-limit")
    planned = await desk.plan("set_redis_replica_buffer", megabytes=512)
    await desk.carry_out(planned)
    assert "slave 536870912 134217728 60" in await setting(lab, "client-output-buffer-limit")
    await desk.carry_out(undo_plan(desk.registry, planned))
    assert await setting(lab, "client-output-buffer-limit") == before


async def test_slow_commands_are_told_without_their_data(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as client:
        await client.config_set("slowlog-log-slower-than", 0)
        await client.set("card:1", "4111 1111 1111 1111")
        await client.config_set("slowlog-log-slower-than", 10_000)
    rows = (await desk.ask("check_redis_slowlog")).data["rows"]
    assert {"command": "SET", "key": "card:1"}.items() <= next(row for row in rows if row["command"] == "SET").items()
    assert "4111" not in str(rows)


async def test_large_keys_are_found_whatever_they_are_called(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as client:
        for name in HOSTILE:
            await client.set(f"k{name}", "x" * 40_000)
        await client.set(b"\xff\xfe", "x" * 50_000)
    found = await desk.ask("find_big_keys", limit=len(HOSTILE))
    assert found.data["complete"] is True
    assert {f"k{name}" for name in HOSTILE} == {row["key"] for row in found.data["rows"]}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_ends_no_client(desk: Desk, name: str) -> None:
    for arguments in ({"name": name}, {"address": name}):
        try:
            assert not (await desk.plan("kill_redis_clients", **arguments)).changes
        except Refused:
            assert not name


async def test_our_own_connections_are_never_ended(desk: Desk) -> None:
    await desk.probe()
    assert not (await desk.plan("kill_redis_clients", name="cockpit")).changes


@pytest.mark.parametrize(
    "command", ["SET", "FLUSHALL", "CONFIG SET", "CLIENT KILL", "EVAL", "SHUTDOWN", "GET", "DEBUG"]
)
async def test_a_reader_sends_no_command_that_is_not_on_its_list(desk: Desk, command: str) -> None:
    assert command not in READS
    async with RedisReader(desk.service) as reader:
        with pytest.raises(Denied):
            await reader.ask(command, "a", "b")


async def test_a_writer_sends_only_what_changes_are_made_of(desk: Desk) -> None:
    async with RedisWriter(desk.service) as writer:
        for command in ("FLUSHALL", "SHUTDOWN", "EVAL", "SET", "DEL"):
            with pytest.raises(Denied):
                await writer.ask(command)


async def test_a_setting_that_is_not_ours_is_neither_read_nor_written(desk: Desk) -> None:
    resource = redis.items["redis-setting"]
    async with RedisWriter(desk.service) as writer:
        with pytest.raises(CockpitError):
            await resource.write(writer, {"setting": "requirepass", "file": True}, "", "owned")


async def test_a_wrong_password_is_denied_and_not_called_down(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as client:
        await client.config_set("requirepass", "s3cret")
        try:
            assert (await desk.probe()).level is Level.UNKNOWN
            assert (await desk.ask("check_redis_health")).data["state"] == "denied"
            with_it = replace(desk.service, options={**desk.service.options, "password": "s3cret"})
            assert (await Desk(redis, with_it).probe()).level is Level.UP
        finally:
            await client.config_set("requirepass", "")
