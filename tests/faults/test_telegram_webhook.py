"""Updates that Telegram brings: each counts once, from Telegram alone, and none is lost."""

from __future__ import annotations

import json
import random
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.model import ProposalState
from cockpit.serve.http.limits import Limits
from cockpit.serve.telegram import webhook
from cockpit.settings.daemon import WebhookSettings
from tests.faults.invariants import check_invariants
from tests.integration.http_world import self_signed
from tests.telegram.courier import HEADER
from tests.telegram.scene import ADA, BOB, EVE, PUBLIC, Scene


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def scene_of(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make(*, tls: tuple[Path, Path] | None = None, **more: Any) -> Scene:
        files = dict(zip(("certificate", "key"), tls, strict=True)) if tls else {}
        settings = WebhookSettings(PUBLIC, port=free_port(), **files)
        scenes.append(Scene(tmp_path, webhook=settings, **more))
        trust = ssl.create_default_context(cafile=str(tls[0])) if tls else None
        scenes[-1].api.courier.leads_to[PUBLIC] = settings.port, trust
        return scenes[-1]

    yield make
    for scene in scenes:
        scene.stop()
        assert scene.api.problems == []


def called(scene: Scene) -> dict[str, Any]:
    """What setWebhook said last, once it was called."""
    calls: list[dict[str, Any]] = scene.until(lambda: scene.api.calls("setWebhook"))
    return calls[-1]


def test_a_decision_that_is_brought_counts_as_one_that_is_fetched(scene_of):
    scene = scene_of().start()
    scene.trouble()
    question = scene.question()
    scene.press(ADA, "Approve", question)
    scene.until(lambda: "Done" in question.text and "Ada over telegram" in question.text)
    scene.api.say(ADA, "/status")
    scene.until(lambda: scene.api.find("Services up"))
    said = called(scene)
    assert (said["url"], said["allowed_updates"]) == (PUBLIC, ["message", "callback_query"])
    assert len(said["secret_token"]) >= 43
    assert scene.api.calls("getUpdates") == scene.api.calls("deleteWebhook") == []
    assert {status for _, status in scene.api.courier.brought} == {200}
    check_invariants(scene.engine.store, scene.folder, scene.data)


def test_over_tls_of_its_own_it_is_the_same(scene_of, tmp_path):
    scene = scene_of(tls=self_signed(tmp_path)).start(agent=False)
    scene.api.say(ADA, "/status")
    scene.until(lambda: scene.api.find("Services up"))


def test_what_comes_twice_and_in_any_order_is_done_once(scene_of):
    scene = scene_of().start()
    scene.api.courier.twice = True
    first, second = scene.ask("first"), scene.ask("second")
    questions = [scene.until(lambda n=n: scene.api.find(f"Set a to {n}")) for n in ("first", "second")]
    scene.press(ADA, "Approve", questions[0])
    scene.press(BOB, "Deny", questions[1])
    scene.until(lambda: scene.state(first.id) is ProposalState.DONE and scene.state(second.id) is ProposalState.DENIED)
    for _ in range(20):
        scene.api.say(ADA, "/freeze")
    scene.handled()
    scene.until(lambda: scene.api.left() == 0)
    numbers = [number for number, _ in scene.api.courier.brought]
    assert numbers != sorted(numbers)
    assert len(numbers) == 2 * len(set(numbers))
    freezes = [event for event in scene.engine.reader.events(limit=5000) if event.kind == "freeze"]
    assert (len(freezes), scene.effects()) == (20, ["set a first"])


# H: who may bring something


def forged(secret: str) -> list[dict[str, str]]:
    """Headers of requests that are not Telegram's."""
    wrong = ["", " ", secret[:-1], secret + "A", secret[1:], secret.lower(), secret.upper(), secret[::-1], "None",
             "null", "true", "Bearer " + secret, f'"{secret}"', secret + "," + secret, secret[:16], "A" * 43, "A" * 256,
             "*", "%00", secret + "\t" + secret, "é" * 43, "0", "undefined", "../" + secret]  # fmt: skip
    names = ["Authorization", "X-Telegram-Secret", "X-Telegram-Bot-Api-Secret", "Cookie", "Secret-Token", "X-Api-Key"]
    return [{}, *({HEADER: value} for value in wrong), *({name: secret} for name in names)]


def test_nothing_is_taken_from_whoever_does_not_know_the_secret(scene_of, monkeypatch):
    monkeypatch.setattr(webhook, "FORGED_PER_MINUTE", 10**9)
    scene = scene_of().start(agent=False)
    proposal = scene.ask()
    question = scene.question()
    secret, post = called(scene)["secret_token"], scene.api.courier.post
    press = {"update_id": 7, "callback_query": {
        "id": "q1", "chat_instance": "1", "data": question.token("Approve"),
        "from": {"id": ADA, "is_bot": False, "first_name": "Ada"},
        "message": {"message_id": question.id, "date": 1, "chat": {"id": -77, "type": "supergroup"}, "text": "x"},
    }}  # fmt: skip
    body = json.dumps(press).encode()
    scene.api._pressed.add("q1")
    attempts = forged(secret)
    assert len(attempts) >= 30
    for headers in attempts:
        encoded = {name: value.encode() for name, value in headers.items()}
        assert post(body, encoded) in (400, 403), headers
    for path in ("/", "/telegram/", "/telegram2", "//telegram", "/Telegram", "/%74elegram", "/api/v1/alerts"):
        assert post(body, {HEADER: secret}, path=path) == 404, path
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert post(body, {HEADER: secret}, method=method) == 405, method
    assert scene.state(proposal.id) is ProposalState.PENDING
    assert scene.engine.reader.rows("select 1 from telegram_update") == []
    assert scene.engine.store.telegram.refusals()["a webhook post without the secret"] >= 28
    assert post(body, {HEADER: secret}) == 200
    scene.until(lambda: scene.state(proposal.id) is ProposalState.APPROVED)


def test_two_secrets_are_none(scene_of):
    scene = scene_of().start(agent=False)
    secret = called(scene)["secret_token"]
    twice = f"{HEADER}: {secret}\r\n" * 2
    request = f"POST /telegram HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n{twice}\r\n{{}}"
    assert raw(scene, request.encode()).startswith(b"HTTP/1.1 403")


def test_whoever_guesses_is_turned_away_and_telegram_is_not(scene_of):
    scene = scene_of().start(agent=False)
    secret, post = called(scene)["secret_token"], scene.api.courier.post
    answers = [post(b"{}", {HEADER: f"guess{number}"}) for number in range(60)]
    assert answers.count(403) <= 12 and answers.count(429) >= 48
    scene.api.say(ADA, "/status")
    scene.until(lambda: scene.api.find("Services up"))
    assert post(b"{}", {HEADER: secret}) == 200
    told = [event for event in scene.engine.reader.events() if "without the secret" in event.text]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"nothing", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"update_id": NaN}', {}, 400),
        (b'{"update_id": 1, "update_id": 2}', {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"{}", {"Content-Encoding": "gzip"}, 415),
        (b'"' + b"x" * (2 << 20) + b'"', {}, 413),
        (b"[]", {}, 200),
        (b"7", {}, 200),
        (b'{"update_id": -1}', {}, 200),
        (b'{"update_id": "1"}', {}, 200),
        (b'{"update_id": true}', {}, 200),
        (b'{"update_id": 99999999999999999999}', {}, 200),
        (b'{"update_id": 5, "message": {"text": 7}}', {}, 200),
        (b'{"update_id": 6, "callback_query": []}', {}, 200),
    ],
)
def test_a_body_that_is_no_update_does_nothing(scene_of, body, headers, status):
    scene = scene_of().start(agent=False)
    secret = called(scene)["secret_token"]
    before = {event.kind for event in scene.engine.reader.events()}
    assert scene.api.courier.post(body, {HEADER: secret, **headers}) == status
    assert {event.kind for event in scene.engine.reader.events()} <= before | {"note"}
    scene.api.say(ADA, "/status")
    scene.until(lambda: scene.api.find("Services up"))


def test_a_request_that_never_ends_holds_up_nobody(scene_of, monkeypatch):
    monkeypatch.setattr(webhook, "LIMITS", Limits(connections=8, header_seconds=1.0, body_seconds=1.0))
    scene = scene_of().start(agent=False)
    secret = called(scene)["secret_token"]
    idle = [socket.create_connection(("127.0.0.1", scene.telegram.webhook.port)) for _ in range(20)]
    slow = f"POST /telegram HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n{HEADER}: {secret}\r\n\r\n{{"
    assert raw(scene, slow.encode()).startswith(b"HTTP/1.1 408")
    scene.api.say(ADA, "/status")
    scene.until(lambda: scene.api.find("Services up"))
    for connection in idle:
        connection.settimeout(15)
        assert connection.recv(1) == b""
        connection.close()


def raw(scene: Scene, request: bytes) -> bytes:
    """What is answered to a request as it is."""
    with socket.create_connection(("127.0.0.1", scene.telegram.webhook.port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65536)


# what goes wrong


def test_what_cannot_be_written_is_brought_again_until_it_is(scene_of, monkeypatch):
    monkeypatch.setattr("cockpit.store.connection.BUSY_SECONDS", 0.1)
    scene = scene_of().start(agent=False)
    called(scene)
    with lock_of(scene):
        scene.api.say(ADA, "/freeze")
        scene.until(lambda: 503 in [status for _, status in scene.api.courier.brought])
        assert scene.api.left() == 1
    scene.until(lambda: scene.engine.reader.frozen() == "Ada")
    scene.until(lambda: scene.api.left() == 0)
    assert len([event for event in scene.engine.reader.events() if event.kind == "freeze"]) == 1


def lock_of(scene: Scene) -> subprocess.Popen[bytes]:
    """Another process that writes into the log, and takes its time; until the end of the block."""
    code = ("import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
            "c.execute('begin immediate'); print('x', flush=True); sys.stdin.read()")  # fmt: skip
    command = [sys.executable, "-c", code, str(scene.data / "cockpit.db")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_killed_at_any_moment_it_acts_on_each_update_once(scene_of):
    scene = scene_of()
    rng, sent = random.Random(9), 0
    for _ in range(6):
        process = runner(scene)
        number, deadline = len(scene.api.calls("setWebhook")), time.monotonic() + 30
        while len(scene.api.calls("setWebhook")) == number and time.monotonic() < deadline:
            time.sleep(0.01)
        for _ in range(10):
            scene.api.say(ADA, "/freeze")
            sent += 1
        time.sleep(rng.uniform(0.0, 0.3))  # killed somewhere while they are brought
        process.kill()
        process.wait(10)
    scene.start(agent=False)
    scene.until(lambda: scene.api.left() == 0, within=30)
    freezes = [event for event in scene.engine.reader.events(limit=5000) if event.kind == "freeze"]
    again = len(scene.api.courier.brought) - len({number for number, _ in scene.api.courier.brought})
    assert (len(freezes), again > 0) == (sent, True)
    assert scene.engine.store.check() == []


def runner(scene: Scene) -> subprocess.Popen[bytes]:
    arguments = [str(scene.data), str(scene.folder), scene.api.url, str(scene.telegram.webhook.port)]
    return subprocess.Popen([sys.executable, "-m", "tests.telegram.process", *arguments], stderr=subprocess.DEVNULL)


# how it is set, and set anew


def test_each_start_has_a_secret_of_its_own_and_the_last_one_opens_nothing(scene_of):
    scene = scene_of().start(agent=False)
    first = called(scene)["secret_token"]
    scene.end()
    scene.start(agent=False)
    scene.until(lambda: len(scene.api.calls("setWebhook")) == 2)
    second = called(scene)["secret_token"]
    assert first != second
    assert scene.api.courier.post(b"{}", {HEADER: first}) == 403
    assert scene.api.courier.post(b"{}", {HEADER: second}) == 200


def test_from_being_brought_to_being_fetched_and_back_no_update_is_lost(scene_of):
    scene = scene_of().start(agent=False)
    called(scene)
    for fetched in (True, False, True):
        scene.end()
        scene.api.say(EVE, "/status")  # comes while nobody listens
        telegram = scene.with_webhook(None if fetched else scene.telegram.webhook)
        scene.start(agent=False)
        assert telegram.webhook is None if fetched else called(scene)
        scene.handled()
    assert len(scene.engine.reader.rows("select 1 from telegram_update")) == 3
    assert len(scene.api.calls("deleteWebhook")) == 2
    assert all(call.get("drop_pending_updates") is None for call in scene.api.calls("deleteWebhook"))


def test_a_webhook_that_somebody_took_away_is_set_again(scene_of):
    scene = scene_of().start(agent=False)
    called(scene)
    scene.api._deleteWebhook()
    scene.until(lambda: scene.api.courier.url == PUBLIC)
    scene.api.say(ADA, "/status")
    scene.until(lambda: scene.api.find("Services up"))


def test_that_telegram_cannot_call_is_told_once_in_its_own_words(scene_of):
    scene = scene_of().start(agent=False)
    called(scene)
    scene.api.courier.leads_to[PUBLIC] = 1, None
    scene.api.say(ADA, "/status")
    wanted = f"Telegram cannot call {PUBLIC}: Connection refused."
    scene.until(lambda: any(wanted in event.text for event in scene.engine.reader.events()))
    scene.until(lambda: len(scene.api.calls("getWebhookInfo")) > 5)
    assert len([event for event in scene.engine.reader.events() if wanted in event.text]) == 1
    scene.api.courier.leads_to[PUBLIC] = scene.telegram.webhook.port, None
    scene.until(lambda: scene.api.find("Services up"))
