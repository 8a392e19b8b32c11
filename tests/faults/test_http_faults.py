"""What strangers send over HTTP, or do not send: nothing is let in, nothing is lost, nobody else waits for it."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import statistics
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cockpit.serve.http.alertmanager import listed
from cockpit.serve.http.alertmanager import webhook as read_webhook
from cockpit.serve.http.answers import Problem
from cockpit.serve.http.bodies import parsed
from cockpit.serve.http.limits import Limits
from cockpit.serve.http.owners import Owners
from tests.corpus.http_malformed import NO_HTTP, NO_JSON, not_meant
from tests.integration.http_world import TOKENS, Cockpit, alert, cockpit, until, webhook
from tests.stopwatch import Stopwatch

GOOD = TOKENS["prometheus"][0]


async def exchange(running: Cockpit, request: bytes, seconds: float = 60.0) -> bytes:
    """What comes back for raw bytes, until the server closes or has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
    try:
        writer.write(request)
        async with asyncio.timeout(seconds):
            return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        return getattr(error, "partial", b"")
    finally:
        writer.close()


def stored(running: Cockpit) -> int:
    return len(running.engine.reader.alerts())


def rss() -> int:
    """Bytes of memory this process has resident."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def timed_post(running: Cockpit, number: int) -> float:
    """Seconds until an alert was taken."""
    watch = Stopwatch()
    assert (await running.post(webhook(alert(instance=str(number))))).status_code == 200
    return watch.seconds()


async def test_500_connections_that_ask_for_nothing_are_closed_and_a_real_request_stays_fast(tmp_path):
    limits = Limits(header_seconds=2.0)
    async with cockpit(tmp_path, agent=False, limits=limits) as running:
        watch, took = Stopwatch(), []
        idle = [await asyncio.open_connection("127.0.0.1", running.server.port) for _ in range(500)]
        for _, writer in idle:
            writer.write(b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        for number in range(100):
            took.append(await timed_post(running, number))
            if number % 10 == 0:
                idle[-1 - number][1].write(b"a")
        async with asyncio.timeout(60):
            for reader, writer in idle:
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await reader.readexactly(1)
                writer.close()
        assert watch.seconds() < 10
        assert statistics.quantiles(took, n=100)[98] < 0.5
        assert len(running.server.door.inside) <= 2
        assert stored(running) == 100


async def test_a_full_house_turns_out_who_asks_for_nothing_and_not_who_asks(tmp_path):
    async with cockpit(tmp_path, agent=False, limits=Limits(connections=8)) as running:
        idle = [await asyncio.open_connection("127.0.0.1", running.server.port) for _ in range(20)]
        assert (await running.post(webhook(alert()))).status_code == 200
        await until(lambda: len(running.server.door.inside) <= 8)
        for _, writer in idle:
            writer.close()


async def test_a_body_that_does_not_come_ends_the_request(tmp_path):
    async with cockpit(tmp_path, agent=False, limits=Limits(body_seconds=0.3)) as running:
        head = (
            f"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {GOOD}\r\nContent-Length: 50\r\n\r\n{{"
        )
        assert b" 408 " in await exchange(running, head.encode())


async def test_headers_that_come_a_byte_at_a_time_end_too(tmp_path):
    async with cockpit(tmp_path, agent=False, limits=Limits(header_seconds=0.5)) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
        watch = Stopwatch()
        with pytest.raises(ConnectionError):
            while True:
                writer.write(b"G")
                await writer.drain()
                await asyncio.sleep(0.05)
        assert watch.seconds() < 5


async def test_none_of_over_200_malformed_requests_is_stored_or_does_harm(tmp_path):
    async with cockpit(tmp_path, agent=False, limits=Limits(header_seconds=1.0, body_seconds=1.0)) as running:
        bodies = [*NO_JSON, *not_meant()]
        assert len(bodies) + len(NO_HTTP) >= 200
        for body in bodies:
            for path in ("/api/v1/alerts", "/api/v2/alerts"):
                response = await running.post(body, path=path)
                assert response.status_code == 400, body[:80]
                assert set(response.json()) == {"schema_version", "error", "fix"}
        for request in NO_HTTP:
            authorized = request.replace(b"Host: x\r\n", b"Host: x\r\nAuthorization: Bearer %b\r\n" % GOOD.encode(), 1)
            answer = await exchange(running, authorized)
            assert answer == b"" or answer[8:10] == b" 4", request[:80]
        assert stored(running) == 0
        assert (await running.post(webhook(alert()))).status_code == 200


async def test_large_and_odd_posts_that_are_meant_are_taken(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        meant = [
            webhook(alert(instance="x" * 1_000_000)),
            webhook(*(alert("Storm", instance=str(number)) for number in range(10_000))),
            webhook(alert("Odd", instance='\ud800"; drop table alert; --')),
            webhook(alert("", instance="nameless")),
            webhook({**alert("Fresh"), "unknown": {"deep": [[[[]]]]}}),
            webhook({**alert("Many"), "labels": {f"label{number}": "x" for number in range(1000)}}),
            webhook({**alert("NoPrint"), "fingerprint": "../../etc/passwd"}),
        ]
        for content in meant:
            assert (await running.post(content)).status_code == 200
        assert stored(running) == 10_006
        assert max(len(json.dumps(raised.alert.labels)) for raised in running.engine.reader.alerts()) < 100_000


async def test_too_large_and_compressed_bodies_are_refused_without_being_unpacked(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        before = rss()
        bomb = gzip.compress(bytes(200 << 20))
        headers = {**running.as_("ada"), "Content-Encoding": "gzip"}
        response = await running.client.post("/api/v1/alerts", content=bomb, headers=headers)
        assert response.status_code == 415
        assert (await running.post(b"[" + b" " * (9 << 20) + b"]")).status_code == 413
        assert rss() - before < 64 << 20
        assert stored(running) == 0


BAD_AUTHORIZATIONS = (
    [], [""], ["Bearer"], ["Bearer "], ["Basic " + GOOD], ["Token " + GOOD], [GOOD], ["Bearer " + GOOD[:-1]],
    ["Bearer " + GOOD[1:]], ["Bearer " + GOOD + "x"], ["Bearer " + GOOD.upper()], ["Bearer\t" + GOOD],
    ["Bearer " + GOOD, "Bearer " + GOOD], ["Bearer wrong", "Bearer " + GOOD], ["Bearer " + GOOD + "," + GOOD],
    ["Bearer " + GOOD, "Basic x"], ["Bearer: " + GOOD], ["Bearer=" + GOOD], ["Bearer '" + GOOD + "'"],
    ['Bearer "' + GOOD + '"'], ["Digest " + GOOD], ["Negotiate " + GOOD], ["BearerX " + GOOD], ["null"], ["undefined"],
    ["Bearer null"], ["Bearer undefined"], ["Bearer " + "0" * 64], ["Bearer " + "a" * 4000], ["Bearer ../" + GOOD],
    ["Bearer %s"], ["Bearer ' or 1=1 --"], ["Bearer *"], ["Bearer " + GOOD[::-1]], ["Bearer screen"],
    ["Bearer prometheus"],
    ["Bearer " + TOKENS["screen"][0]], ["Bearer " + GOOD.replace("-", "_")], ["Bearer " + GOOD.replace("0", "O")],
    ["Bearer " + " ".join(GOOD)], ["Bearer " + GOOD[:10] + " " + GOOD[10:]],
)  # fmt: skip
OTHER_WAYS = (
    "/api/v1/alerts?token=" + GOOD, "/api/v1/alerts?access_token=" + GOOD,
    "/api/v1/alerts?authorization=Bearer+" + GOOD,
    "//api/v1/alerts", "/api/v1/alerts/", "/api/v1/./alerts", "/api/v1/../v1/alerts", "/API/V1/ALERTS",
    "/api/v1/alerts;x",
    "/api/v1/alerts%00", "/api/v1/alerts%2f", "/-/healthy/../../api/v1/alerts", "/-/healthy", "/api/v2/alerts",
)  # fmt: skip
OTHER_HEADERS = (
    "X-Api-Key: " + GOOD, "Proxy-Authorization: Bearer " + GOOD, "Cookie: token=" + GOOD, "X-Forwarded-For: 127.0.0.1",
    "X-Original-URL: /-/healthy", "X-HTTP-Method-Override: GET",
)  # fmt: skip


def raw(path: str, headers: list[str], number: int) -> bytes:
    body = json.dumps(webhook(alert(instance=str(number)))).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *headers, f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_none_of_60_requests_without_a_right_token_is_stored_and_20_with_one_are(tmp_path):
    bad = [raw("/api/v1/alerts", [f"Authorization: {value}" for value in values], 0) for values in BAD_AUTHORIZATIONS]
    bad += [raw(path, [], 0) for path in OTHER_WAYS] + [raw("/api/v1/alerts", [header], 0) for header in OTHER_HEADERS]
    assert len(bad) >= 60
    async with cockpit(tmp_path, agent=False) as running:
        for number, request in enumerate(bad):
            status = (await exchange(running, request)).split(b" ", 2)[1:2]
            assert status in ([b"401"], [b"403"], [b"404"], [b"405"], [b"429"], [b"400"]), request[:120]
            if number % 3 == 0:
                good = raw("/api/v1/alerts", [f"Authorization: Bearer {GOOD}"], number)
                assert b" 200 " in await exchange(running, good)
        assert stored(running) == len(bad[::3]) >= 20
        assert running.server.access.refused >= 50


async def test_what_is_smuggled_behind_a_refused_request_is_not_served(tmp_path):
    inner = raw("/api/v1/alerts", [f"Authorization: Bearer {GOOD}"], 1)
    smuggled = [
        b"POST /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /-/healthy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
        b"POST /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
        b"POST /-/healthy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ]
    async with cockpit(tmp_path, agent=False) as running:
        for prefix in smuggled:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
            writer.write(prefix + inner)
            async with asyncio.timeout(60):
                await reader.read()
            writer.close()
        assert stored(running) == 0


async def test_without_a_token_this_machine_reads_and_nobody_writes(tmp_path):
    async with cockpit(tmp_path, agent=False, with_tokens=False) as running:
        assert (await running.client.get("/api/v1/status")).status_code == 200
        assert (await running.client.post("/api/v1/alerts", json=webhook(alert()))).status_code == 403
        rebound = await running.client.get("/api/v1/status", headers={"Host": "evil.example:8322"})
        assert rebound.status_code == 403
        assert stored(running) == 0


async def test_many_wrong_tokens_are_slowed_down_and_the_right_one_still_counts(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        wrong = {"Authorization": "Bearer " + "x" * 20}
        answers = [(await running.client.get("/api/v1/status", headers=wrong)).status_code for _ in range(30)]
        assert answers[0] == 401 and answers.count(429) >= 15
        assert (await running.get("/api/v1/status")).status_code == 200


async def test_more_requests_than_are_allowed_are_told_to_wait(tmp_path):
    async with cockpit(tmp_path, agent=False, limits=Limits(requests_per_second=1)) as running:
        answers = [(await running.get("/-/healthy")).status_code for _ in range(40)]
        assert answers.count(429) >= 20

        async def answered() -> bool:
            return (await running.get("/-/healthy")).status_code == 200

        async with asyncio.timeout(60):
            while not await answered():
                await asyncio.sleep(0.1)


async def test_no_address_in_an_alert_is_ever_asked(tmp_path):
    asked = []
    listener = await asyncio.start_server(lambda reader, writer: asked.append(writer), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    hosts = (
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    )
    urls = [
        f"{scheme}://{who}{host}:{port}/x"
        for scheme in ("http", "https", "ftp", "gopher")
        for who in ("", "a@")
        for host in hosts
    ]
    urls += [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        f"//127.0.0.1:{port}/",
        "dict://127.0.0.1:11211/",
    ]
    assert len(urls) >= 60
    async with cockpit(tmp_path) as running:
        for number, url in enumerate(urls):
            annotations = {"summary": url, "runbook_url": url, "dashboard": url}
            each = {**alert("Fetch", instance=str(number), url=url), "annotations": annotations, "generatorURL": url}
            assert (await running.post({**webhook(each), "externalURL": url})).status_code == 200
        await until(lambda: stored(running) == len(urls))
        assert asked == []
    listener.close()


async def test_10_000_alerts_that_flap_over_50_fingerprints_are_50_incidents_at_the_most(tmp_path):
    async with cockpit(tmp_path) as running:
        for number in range(200):
            status = "resolved" if number % 2 else "firing"
            alerts = [alert(f"Flap{each}", status, instance=f"host{each}") for each in range(50)]
            assert (await running.post(webhook(*alerts))).json()["accepted"] == 50
        assert len(running.engine.reader.incidents(limit=1000)) <= 50
        assert running.engine.reader.alerts(firing_only=True) == []


async def test_alerts_of_a_full_disk_are_refused_and_taken_when_there_is_room_again(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        database = running.engine.store._database
        pages = database.execute("pragma page_count").fetchone()[0]
        database.execute(f"pragma max_page_count = {pages + 2}")
        contents = [webhook(alert(instance=f"{number}-" + "x" * 400)) for number in range(60)]
        answers = await asyncio.gather(*(running.post(content) for content in contents))
        refused = [each for each in answers if each.status_code != 200]
        assert refused and all(each.status_code == 503 and each.headers["Retry-After"] for each in refused)
        assert stored(running) == len(answers) - len(refused)
        database.execute("pragma max_page_count = 1000000")
        again = [await running.post(content) for content in contents]
        assert [each.status_code for each in again] == [200] * 60
        assert stored(running) == 60


async def test_more_alerts_than_may_wait_are_sent_back_and_none_that_was_accepted_is_lost(tmp_path):
    async with cockpit(tmp_path, agent=False, limits=Limits(alerts_waiting=20)) as running:
        contents = [webhook(*(alert(instance=f"{post}-{each}") for each in range(5))) for post in range(60)]
        answers = await asyncio.gather(*(running.post(content) for content in contents))
        accepted = [each for each in answers if each.status_code == 200]
        assert accepted and {each.status_code for each in answers} <= {200, 503}
        assert stored(running) == 5 * len(accepted)


TEXTS = st.text(max_size=30)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NEARLY_ALERT = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved", "x"]) | ANY,
        "labels": st.dictionaries(TEXTS, TEXTS, max_size=4) | ANY,
    },
    optional={
        "annotations": st.dictionaries(TEXTS, TEXTS, max_size=3) | ANY,
        "startsAt": st.datetimes().map(lambda at: at.isoformat() + "Z") | ANY,
        "endsAt": st.datetimes().map(lambda at: at.isoformat() + "Z") | ANY,
        "fingerprint": TEXTS | ANY,
    },
)
NEARLY_WEBHOOK = st.fixed_dictionaries(
    {"version": st.just("4") | ANY, "alerts": st.lists(NEARLY_ALERT, max_size=3) | ANY}
)


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(NEARLY_WEBHOOK, st.lists(NEARLY_ALERT, max_size=3), ANY))
def test_whatever_is_posted_is_read_or_refused_with_a_reason(content):
    owner = Owners({}, {}).of
    for read in (read_webhook, listed):
        try:
            post = read(parsed(json.dumps(content).encode()), owner, time.time())
        except Problem as problem:
            assert problem.status == 400
        else:
            assert all(report.fingerprint.startswith("alertmanager:") for report in post.reports)


@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200))
def test_whatever_bytes_are_posted_are_read_or_refused_with_a_reason(body):
    try:
        parsed(body)
    except Problem as problem:
        assert problem.status == 400
