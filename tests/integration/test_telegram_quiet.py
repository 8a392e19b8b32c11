"""The operator sees one message, not twenty: gathering, quiet hours, storms, mutes and commands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cockpit.model import Alert, Approval, IncidentStatus, ProposalState, Severity, Verdict
from cockpit.serve.telegram import teller
from cockpit.serve.telegram.pace import morning, quiet_end
from cockpit.text import Redactor
from tests.corpus import hostile, known_secrets, secret_lines
from tests.telegram.bot_api import TOKEN
from tests.telegram.scene import ADA, BOB, EVE, Scene, scenes


@pytest.fixture
def scene_of(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    with scenes(tmp_path, faultless=True) as make:
        yield make


def alert(number: int, severity: Severity = Severity.WARNING, summary: str = "It is wrong") -> Alert:
    return Alert(f"f{number}", f"other/{number}", "wrong", severity, summary, time.time())


def now_quiet() -> tuple[str, str]:
    """Quiet hours that are on now and end in about two hours."""
    now = datetime.now()
    return (now - timedelta(hours=1)).strftime("%H:%M"), (now + timedelta(hours=2)).strftime("%H:%M")


def test_a_storm_becomes_one_summary_that_is_edited(scene_of):
    scene = scene_of(storm_per_minute=5).start(agent=False)
    store = scene.engine.store
    store.ingest_alerts([alert(number) for number in range(50)])
    shown = scene.until(lambda: scene.api.find("50 incidents since"))
    assert "50 of them open" in shown.text
    store.clear_alerts([f"f{number}" for number in range(50)], time.time())
    for incident in store.reader.incidents(unresolved_only=True):
        store.advance(incident.id, IncidentStatus.RESOLVED, actor="monitor", text="Resolved.")
    scene.until(lambda: "0 of them open" in shown.text)
    assert len(scene.api.all()) == 1


def test_flapping_alerts_make_one_message_each_and_at_most_n_a_minute(scene_of):
    scene = scene_of(storm_per_minute=5).start(agent=False)
    store = scene.engine.store
    for turn in range(20):
        store.ingest_alerts([alert(number) for number in range(50)])
        for incident in store.clear_alerts([f"f{number}" for number in range(50)], time.time()):
            store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text=f"Resolved {turn}.")
    assert len(store.reader.incidents(limit=1000)) == 50
    last = store.reader.last_event()
    scene.until(lambda: store.reader.state("telegram cursor") == last)
    scene.until(lambda: store.telegram.outbox.queue().get("waiting", (0, 0))[0] == 0)
    assert len(scene.api.all()) <= 1 + 5


def test_what_came_and_went_and_what_was_done_unasked_is_gathered(scene_of):
    scene = scene_of(policy={"levels": {"set_world_value": Approval.SOFT}}).start()
    scene.trouble()
    shown = scene.until(lambda: scene.api.find("Meanwhile"))
    scene.until(lambda: any("Set a to mended" in each.text for each in scene.api.all("Meanwhile")))
    assert shown.silent
    assert scene.api.find("Asks") is None


def test_quiet_hours_hold_what_is_not_urgent_and_let_through_what_is_critical(scene_of):
    scene = scene_of(quiet_hours=now_quiet()).start(agent=False)
    scene.engine.store.ingest_alerts([alert(1), alert(2, Severity.CRITICAL, "It is dead")])
    scene.until(lambda: scene.api.find("It is dead"))
    held = scene.engine.store.telegram.outbox.find("incident:1")
    end = quiet_end(scene.telegram.quiet_hours, time.time())
    scene.until(lambda: scene.engine.store.telegram.outbox.find("incident:1").next_at == end)
    assert held.unsent
    assert scene.api.find("It is wrong") is None


def test_a_muted_service_is_not_told_about(scene_of):
    scene = scene_of().start(agent=False)
    scene.api.say(BOB, "/silence world/one 2h")
    scene.until(lambda: scene.api.find("Nothing is said of world/one until"))
    scene.engine.store.ingest_alerts([Alert("f", "world/one", "wrong", Severity.CRITICAL, "Muted", time.time())])
    scene.engine.store.ingest_alerts([alert(1)])
    scene.until(lambda: scene.api.find("It is wrong"))
    scene.until(
        lambda: (row := scene.engine.store.telegram.outbox.find("incident:1")) and row.next_at > time.time() + 5
    )
    assert scene.api.find("Muted") is None


def test_a_recovery_is_an_edit_and_a_gathered_line(scene_of):
    scene = scene_of().start(agent=False)
    store = scene.engine.store
    store.ingest_alerts([alert(1)])
    shown = scene.until(lambda: scene.api.find("It is wrong"))
    store.clear_alerts(["f1"], time.time())
    store.advance(1, IncidentStatus.RESOLVED, actor="monitor", text="Resolved: cleared by itself.")
    scene.until(lambda: "✅ Resolved" in shown.text)
    scene.until(lambda: scene.api.find("Recovered: other/1"))
    assert len(scene.api.all()) == 2


def test_a_snoozed_incident_comes_back_unless_it_is_resolved(scene_of):
    scene = scene_of().start(agent=False)
    scene.engine.store.ingest_alerts([alert(1), alert(2)])
    shown = scene.until(lambda: scene.api.find("other/1: It is wrong"))
    voice = teller.Teller(scene.engine, scene.telegram, scene.pace)
    for number in (1, 2):
        voice.snooze(scene.engine.reader.incident(number), time.time() + 1.5, "Ada")
    scene.engine.store.clear_alerts(["f2"], time.time())
    scene.engine.store.advance(2, IncidentStatus.RESOLVED, actor="monitor", text="Resolved.")
    reminder = scene.until(lambda: scene.api.find("Still open: incident 1"))
    assert reminder.answers == shown.id
    assert scene.api.find("Still open: incident 2") is None


def test_a_late_call_for_a_person_is_a_message_of_its_own(scene_of, monkeypatch):
    monkeypatch.setattr(teller, "STALE", 0.2)
    scene = scene_of().start(agent=False)
    scene.engine.store.ingest_alerts([alert(1)])
    shown = scene.until(lambda: scene.api.find("other/1: It is wrong"))
    outbox = scene.engine.store.telegram.outbox
    scene.until(lambda: time.time() - (outbox.find("incident:1").sent_at or time.time()) > 0.3)
    scene.engine.store.advance(1, IncidentStatus.ESCALATED, actor="communicator", text="A person is needed: look.")
    call = scene.until(lambda: next((m for m in scene.api.all() if m.text == "A person is needed: look."), None))
    assert call.answers == shown.id


def test_the_quiet_hours_end_on_the_next_day_across_midnight():
    evening = datetime(2026, 3, 10, 23, 30).timestamp()
    night = datetime(2026, 3, 11, 2, 0).timestamp()
    end = datetime(2026, 3, 11, 7, 0).timestamp()
    assert quiet_end(("22:00", "07:00"), evening) == quiet_end(("22:00", "07:00"), night) == end
    assert quiet_end(("22:00", "07:00"), datetime(2026, 3, 11, 12, 0).timestamp()) is None
    assert quiet_end(None, night) is None
    assert morning(None, evening) == morning(("22:00", "07:00"), evening) == end


def test_every_command_answers_and_none_needs_a_model(scene_of):
    scene = scene_of().start()
    scene.trouble()
    scene.press(ADA, "Approve")
    scene.until(lambda: scene.engine.reader.incidents()[0].status is IncidentStatus.RESOLVED)
    expected = {
        "/status": "Services up: 1 of 1",
        "/incidents": "No incident is open.",
        "/incident 1": "Timeline",
        "/changes": "Set a to mended",
        "/undo 1": "Proposal 2 would put back what proposal 1 did",
        "/silence world/one 90m": "Nothing is said of world/one until",
        "/silence world/two 2h": "There is no service 'world/two'.",
        "/silence": "Write it like",
        "/freeze": "Changes are frozen.",
        "/unfreeze": "Changes are allowed again.",
        "/report": "Incidents: 1 opened, 1 resolved",
        "/help": "/silence: ",
        "/incident x": "That is no number.",
        "/incident 99": "There is no incident 99.",
        "/undo 99": "There is no proposal 99.",
        "/nonsense": "There is no command /nonsense.",
    }
    for command, answer in expected.items():
        before = len(scene.api.all(answer))
        scene.api.say(ADA, command)
        scene.until(lambda: len(scene.api.all(answer)) > before)  # noqa: B023 - read before the next turn
    assert [each["command"] for each in scene.api.commands] == [
        "status", "incidents", "incident", "changes", "undo", "silence", "freeze", "unfreeze", "report", "help",
    ]  # fmt: skip


def test_who_may_only_look_can_order_nothing(scene_of):
    scene = scene_of().start(agent=False)
    for command in ("/freeze", "/unfreeze", "/undo 1", "/silence world/one 2h"):
        scene.api.say(EVE, command)
        scene.until(lambda: scene.api.find(f"Eve may not use {command.split()[0]}."))  # noqa: B023  # called before the loop goes on
    assert scene.engine.reader.frozen() is None
    assert scene.engine.reader.mutes(time.time()) == []


def test_an_undo_asked_for_over_telegram_is_a_question_like_any_other(scene_of):
    scene = scene_of().start()
    proposal = scene.ask()
    scene.press(ADA, "Approve")
    scene.until(lambda: scene.state(proposal.id) is ProposalState.DONE)
    scene.api.say(ADA, f"/undo {proposal.id}")
    question = scene.until(lambda: scene.api.find("asked for by Ada"))
    scene.press(BOB, "Approve", question)
    scene.until(lambda: scene.state(2) is ProposalState.DONE)
    assert (scene.folder / "value-a").read_text() == "old"


def test_commands_to_another_bot_are_not_ours(scene_of):
    scene = scene_of().start(agent=False)
    scene.api.say(ADA, "/freeze@other_bot")
    scene.api.say(ADA, "/status@Cockpit_Test_Bot")
    scene.until(lambda: scene.api.find("Services up"))
    assert scene.engine.reader.frozen() is None


def test_no_stranger_s_text_reaches_the_chat_as_markup_or_control(scene_of):
    scene = scene_of(storm_per_minute=10**6).start(agent=False)
    texts = [text for text in hostile() if text.strip()][::4]
    alerts = [
        Alert(f"h{number}", f"other/h{number}", "wrong", Severity.CRITICAL, text, time.time())
        for number, text in enumerate(texts)
    ]
    scene.engine.store.ingest_alerts(alerts)
    scene.until(lambda: len(scene.api.all("Incident: ")) == len(alerts))
    for shown in scene.api.all():
        raw = [c for c in shown.text if c != "\n" and not c.isprintable() and c != "\u00a0" and not c.isspace()]
        assert raw == [], shown.text
    assert all(params.get("parse_mode") is None for params in scene.api.calls("sendMessage"))


def test_no_secret_leaves_over_telegram(scene_of):
    redactor = Redactor()
    redactor.add(TOKEN, "telegram.token")
    secrets = known_secrets()
    for secret in secrets:
        redactor.add(secret)
    scene = scene_of(redactor=redactor).start(agent=False)
    planted, _ = secret_lines()
    store = scene.engine.store
    store.ingest_alerts([alert(1, Severity.CRITICAL, "It leaks")])
    for line in [*(f"saw {secret} there" for secret in secrets), *(each.text for each in planted), f"bot {TOKEN}"]:
        store.note("analyst", "note", line, incident=1)
    scene.api.say(ADA, "/incident 1")
    report = scene.until(lambda: scene.api.find("The whole report")).document
    chat = report + "".join(shown.text for shown in scene.api.all())
    assert [secret for secret in (*secrets, TOKEN) if secret in chat] == []
    assert [secret for line in planted for secret in line.secrets if secret in chat] == []


def test_two_people_have_to_approve_where_that_is_asked(scene_of):
    from cockpit.settings.daemon import Operator, Right

    users = (Operator(ADA, "Ada", frozenset(Right)), Operator(BOB, "Bob", frozenset(Right)))
    scene = scene_of(critical=True, two_people_for_critical=True, users=users).start()
    proposal = scene.ask()
    question = scene.question()
    for person in (ADA, ADA):
        scene.press(person, "Approve", question)
        scene.press(person, "Yes, change world/one", question)
        scene.until(lambda: "Approved so far: Ada; 1 more needed" in question.text)
        assert scene.state(proposal.id) is ProposalState.PENDING
    scene.press(BOB, "Approve", question)
    scene.press(BOB, "Yes, change world/one", question)
    scene.until(lambda: scene.state(proposal.id) is ProposalState.DONE)
    decision = scene.engine.reader.decision(proposal.id)
    assert (decision.by, decision.verdict) == ("Bob", Verdict.APPROVED)
    assert decision.reason == f"Telegram user {BOB}, with Ada"
