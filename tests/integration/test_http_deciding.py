"""Decisions and the event stream over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest

from cockpit.model import Call, Proposal, ProposalState, Verdict
from cockpit.serve.http.limits import Limits
from tests.integration.http_world import Cockpit, alert, cockpit, until, webhook


async def proposed(running: Cockpit) -> Proposal:
    return await running.engine.propose(Call("set_world_value", "world/one", {"key": "a", "to": "1"}), "asked")


def decision(proposal: Proposal, verdict: str = "approved", **more: str) -> dict[str, str]:
    return {"digest": proposal.digest, "verdict": verdict, **more}


def path(proposal: Proposal) -> str:
    return f"/api/v1/proposals/{proposal.id}/decision"


async def test_an_approved_proposal_is_carried_out_in_the_name_of_the_token(tmp_path):
    async with cockpit(tmp_path) as running:
        proposal = await proposed(running)
        response = await running.post(decision(proposal, reason="looks right"), path=path(proposal))
        assert response.status_code == 200
        assert response.json()["decision"] | {"at": 0} == {
            "proposal": proposal.id,
            "verdict": "approved",
            "by": "ada",
            "channel": "http",
            "at": 0,
            "digest": proposal.digest,
            "reason": "looks right",
        }
        await until(lambda: running.engine.reader.proposal(proposal.id).state is ProposalState.DONE)
        assert (running.folder / "world/value-a").read_text() == "1"


async def test_whoever_comes_second_is_told_who_decided(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        proposal = await proposed(running)
        assert (await running.post(decision(proposal, "denied"), path=path(proposal))).status_code == 200
        response = await running.post(decision(proposal), path=path(proposal))
        assert response.status_code == 409 and "denied already by ada (http)" in response.json()["error"]


async def test_of_many_who_decide_at_once_one_does(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        proposal = await proposed(running)
        answers = await asyncio.gather(
            *(running.post(decision(proposal, verdict), path=path(proposal)) for verdict in ["approved", "denied"] * 10)
        )
        assert sorted(each.status_code for each in answers) == [200] + [409] * 19


async def test_another_digest_decides_nothing(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        proposal = await proposed(running)
        response = await running.post({**decision(proposal), "digest": "0" * 64}, path=path(proposal))
        assert response.status_code == 409
        assert running.engine.reader.proposal(proposal.id).state is ProposalState.PENDING


async def test_where_the_name_has_to_be_typed_it_has_to_be_sent(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        first = await proposed(running)
        held = running.engine.store.propose(
            None, first.call, first.plan, first.digest, first.approval, time.time() + 60,
            reason="asked", needs_name=True, at=time.time(),
        )  # fmt: skip
        response = await running.post(decision(held, name="world/two"), path=path(held))
        assert response.status_code == 409
        assert (await running.post(decision(held, name="world/one"), path=path(held))).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"digest": "0" * 64},
        {"digest": "x", "verdict": "approved"},
        {"digest": "0" * 64, "verdict": "expired"},
        {"digest": "0" * 64, "verdict": "approved", "by": "root"},
        {"digest": "0" * 64, "verdict": "approved", "reason": 3},
        {"digest": "0" * 64, "verdict": "approved", "reason": "x" * 501},
    ],
)
async def test_what_is_no_decision_is_refused(tmp_path, content):
    async with cockpit(tmp_path, agent=False) as running:
        proposal = await proposed(running)
        assert (await running.post(content, path=path(proposal))).status_code == 400
        assert running.engine.reader.decision(proposal.id) is None


async def test_a_token_without_the_right_decides_nothing(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        proposal = await proposed(running)
        for name in ("screen", "prometheus"):
            assert (await running.post(decision(proposal), name, path(proposal))).status_code == 403
        assert running.engine.reader.decision(proposal.id) is None


async def test_a_proposal_that_does_not_exist_is_not_found(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        content = {"digest": "0" * 64, "verdict": "approved"}
        assert (await running.post(content, path="/api/v1/proposals/77/decision")).status_code == 404


async def events(running: Cockpit, count: int, after: int | None = None) -> list[dict[str, object]]:
    """The next events of a stream, with their ids checked against what they hold."""
    headers = running.as_("screen") | ({} if after is None else {"Last-Event-ID": str(after)})
    found: list[dict[str, object]] = []
    async with running.client.stream("GET", "/api/v1/events", headers=headers) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        number = None
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
                assert found[-1]["id"] == number
            if len(found) == count:
                return found
    return found


async def test_the_stream_goes_on_after_the_last_event_that_was_seen(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        for number in range(250):
            running.engine.store.note("ada", "note", f"line {number}")
        last = running.engine.reader.last_event()
        found = await events(running, 230, after=last - 230)
        assert [each["id"] for each in found] == list(range(last - 229, last + 1))


async def test_the_stream_tells_what_happens_from_now_on(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        running.engine.store.note("ada", "note", "before")
        reading = asyncio.create_task(events(running, 1))
        stream = running.server._stream
        await until(lambda: stream.open == 1)
        await asyncio.sleep(0)
        await running.post(webhook(alert()))
        (found,) = await asyncio.wait_for(reading, 5)
        assert found["kind"] == "alert"


async def test_too_many_readers_are_told_so(tmp_path):
    async with cockpit(tmp_path, agent=False, limits=Limits(streams=1)) as running:
        reading = asyncio.create_task(events(running, 1))
        await until(lambda: running.server._stream.open == 1)
        assert (await running.get("/api/v1/events")).status_code == 503
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_a_reader_that_does_not_read_is_dropped_and_others_go_on(tmp_path):
    async with cockpit(tmp_path, agent=False, limits=Limits(write_seconds=0.3)) as running:
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", running.server.port))
            request = "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0\r\n"
            slow.sendall(f"{request}Authorization: {running.as_('ada')['Authorization']}\r\n\r\n".encode())
            await until(lambda: running.server._stream.open == 1)
            running.engine.store._scrub = lambda value: value  # so much text would take its time
            for _ in range(100):
                running.engine.store.note("ada", "note", "x" * 80_000)
            last = running.engine.reader.last_event()
            assert len(await events(running, 10, after=last - 10)) == 10
            await until(lambda: running.server._stream.open == 0, 20)


async def test_a_decision_elsewhere_is_seen_on_the_stream(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        proposal = await proposed(running)
        last = running.engine.reader.last_event()
        await running.engine.decide(proposal.id, proposal.digest, Verdict.DENIED, channel="keypress")
        (found,) = await events(running, 1, after=last)
        assert (found["kind"], found["actor"]) == ("decision", "grace")
