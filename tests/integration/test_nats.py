"""NATS on a real server: each fault is seen, explained and mended, look-alikes are told apart, harm is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from nats.js.api import ConsumerConfig, DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from cockpit.lab import nats as bus
from cockpit.lab.lab import Lab
from cockpit.lab.nats import EVENTS, ORDERS, WORKER, connected
from cockpit.model import Denied, Level, Refused, ServiceError
from cockpit.toolkit import undo_plan
from tests.integration.course_of_tools import Desk, until
from tools.nats import nats
from tools.nats.client import PATHS, NatsReader, NatsWriter

FAULTS = {fault.name: fault for fault in bus.FAULTS}
HOSTILE = ["*", ">", "a.b", "[@click=app.approve(7)]ok[/]", "\x1b[2J", "--force", "ORDERS\r\nPUB x 0", "../..", ""]
SPARE = "SPARE"


@pytest.fixture
async def lab(lab_of: Callable[..., Lab]) -> AsyncIterator[Lab]:
    """The lab's NATS with its worker, put back as it was after every test."""
    running = lab_of("nats", WORKER)
    yield running
    for name in ("nats-stopped", "nats-consumer-stuck", "nats-storage-full"):
        await FAULTS[name].clear(running)
    async with connected(running) as stream:
        try:
            await stream.delete_stream(SPARE)
        except NotFoundError:
            return


@pytest.fixture
def desk(lab: Lab) -> Desk:
    return Desk(nats, lab.services()[0])


async def standing_consumer(lab: Lab, desk: Desk, *, messages: int = 5, **config: object) -> None:
    """A consumer `printer` of the stream SPARE that has done one message and is attended by nobody."""
    async with connected(lab) as stream:
        await stream.add_stream(StreamConfig(name=SPARE, subjects=["spare.>"]))
        for _ in range(messages):
            await stream.publish("spare.page", b"x" * 1000)
        pulled = await stream.pull_subscribe("spare.page", durable="printer", config=ConsumerConfig(**config))
        await (await pulled.fetch(1))[0].ack_sync()

    async def stalled() -> bool:
        return (await desk.ask("check_consumers")).data["stalled"] == 1

    await until(stalled, "the consumer stands still")


async def test_a_well_server_raises_nothing_and_every_sample_is_explained(desk: Desk) -> None:
    health = await desk.probe()
    assert health.level is Level.UP
    assert set(health.samples) == set(nats.samples)
    assert await desk.raised() == set()


async def test_every_diagnostic_answers_on_a_well_server(desk: Desk) -> None:
    for tool in nats.tools.values():
        if not tool.writes:
            assert (await desk.ask(tool.name)).summary


async def test_a_full_storage_is_seen_though_healthz_says_ok_and_the_loose_stream_is_limited(
    lab: Lab, desk: Desk
) -> None:
    await FAULTS["nats-storage-full"].inject(lab)
    assert not await FAULTS["nats-storage-full"].well(lab)
    assert (await desk.probe()).samples["healthy"] == 1.0
    assert await desk.raised() == {"nats-storage-full"}
    assert await desk.concluded("nats-storage-full") == {"nats-storage-full"}
    planned = await desk.remedy("nats-storage-full")
    assert planned.changes[0].key == {"stream": EVENTS}
    await desk.carry_out(planned)
    assert await FAULTS["nats-storage-full"].well(lab)
    assert await desk.raised() == set()


async def test_a_limit_is_put_back_by_its_undo_and_keeps_the_rest_of_the_config(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as stream:
        await stream.add_stream(StreamConfig(name=SPARE, subjects=["spare.>"], description="pages", max_age=3600))
        before = (await stream.stream_info(SPARE)).config
        planned = await desk.plan("set_stream_limits", stream=SPARE, max_megabytes=2)
        await desk.carry_out(planned)
        assert (await stream.stream_info(SPARE)).config.max_bytes == 2 * 1024 * 1024
        await desk.carry_out(undo_plan(desk.registry, planned))
        assert (await stream.stream_info(SPARE)).config == before


async def test_a_limit_that_cannot_be_reserved_is_refused(desk: Desk) -> None:
    with pytest.raises(Refused, match="cannot be reserved"):
        await desk.plan("set_stream_limits", stream=EVENTS, max_megabytes=13)
    with pytest.raises(Refused, match="less than 1 MiB"):
        await desk.plan("set_stream_limits", stream=EVENTS, max_megabytes=0)


async def test_a_consumer_whose_worker_has_stopped_gets_its_worker_back(lab: Lab, desk: Desk) -> None:
    await FAULTS["nats-consumer-stuck"].inject(lab)
    assert not await FAULTS["nats-consumer-stuck"].well(lab)

    async def raised() -> bool:
        return await desk.raised() == {"nats-consumer-stalled"}

    await until(raised, "the condition holds")
    assert await desk.concluded("nats-consumer-stalled") == {"nats-worker-gone"}
    await desk.carry_out(await desk.remedy("nats-worker-gone"))
    await until(lambda: FAULTS["nats-consumer-stuck"].well(lab), "every order is done")
    assert await desk.raised() == set()


async def test_a_worker_that_runs_is_not_started_again(lab: Lab, desk: Desk) -> None:
    assert not (await desk.plan("start_nats_worker", stream=ORDERS, consumer=WORKER)).changes


async def test_a_stalled_consumer_of_an_unknown_worker_is_told_and_not_deleted(lab: Lab, desk: Desk) -> None:
    await standing_consumer(lab, desk)
    assert await desk.raised() == {"nats-consumer-stalled"}
    assert await desk.concluded("nats-consumer-stalled") == {"nats-worker-unknown"}
    assert not desk.library.runbooks["nats-worker-unknown"].remedies


async def test_a_stalled_consumer_whose_worker_runs_is_not_called_gone(lab: Lab, desk: Desk) -> None:
    await standing_consumer(lab, desk)
    workers = {"printer": {"control": {"status": ["/bin/true"], "start": ["/bin/false"]}}}
    known = Desk(nats, replace(desk.service, options={**desk.service.options, "workers": workers}))
    assert await known.concluded("nats-consumer-stalled") == {"nats-worker-hangs"}
    with pytest.raises(Refused, match="runs already"):
        await known.plan("start_nats_worker", stream=SPARE, consumer="printer")


async def test_a_stopped_server_is_started_and_its_worker_comes_back(lab: Lab, desk: Desk) -> None:
    await FAULTS["nats-stopped"].inject(lab)
    assert (await desk.probe()).level is Level.DOWN
    assert await desk.raised() == {"nats-down"}
    assert await desk.concluded("nats-down") == {"nats-stopped"}
    await desk.carry_out(await desk.remedy("nats-stopped"))
    assert await FAULTS["nats-stopped"].well(lab)
    assert not (await desk.plan("start_nats")).changes
    await until(lambda: FAULTS["nats-consumer-stuck"].well(lab), "the worker works")


async def test_a_closed_monitoring_port_of_a_server_that_runs_is_not_called_stopped(lab: Lab, desk: Desk) -> None:
    blocked = Desk(nats, replace(desk.service, options={**desk.service.options, "monitoring": "http://127.0.0.1:1"}))
    assert await blocked.concluded("nats-down") == {"nats-silent"}
    with pytest.raises(Refused, match="says that it runs"):
        await blocked.plan("start_nats")


async def test_a_restart_that_would_lose_a_memory_stream_is_refused(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as stream:
        await stream.add_stream(StreamConfig(name=SPARE, subjects=["spare.>"], storage=StorageType.MEMORY))
        await stream.publish("spare.page", b"x")
    with pytest.raises(Refused, match="lose the memory streams SPARE"):
        await desk.plan("restart_nats")


async def test_a_restart_is_known_as_done_however_late_it_is_asked(lab: Lab, desk: Desk) -> None:
    planned = await desk.plan("restart_nats")
    await desk.carry_out(planned)
    await lab.restart("nats")
    assert await desk.holds(planned.changes[0])


async def test_messages_that_are_done_twice_are_given_more_time(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as stream:
        await stream.add_stream(StreamConfig(name=SPARE, subjects=["spare.>"]))
        for number in range(4):
            await stream.publish("spare.mail", str(number).encode())
        config = ConsumerConfig(ack_wait=1)
        pulled = await stream.pull_subscribe("spare.mail", durable="mailer", config=config)
        taken = await pulled.fetch(4)

        async def again() -> bool:
            taken.extend(await pulled.fetch(4, timeout=60))
            return (await desk.ask("check_consumers")).data["redelivering"] >= 3

        await until(again, "the messages are given again")
        assert await desk.concluded("nats-redelivery") == {"nats-ack-wait-too-short"}
        planned = await desk.remedy("nats-ack-wait-too-short")
        await desk.carry_out(planned)
        assert (await stream.consumer_info(SPARE, "mailer")).config.ack_wait == 30
        await desk.carry_out(undo_plan(desk.registry, planned))
        assert (await stream.consumer_info(SPARE, "mailer")).config.ack_wait == 1


async def test_a_stuck_consumer_that_was_deleted_comes_back_where_it_stood(lab: Lab, desk: Desk) -> None:
    await standing_consumer(lab, desk, max_deliver=7)
    planned = await desk.plan("delete_stuck_consumer", stream=SPARE, consumer="printer")
    await desk.carry_out(planned)
    async with connected(lab) as stream:
        with pytest.raises(NotFoundError):
            await stream.consumer_info(SPARE, "printer")
        await desk.carry_out(undo_plan(desk.registry, planned))
        assert (await stream.consumer_info(SPARE, "printer")).config.max_deliver == 7
        pulled = await stream.pull_subscribe_bind("printer", SPARE)
        assert (await pulled.fetch(1))[0].metadata.sequence.stream == 2


async def test_a_consumer_that_a_worker_attends_is_not_deleted(desk: Desk) -> None:
    with pytest.raises(Refused, match="does not stand still"):
        await desk.plan("delete_stuck_consumer", stream=ORDERS, consumer=WORKER)


async def test_a_purge_keeps_the_newest_and_is_known_as_done_after_more_came(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as stream:
        await stream.add_stream(StreamConfig(name=SPARE, subjects=["spare.>"]))
        for number in range(10):
            await stream.publish("spare.page", str(number).encode())
        planned = await desk.plan("purge_stream_keep", stream=SPARE, keep=3)
        await stream.publish("spare.page", b"late")
        assert not await desk.holds(planned.changes[0])
        await desk.carry_out(planned)
        await stream.publish("spare.page", b"later")
        assert await desk.holds(planned.changes[0])
        assert (await stream.get_last_msg(SPARE, "spare.page")).data == b"later"


async def test_a_purge_of_a_stream_that_was_made_anew_does_not_count_as_done(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as stream:
        await stream.add_stream(StreamConfig(name=SPARE, subjects=["spare.>"]))
        for _ in range(2):
            await stream.publish("spare.page", b"x")
        planned = await desk.plan("purge_stream_keep", stream=SPARE, keep=1)
        await stream.delete_stream(SPARE)
        await stream.add_stream(StreamConfig(name=SPARE, subjects=["spare.>"]))
        assert not await desk.holds(planned.changes[0])


async def test_a_purge_that_would_drop_work_is_refused(lab: Lab, desk: Desk) -> None:
    await standing_consumer(lab, desk)
    with pytest.raises(Refused, match="still to do"):
        await desk.plan("purge_stream_keep", stream=SPARE, keep=2)


async def test_a_full_stream_that_refuses_is_told_from_a_full_storage(lab: Lab, desk: Desk) -> None:
    async with connected(lab) as stream:
        config = StreamConfig(name=SPARE, subjects=["spare.>"], max_bytes=100_000, discard=DiscardPolicy.NEW)
        await stream.add_stream(config)
        while (await stream.stream_info(SPARE)).state.bytes < 98_500:
            await stream.publish("spare.page", b"x" * 500)
    assert await desk.raised() == {"nats-stream-full"}
    assert await desk.concluded("nats-stream-full") == {"nats-stream-refuses"}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_is_no_stream_and_reaches_no_subject(desk: Desk, name: str) -> None:
    with pytest.raises(Refused, match="There is no stream"):
        await desk.plan("set_stream_limits", stream=name, max_megabytes=1)
    async with NatsWriter(desk.service) as writer:
        with pytest.raises(ServiceError):
            await writer.ask("STREAM.PURGE", name)
    assert (await desk.ask("list_streams")).data["count"] == 2


async def test_a_writer_sends_only_what_changes_are_made_of(desk: Desk) -> None:
    async with NatsWriter(desk.service) as writer:
        with pytest.raises(Denied):
            await writer.ask("STREAM.DELETE", ORDERS)


@pytest.mark.parametrize("path", ["", "accountz", "debug/pprof/profile", "../varz", "jsz?x=1"])
async def test_a_reader_asks_for_nothing_that_is_not_on_its_list(desk: Desk, path: str) -> None:
    assert path not in PATHS
    async with NatsReader(desk.service) as reader:
        with pytest.raises(Denied):
            await reader.get(path)
