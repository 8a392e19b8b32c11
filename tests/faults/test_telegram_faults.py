"""Telegram fails, repeats itself, or comes second: nothing is lost, doubled or decided twice."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from cockpit.model import CockpitError, ProposalState, Verdict
from cockpit.store.outbox import Outbox
from cockpit.store.store import Store
from cockpit.store.telegram import TelegramLog
from tests.forks import FORKS
from tests.stopwatch import Stopwatch
from tests.telegram.process import main
from tests.telegram.scene import ADA, BOB, EVE, FAST, Scene, scenes


@pytest.fixture
def scene_of(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    with scenes(tmp_path, faultless=False) as make:
        yield make


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
    scene.until(lambda: scene.engine.store.telegram.outbox.queue().get("waiting", (0, 0))[0] == 0)
    shown = [each.text for each in scene.api.all()]
    told = "".join(text for text in shown if "may not have arrived" in text)
    copies = {number: sum(f"Set a to value{number:03}\n" in text for text in shown) for number in range(200)}
    proposals = {number: number + 1 for number in range(200)}
    lost = [n for n, times in copies.items() if times == 0 and f"proposal:{proposals[n]} " not in told]
    assert lost == []
    assert max(copies.values()) <= 2
    first = [
        min(i for i, text in enumerate(shown) if f"Set a to value{n:03}\n" in text) for n, c in copies.items() if c
    ]
    assert first == sorted(first)
    assert sum(rare.values()) > 40
    assert [problem for problem in scene.api.problems if "too old" not in problem] == []


@pytest.mark.parametrize(("twin", "copies"), [(False, 2), (True, 5)])
def test_a_message_that_is_never_answered_is_sent_twice_and_then_told_about(scene_of, monkeypatch, twin, copies):
    if twin:
        monkeypatch.setattr(Outbox, "trying", lambda outbox, message: True)
    scene = scene_of()
    scene.api.fault = lambda method, count: "cut after" if method == "sendMessage" and count <= 4 else ""
    scene.start(agent=False)
    scene.ask()
    if not twin:
        scene.until(lambda: scene.api.find("The message about proposal:1 may not have arrived"))
    scene.until(lambda: len(scene.api.all("Set a to new")) == copies)
    scene.until(lambda: scene.engine.store.telegram.outbox.queue().get("waiting", (0, 0))[0] == 0)
    assert len(scene.api.all("Set a to new")) == copies


def test_what_may_not_have_arrived_comes_again_when_somebody_asks(scene_of):
    scene = scene_of()
    scene.api.fault = lambda method, count: "cut before" if method == "sendMessage" and count <= 2 else ""
    scene.start(agent=False)
    proposal = scene.ask()
    scene.until(lambda: scene.api.find("The message about proposal:1 may not have arrived. /status sends it again."))
    assert not [shown for shown in scene.api.all() if "Approve" in shown.labels()]
    scene.api.say(EVE, "/status")
    scene.until(lambda: scene.api.find("1 message that may not have arrived: sent again."))
    scene.press(ADA, "Approve")
    scene.until(lambda: scene.state(proposal.id) is ProposalState.APPROVED)
    scene.api.say(EVE, "/status")
    scene.until(lambda: len(scene.api.all("Services up: ")) == 2)
    assert len(scene.api.all("may not have arrived: sent again")) == 1


def test_what_telegram_asks_to_wait_is_waited(scene_of):
    scene = scene_of()
    refused: list[float] = []

    def fault(method: str, count: int) -> str:
        if (method, count) != ("sendMessage", 1):
            return ""
        refused.append(time.monotonic())
        return "429 1"

    scene.api.fault = fault
    scene.start(agent=False)
    scene.ask()
    scene.question()
    [sent] = [at for at, method, _ in scene.api.requests if method == "sendMessage"]
    assert sent - refused[0] > 0.9


def test_what_telegram_never_shows_is_said_plainly(scene_of):
    scene = scene_of()
    scene.api.fault = lambda method, count: "400" if method == "sendMessage" and count == 1 else ""
    scene.start(agent=False)
    proposal = scene.ask()
    shown = scene.until(lambda: scene.api.find("About proposal:1: this chat cannot show it."))
    assert shown.labels() == []
    assert scene.state(proposal.id) is ProposalState.PENDING


def test_what_is_refused_even_then_is_written_down(scene_of):
    scene = scene_of()
    scene.api.fault = lambda method, count: "400" if method == "sendMessage" else ""
    scene.start(agent=False)
    scene.ask()
    refused = "Telegram refuses the message about proposal:1"
    scene.until(lambda: any(refused in event.text for event in scene.engine.reader.events()))


def test_a_message_that_somebody_deleted_is_sent_anew(scene_of):
    scene = scene_of().start(agent=False)
    proposal = scene.ask()
    del scene.api.messages[scene.question().id]
    scene.engine.store.supersede(proposal.id, "The world moved.")
    scene.until(lambda: scene.api.find("The world moved."))


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
    scene.until(lambda: scene.engine.store.telegram.outbox.queue().get("waiting", (0, 0))[0] == 0)
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
        scene.until(lambda: len(scene.api.messages) > reached or process.exitcode is not None)  # noqa: B023  # called before the loop goes on
        time.sleep(rng.uniform(0, 0.08))
        process.kill()
        process.join(60)
        landed += len(scene.api.messages) > reached
    last = runner(scene)
    try:
        scene.until(lambda: len({each.text for each in scene.api.all("Asks")}) == 60)
    finally:
        last.kill()
        last.join(60)
    copies = Counter(each.text for each in scene.api.all("Asks"))
    assert max(copies.values()) <= 2
    assert landed >= 8


def runner(scene: Scene) -> BaseProcess:
    process = FORKS.Process(target=main, args=(scene.data, scene.folder, scene.api.url))
    process.start()
    return process


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
    scene.until(lambda: scene.api.find("Services up"))
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
    scene.until(lambda: scene.api.find("Commands"))
    scene.until(lambda: scene.engine.reader.rows("select 1 from telegram_update where id = ?", marker))
    assert len(replays) == 1000
    assert scene.engine.reader.last_event() == before
    assert len(scene.api.all()) == messages + 1
    assert scene.effects() == ["set a first"]


def test_an_update_whose_effect_fails_counts_as_never_seen(tmp_path):
    with Store.open(tmp_path / "cockpit.db") as store:
        with pytest.raises(ZeroDivisionError), store.together():
            assert store.telegram.first_time(7, 1.0)
            store.freeze("Ada")
            raise ZeroDivisionError
        assert store.reader.frozen() is None
        assert store.telegram.first_time(7, 1.0)
        assert not store.telegram.first_time(7, 1.0)


def test_the_twin_that_remembers_no_update_acts_twice(scene_of, monkeypatch):
    monkeypatch.setattr(TelegramLog, "first_time", lambda *_: True)
    scene = scene_of().start(agent=False)
    scene.api.say(ADA, "/freeze")
    scene.until(lambda: len([e for e in scene.engine.reader.events(limit=5000) if e.kind == "freeze"]) > 1)


def test_a_part_that_fails_is_taken_back_and_the_rest_is_kept(tmp_path):
    with Store.open(tmp_path / "cockpit.db") as store:
        with store.together():
            store.note("monitor", "note", "kept")
            with pytest.raises(ZeroDivisionError), store.together():
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
    keys, pause = 0, 0.02
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
        time.sleep(pause)  # moved to where both come at once
        thread.start()
        thread.join()
        scene.handled()
        decision = scene.until(lambda p=proposal: scene.engine.reader.decision(p.id))
        assert decision.channel == ("keypress" if won[0] else "telegram")
        assert decision.verdict is (Verdict.DENIED if won[0] else Verdict.APPROVED)
        keys += won[0]
        pause = max(pause + (0.005 if won[0] else -0.005), 0.0)
        scene.until(lambda q=question: "Approve" not in q.labels())
    decisions = [event for event in scene.engine.reader.events(limit=10_000) if event.kind == "decision"]
    assert len(decisions) == 40
    assert 0 < keys < 40


def test_presses_are_answered_within_a_second(scene_of):
    scene = scene_of().start(agent=False)
    scene.ask()
    taken = []
    for _ in range(20):
        question = scene.question("More info")
        watch = Stopwatch()
        query = scene.press(EVE, "More info", question)
        scene.until(lambda q=query: q in scene.api.answered)
        taken.append(watch.seconds())
    assert max(taken) < 1.0
    assert FAST.poll > 1.0
