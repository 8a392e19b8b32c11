"""Somebody else writes, forges a press or presses again: nobody is let in."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.model import CockpitError, ProposalState, Verdict
from cockpit.serve.telegram import door
from cockpit.store.store import Store
from cockpit.store.telegram import Button, Denial, Person
from tests.telegram.scene import ADA, BOB, EVE, MALLORY, Scene, scenes
from tests.unit.store_examples import Log


@pytest.fixture
def scene_of(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    with scenes(tmp_path, faultless=False) as make:
        yield make


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
    asked = scene.api.sent()
    for update in updates:
        scene.api.update(**update)
    scene.handled()
    scene.until(lambda: sum(scene.engine.store.telegram.refusals().values()) == len(updates))
    assert scene.api.sent() == asked
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
    monkeypatch.setattr(door, "MISSES", 10**9)
    scene = scene_of().start(agent=False)
    denied, pending = scene.ask("first"), scene.ask("second")
    questions = {
        number: scene.until(lambda n=number: scene.api.find(f"Set a to {n}")) for number in ("first", "second")
    }
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
    scene.until(scene._all_seen, within=240)
    assert decided(scene) == {denied.id: Verdict.DENIED}
    assert scene.state(pending.id) is ProposalState.PENDING
    added = [event.kind for event in scene.engine.reader.events(after=before)]
    assert set(added) <= {"note"} and len(added) < 10
    scene.press(ADA, "Approve", questions["second"])
    scene.until(lambda: scene.state(pending.id) is ProposalState.APPROVED)


def test_the_twin_that_does_not_check_lets_replays_and_foreigners_in(tmp_path, monkeypatch):
    monkeypatch.setattr("cockpit.store.telegram._use", lambda *_: None)
    log = Log(tmp_path)
    with log.store as store:
        proposal = log.proposed()
        button = Button("deny", "approve", (ADA,), -77, 0.0, None, proposal.id, proposal.digest)
        store.telegram.offer([("token", button)], 0.0)
        for _ in range(2):
            assert store.telegram.press("token", Person(EVE, "Eve", frozenset()), -78, 10.0) == button


def flipped(token: str, rng: random.Random) -> str:
    """The token with one bit of one character changed."""
    position = rng.randrange(len(token))
    changed = chr(ord(token[position]) ^ (1 << rng.randrange(6)))
    return (token[:position] + changed + token[position + 1 :])[:64]


def guesses(token: str, proposal: int) -> list[str]:
    hashed = hashlib.sha256(token.encode())
    texts = [token[:-1], token + "A", token.lower(), token[::-1], hashed.hexdigest()[:64], f"approve:{proposal}",
             "approve", '{"a":"approve"}', "' or 1=1 --", "\x00", " ", "\ud800", "ä" * 32]  # fmt: skip
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
