"""Telegram fails, repeats itself, or is somebody else: nothing is lost, doubled or let in."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.model import CockpitError, ProposalState, Verdict
from cockpit.serve.telegram import door
from cockpit.store.store import Store
from cockpit.store.telegram import Button, Denial, Person
from tests.telegram.scene import ADA, BOB, EVE, FAST, MALLORY, Scene
from tests.unit.store_examples import Log

SENT_BY = {"sendMessage", "editMessageText", "sendDocument", "answerCallbackQuery"}


@pytest.fixture
def scene_of(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make(**more: Any) -> Scene:
        scenes.append(Scene(tmp_path, **more))
        return scenes[-1]

    yield make
    for scene in scenes:
        scene.stop()


def decided(scene: Scene) -> dict[int, Verdict]:
    reader = scene.engine.reader
    found = {each.id: reader.decision(each.id) for each in reader.proposals(limit=10_000)}
    return {number: decision.verdict for number, decision in found.items() if decision is not None}


# F: somebody else


def impostors(scene: Scene, token: str) -> Iterator[dict[str, Any]]:
    """Updates that look like an operator's, and are not."""
    ada = {"id": ADA, "is_bot": False, "first_name": "Ada", "username": "ada"}
    group, channel = {"id": -77, "type": "supergroup", "title": "Ops"}, {"id": -78, "type": "channel", "title": "C"}
    texts = ("/freeze", "/undo 1", "/silence world/one 2h", "world/one")
    origins = [
        {"type": "user", "date": 1, "sender_user": ada},
        {"type": "hidden_user", "date": 1, "sender_user_name": "Ada"},
        {"type": "chat", "date": 1, "sender_chat": group},
        {"type": "channel", "date": 1, "chat": channel, "message_id": 1},
    ]
    anonymous = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
    for text in texts:
        plain = scene.api.message(ADA, text)
        senders: list[Any] = [
            {**ada, "id": MALLORY}, {**ada, "is_bot": True}, anonymous, {**ada, "id": -ADA}, {**ada, "id": ADA + 1000},
        ]  # fmt: skip
        yield from ({"message": {**plain, "from": sender}} for sender in senders)
        yield {"message": {key: value for key, value in plain.items() if key != "from"}}
        yield {"message": {**plain, "from": anonymous, "sender_chat": group}}
        yield {"message": {**plain, "sender_chat": channel}}
        yield from ({"message": {**plain, "forward_origin": origin}} for origin in origins)
        yield {"message": {**plain, "is_automatic_forward": True}}
        yield {"message": {**plain, "via_bot": {**ada, "is_bot": True}}}
        for chat in (-78, 77, ADA, MALLORY):
            kind = "private" if chat > 0 else "supergroup"
            yield {"message": {**plain, "chat": {"id": chat, "type": kind}}}
        for kind in ("edited_message", "channel_post", "edited_channel_post"):
            yield {kind: plain}
    shown = {"message_id": 1, "date": 1, "chat": {"id": -77, "type": "supergroup"}, "text": "x"}
    press = {"id": "q", "from": ada, "chat_instance": "1", "message": shown, "data": token}
    yield {"callback_query": {**press, "from": {**ada, "id": MALLORY}}}
    yield {"callback_query": {**press, "from": {**ada, "is_bot": True}}}
    yield {"callback_query": {**press, "message": {**shown, "chat": {"id": ADA, "type": "private"}}}}
    yield {"callback_query": {**press, "message": {**shown, "chat": {"id": -78, "type": "supergroup"}}}}
    yield {"callback_query": {key: value for key, value in press.items() if key != "message"}}
    yield {"callback_query": {**press, "inline_message_id": "i1"}}
    yield {"callback_query": {key: value for key, value in press.items() if key != "from"}}
    yield {"callback_query": {**{k: v for k, v in press.items() if k != "data"}, "game_short_name": "g"}}
    yield {"inline_query": {"id": "1", "from": ada, "query": "/freeze", "offset": ""}}
    yield {"message": {**scene.api.message(ADA, "/freeze"), "chat": "group"}}


def test_nobody_but_those_on_the_allowlist_is_let_in_or_answered(scene_of):
    scene = scene_of().start(agent=False)
    scene.api.filters = False
    proposal = scene.ask()
    token = scene.question().token("Approve")
    updates = list(impostors(scene, token))
    assert len(updates) >= 80
    asked = sum(method in SENT_BY for _, method, _ in scene.api.requests)
    for update in updates:
        scene.api.update(**update)
    scene.handled()
    scene.until(lambda: sum(scene.engine.store.telegram.refusals().values()) == len(updates))
    assert sum(method in SENT_BY for _, method, _ in scene.api.requests) == asked
    assert decided(scene) == {}
    assert scene.engine.reader.frozen() is None
    assert scene.engine.reader.mutes(time.time()) == []
    scene.press(ADA, "Approve")
    scene.until(lambda: scene.state(proposal.id) is ProposalState.APPROVED)


def test_the_log_is_not_flooded_by_strangers(scene_of):
    scene = scene_of().start(agent=False)
    for number in range(100):
        scene.api.say(MALLORY + number, "/status")
    scene.until(lambda: scene.engine.store.telegram.refusals().get("not on the allowlist") == 100)
    events = [event for event in scene.engine.reader.events() if "not on the allowlist" in event.text]
    assert len(events) == 1


# G: forged and replayed presses


def test_no_forged_or_replayed_press_counts(scene_of, monkeypatch):
    monkeypatch.setattr(door, "LOCK_AFTER", 10**9)
    scene = scene_of().start(agent=False)
    denied, pending = scene.ask("first"), scene.ask("second")
    questions = {number: scene.until(lambda n=number: scene.api.find(f"Set a to {n}")) for number in ("first", "second")}
    dead = [questions["first"].token(label) for label in ("Approve", "Deny", "More info")]
    scene.press(BOB, "Deny", questions["first"])
    scene.until(lambda: "Denied" in questions["first"].text)
    for _ in range(2):
        dead.append(questions["second"].token("More info"))
        scene.press(EVE, "More info", questions["second"])
    scene.until(lambda: questions["second"].token("More info") not in dead)
    live = {label: questions["second"].token(label) for label in ("Approve", "Deny")}
    before = scene.engine.reader.last_event()
    assert decided(scene) == {denied.id: Verdict.DENIED}

    rng = random.Random(4)
    forged = [*dead * 20, *(flipped(live["Approve"], rng) for _ in range(400)), *guesses(live["Approve"], pending.id)]
    presses = [(ADA, data) for data in forged] + [(EVE, data) for data in live.values()] * 50
    presses += [(MALLORY, data) for data in live.values()] * 20
    presses += [(ADA, rng.randbytes(12).hex()) for _ in range(1000 - len(presses))]
    assert len(presses) >= 1000
    for user, data in presses:
        scene.api.press(user, 2, data)
    scene.until(scene._all_seen, within=60)
    assert decided(scene) == {denied.id: Verdict.DENIED}
    assert scene.state(pending.id) is ProposalState.PENDING
    added = [event.kind for event in scene.engine.reader.events(after=before)]
    assert set(added) <= {"note"} and len(added) < 10
    scene.press(ADA, "Approve", questions["second"])
    scene.until(lambda: scene.state(pending.id) is ProposalState.APPROVED)


def flipped(token: str, rng: random.Random) -> str:
    """The token with one bit of one character changed."""
    position = rng.randrange(len(token))
    changed = chr(ord(token[position]) ^ (1 << rng.randrange(6)))
    return (token[:position] + changed + token[position + 1 :])[:64]


def guesses(token: str, proposal: int) -> list[str]:
    hashed = hashlib.sha256(token.encode())
    texts = [token[:-1], token + "A", token.lower(), token[::-1], hashed.hexdigest()[:64], f"approve:{proposal}",
             f"approve {proposal}", "approve", '{"a":"approve"}', "' or 1=1 --", "\x00", " ", "\ud800", "ä" * 32]  # fmt: skip
    return [text for text in texts if text != token] * 10


def test_after_ten_false_presses_a_person_s_presses_are_not_looked_at(scene_of):
    scene = scene_of().start(agent=False)
    proposal = scene.ask()
    question = scene.question()
    for number in range(10):
        scene.api.press(BOB, question.id, f"guess{number}")
    scene.press(BOB, "Approve", question)
    scene.until(lambda: scene.engine.store.telegram.refusals().get("locked after many false presses"))
    assert scene.state(proposal.id) is ProposalState.PENDING
    scene.press(ADA, "Approve", question)
    scene.until(lambda: scene.state(proposal.id) is ProposalState.APPROVED)


def test_an_expired_button_does_nothing(tmp_path):
    with Store.open(tmp_path / "cockpit.db") as store:
        button = Button("info", "see", (ADA,), -77, 100.0)
        store.telegram.offer([("token", button)], 0.0)
        ada = Person(ADA, "Ada", frozenset({"see"}))
        for now in (100.0, 101.0, 10_000.0):
            with pytest.raises(Denial, match="too old"):
                store.telegram.press("token", ada, -77, now)
        assert store.telegram.press("token", ada, -77, 99.0) == button
        with pytest.raises(Denial, match="used already"):
            store.telegram.press("token", ada, -77, 99.0)


def test_only_the_hash_of_a_token_is_on_the_disk(scene_of):
    scene = scene_of().start(agent=False)
    scene.ask()
    token = scene.question().token("Approve")
    assert not any(token.encode() in file.read_bytes() for file in scene.data.iterdir())


# O: who may approve what


@pytest.mark.parametrize("critical", [False, True])
@pytest.mark.parametrize("people", [1, 2])
@pytest.mark.parametrize("asked_by_first", [False, True])
@pytest.mark.parametrize("rights", [(), ("see",), ("see", "approve"), ("see", "approve", "approve critical")])
def test_who_approves_what(tmp_path, critical, people, asked_by_first, rights):
    needed = "approve critical" if critical else "approve"
    log = Log(tmp_path)
    with log.store as store:
        proposal, now = log.proposed(), log.clock.now
        button = Button("approve", needed, (ADA, BOB), -77, now + 300, None, proposal.id, proposal.digest, people)
        store.telegram.offer([("one", button), ("two", button)], now)
        first, second = Person(ADA, "Ada", frozenset(rights)), Person(BOB, "Bob", frozenset({needed}))
        if asked_by_first:
            store.telegram.asked_for(proposal.id, first, now)
        counts = needed in rights and not (people == 2 and asked_by_first)
        assert approves(store, "one", first, now) == (counts and people == 1)
        if people == 2:
            assert approves(store, "two", second, now) == counts
        state = store.reader.proposal(proposal.id).state
        assert state is (ProposalState.APPROVED if counts else ProposalState.PENDING)


def approves(store: Store, token: str, person: Person, now: float) -> bool:
    try:
        button = store.telegram.press(token, person, -77, now)
        return store.telegram.decide(button, Verdict.APPROVED, person, now) is not None
    except CockpitError:
        return False


# R14: outage


def test_no_request_is_lost_and_none_comes_more_than_twice(scene_of):
    scene = scene_of().start(agent=False)
    scene.until(lambda: scene.api.commands)
    rng = random.Random(14)
    rare = Counter[str]()

    def fault(method: str, count: int) -> str:
        if method not in ("sendMessage", "editMessageText") or rng.random() > 0.3:
            return ""
        kind = rng.choice(["429 1", "502", "502 html", "503", "cut after", "cut before", "garbage", "slow 0.05"])
        rare[kind] += 1
        return "" if kind == "429 1" and rare[kind] > 4 else kind

    scene.api.fault = fault
    for number in range(200):
        scene.ask(f"value{number:03}")
        if number == 60:
            scene.api.stop()
        if number == 120:
            scene.api.start()
    scene.until(lambda: scene.engine.store.telegram.outbox.queue().get("waiting", (0, 0))[0] == 0, within=90)
    shown = [each.text for each in scene.api.all()]
    told = "".join(text for text in shown if "may not have arrived" in text)
    copies = {number: sum(f"Set a to value{number:03}\n" in text for text in shown) for number in range(200)}
    proposals = {number: number + 1 for number in range(200)}
    lost = [n for n, times in copies.items() if times == 0 and f"proposal:{proposals[n]} " not in told]
    assert lost == []
    assert max(copies.values()) <= 2
    first = [min(i for i, text in enumerate(shown) if f"Set a to value{n:03}\n" in text) for n, c in copies.items() if c]
    assert first == sorted(first)
    assert sum(rare.values()) > 40
    assert [problem for problem in scene.api.problems if "too old" not in problem] == []


def test_what_telegram_asks_to_wait_is_waited(scene_of):
    scene = scene_of()
    scene.api.fault = lambda method, count: "429 1" if (method, count) == ("sendMessage", 1) else ""
    scene.start(agent=False)
    scene.until(lambda: scene.api.commands)
    scene.ask()
    started = time.monotonic()
    scene.question()
    assert time.monotonic() - started > 0.9


def test_a_token_that_is_refused_is_told_once_and_nothing_is_lost(scene_of):
    scene = scene_of()
    scene.api.fault = lambda method, count: "403" if method == "sendMessage" and count <= 5 else ""
    scene.start(agent=False)
    scene.ask()
    scene.question()
    notes = [event for event in scene.engine.reader.events() if "Telegram lets the bot do nothing" in event.text]
    assert len(notes) == 1


def test_a_press_during_an_outage_of_answers_counts_all_the_same(scene_of):
    scene = scene_of()
    scene.api.fault = lambda method, count: "502" if method == "answerCallbackQuery" else ""
    scene.start(agent=False)
    proposal = scene.ask()
    scene.press(ADA, "Approve")
    scene.until(lambda: scene.state(proposal.id) is ProposalState.APPROVED)


def test_a_restart_keeps_the_queue_and_the_buttons(scene_of):
    scene = scene_of().start(agent=False)
    first = scene.ask("first")
    question = scene.question()
    scene.api.stop()
    scene.ask("second")
    scene.end()
    scene.api.start()
    scene.start(agent=False)
    scene.until(lambda: scene.api.find("Set a to second"))
    scene.press(ADA, "Approve", question)
    scene.until(lambda: scene.state(first.id) is ProposalState.APPROVED)
    assert len(scene.api.all("Set a to first")) == 1


def test_killed_again_and_again_it_loses_nothing_and_sends_nothing_a_third_time(scene_of):
    scene = scene_of()
    scene.start(agent=False)
    for number in range(60):
        scene.ask(f"value{number:03}")
    scene.end()
    scene.api.messages.clear()
    with Store.open(scene.data / "cockpit.db") as store, store._transaction() as log:
        log.execute("delete from outbox")
        log.execute("delete from state where key = 'telegram cursor'")
    scene.api.fault = lambda method, count: "slow 0.02" if method == "sendMessage" else ""
    rng = random.Random(2)
    landed = 0
    for _ in range(10):
        process = runner(scene)
        reached = len(scene.api.messages)
        scene.until(lambda: len(scene.api.messages) > reached or process.poll() is not None)  # noqa: B023
        time.sleep(rng.uniform(0, 0.08))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        landed += len(scene.api.messages) > reached
    last = runner(scene)
    try:
        scene.until(lambda: len({each.text for each in scene.api.all("Asks")}) == 60, within=60)
    finally:
        last.kill()
        last.wait(10)
    copies = Counter(each.text for each in scene.api.all("Asks"))
    assert max(copies.values()) <= 2
    assert landed >= 8


def runner(scene: Scene) -> subprocess.Popen[bytes]:
    arguments = [str(scene.data), str(scene.folder), scene.api.url]
    return subprocess.Popen([sys.executable, "-m", "tests.telegram.process", *arguments], stderr=subprocess.DEVNULL)


# R15: the same update again


def test_no_update_that_comes_again_changes_anything(scene_of):
    scene = scene_of().start()
    first, second = scene.ask("first"), scene.ask("second")
    questions = [scene.until(lambda n=n: scene.api.find(f"Set a to {n}")) for n in ("first", "second")]
    seen: list[dict[str, Any]] = []
    original = scene.api.update

    def recorded(**content: Any) -> int:
        number = original(**content)
        seen.append({"update_id": number, **content})
        return number

    scene.api.update = recorded
    scene.press(EVE, "More info", questions[0])
    scene.press(ADA, "Approve", questions[0])
    scene.press(BOB, "Deny", questions[1])
    scene.until(lambda: scene.state(first.id) is ProposalState.DONE and scene.state(second.id) is ProposalState.DENIED)
    for text in ("/freeze", "/unfreeze", f"/undo {first.id}", "/silence world/one 1h", "/status"):
        scene.api.say(ADA, text)
    scene.handled()
    scene.until(lambda: scene.api.find("services are up"))
    assert len(seen) == 8
    scene.until(lambda: scene.engine.store.telegram.outbox.queue().get("waiting", (0, 0))[0] == 0)
    before, messages = scene.engine.reader.last_event(), len(scene.api.all())
    scene.end()
    scene.start(agent=False)
    rng = random.Random(15)
    replays = seen * 125
    rng.shuffle(replays)
    for raw in replays:
        scene.api.again(raw)
    marker = scene.api.say(ADA, "/help")
    scene.until(lambda: scene.api.find("Commands"), within=60)
    scene.until(lambda: scene.engine.reader.rows("select 1 from telegram_update where id = ?", marker))
    assert len(replays) == 1000
    assert scene.engine.reader.last_event() == before
    assert len(scene.api.all()) == messages + 1
    assert scene.effects() == ["set a first"]


def test_an_update_whose_effect_fails_counts_as_never_seen(tmp_path):
    with Store.open(tmp_path / "cockpit.db") as store:
        with pytest.raises(ZeroDivisionError), store.telegram.together():
            assert store.telegram.first_time(7, 1.0)
            store.freeze("Ada")
            raise ZeroDivisionError
        assert store.reader.frozen() is None
        assert store.telegram.first_time(7, 1.0)
        assert not store.telegram.first_time(7, 1.0)


def test_a_part_that_fails_is_taken_back_and_the_rest_is_kept(tmp_path):
    with Store.open(tmp_path / "cockpit.db") as store:
        with store.telegram.together():
            store.note("monitor", "note", "kept")
            with pytest.raises(ZeroDivisionError), store.telegram.together():
                store.note("monitor", "note", "taken back")
                raise ZeroDivisionError
            store.note("monitor", "note", "kept as well")
        assert [event.text for event in store.reader.events()] == ["kept", "kept as well"]
        assert store.check() == []


def test_after_a_quiet_day_telegram_may_number_anew(tmp_path):
    with Store.open(tmp_path / "cockpit.db") as store:
        assert store.telegram.offset(0.0) == 0
        store.telegram.first_time(900, 1000.0)
        assert store.telegram.offset(1001.0) == 901
        assert store.telegram.offset(1000.0 + 86_401) == 0


# R20: two at once


def test_of_a_press_and_a_key_exactly_one_decides(scene_of):
    scene = scene_of().start(agent=False)
    keys = 0
    for number in range(40):
        proposal = scene.ask(f"value{number:03}")
        question = scene.until(lambda n=number: scene.api.find(f"Set a to value{n:03}"))
        won: list[bool] = []

        def key(proposal=proposal, won=won) -> None:
            try:
                scene.engine.store.decide(
                    proposal.id, proposal.digest, Verdict.DENIED, by="Grace", channel="keypress", at=time.time()
                )
                won.append(True)
            except CockpitError:
                won.append(False)

        thread = threading.Thread(target=key)
        scene.press(ADA, "Approve", question)
        time.sleep(random.Random(number).uniform(0, 0.02))
        thread.start()
        thread.join()
        scene.handled()
        decision = scene.until(lambda p=proposal: scene.engine.reader.decision(p.id))
        assert decision.channel == ("keypress" if won[0] else "telegram")
        assert decision.verdict is (Verdict.DENIED if won[0] else Verdict.APPROVED)
        keys += won[0]
        scene.until(lambda q=question: "Approve" not in q.labels())
    decisions = [event for event in scene.engine.reader.events(limit=10_000) if event.kind == "decision"]
    assert len(decisions) == 40
    assert 0 < keys < 40


def test_presses_are_answered_within_a_second(scene_of):
    scene = scene_of().start(agent=False)
    scene.ask()
    taken = []
    for _ in range(20):
        started = time.monotonic()
        query = scene.press(EVE, "More info")
        scene.until(lambda q=query: q in scene.api.answered)
        taken.append(scene.api.answered[query] - started)
    assert max(taken) < 1.0
    assert FAST.poll > 1.0
