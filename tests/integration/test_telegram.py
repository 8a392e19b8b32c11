"""One incident from the alert to the thanks, over Telegram, with a Bot API server that checks every request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cockpit.model import IncidentStatus, ProposalState, Verdict
from tests.faults.invariants import check_invariants
from tests.stopwatch import Stopwatch
from tests.telegram.scene import ADA, BOB, EVE, Scene, scenes


@pytest.fixture
def scene_of(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    with scenes(tmp_path, faultless=True) as make:
        yield make


def test_an_incident_is_asked_approved_mended_and_its_question_becomes_the_answer(scene_of):
    scene = scene_of().start()
    scene.trouble()
    question = scene.question()
    for told in ("There is trouble", "The value is old.", "set_world_value", "world/one value a", "hard", "- old",
                 "+ mended", "set a mended", "Way back", "Answer until"):  # fmt: skip
        assert told in question.text
    assert question.labels()[:3] == ["Approve", "Deny", "More info"]
    scene.press(ADA, "Approve", question)
    scene.until(lambda: "Done" in question.text and "Ada over telegram" in question.text)
    scene.until(lambda: scene.engine.reader.incident(1).status is IncidentStatus.RESOLVED)
    scene.until(lambda: "It worked" in question.labels())
    assert not {"Approve", "Deny"} & set(question.labels())
    scene.press(ADA, "It worked", question)
    scene.until(lambda: "It worked, says Ada." in question.text)
    event = next(each for each in scene.engine.reader.events(incident=1) if each.kind == "feedback")
    assert (event.data, event.actor) == ({"worked": True}, "Ada")
    assert question.labels() == []
    assert len(scene.api.all()) == 1
    decision = scene.engine.reader.decision(1)
    assert (decision.by, decision.channel, decision.reason) == ("Ada", "telegram", f"Telegram user {ADA}")
    check_invariants(scene.engine.store, scene.folder, scene.data)


def test_a_denied_proposal_changes_nothing(scene_of):
    scene = scene_of().start(agent=False)
    scene.ask()
    question = scene.question()
    scene.press(BOB, "Deny", question)
    scene.until(lambda: "Denied" in question.text and question.labels() == [])
    assert scene.effects() == []


def test_every_press_is_answered_within_a_second_and_first(scene_of):
    scene = scene_of().start(agent=False)
    scene.ask()
    question = scene.question("More info")
    old, watch = question.token("More info"), Stopwatch()
    query = scene.press(ADA, "More info", question)
    scene.until(lambda: query in scene.api.answered)
    assert watch.seconds() < 1.0
    scene.until(lambda: scene.api.find("Asked for by a person"))
    scene.until(lambda: question.token("More info") != old)
    sent = scene.api.sent()
    assert sent[:2] == ["sendMessage", "answerCallbackQuery"]
    assert sorted(sent[2:]) == ["editMessageText", "sendMessage"]


def test_a_press_counts_while_telegram_does_not_let_it_be_answered(scene_of):
    scene = scene_of()
    scene.api.fault = lambda method, count: "slow 2" if method == "answerCallbackQuery" else ""
    scene.start(agent=False)
    proposal = scene.ask()
    query = scene.press(ADA, "Approve")
    scene.until(lambda: scene.state(proposal.id) is ProposalState.APPROVED)
    assert query not in scene.api.answered
    scene.until(lambda: query in scene.api.answered)


def test_more_info_tells_evidence_and_timeline_and_leaves_the_question_open(scene_of):
    scene = scene_of().start()
    scene.trouble()
    question = scene.question()
    for number in range(60):
        scene.engine.store.note("analyst", "note", f"Thought number {number}", incident=1)
    old = question.token("Approve")
    scene.press(EVE, "More info", question)
    answer = scene.until(lambda: scene.api.find("Timeline"))
    assert "look_at_world (found): looked" in answer.text
    report = scene.until(lambda: scene.api.find("The whole report")).document
    assert report.startswith("# Incident 1") and "Thought number 0" in report
    scene.until(lambda: question.token("Approve") != old)
    scene.press(ADA, "Approve", question)
    scene.until(lambda: scene.state() is ProposalState.DONE)


@pytest.mark.parametrize("how", ["key", "expiry", "superseded"])
def test_a_decision_from_elsewhere_takes_the_buttons_away(scene_of, how):
    scene = scene_of().start(agent=False)
    proposal = scene.ask()
    question = scene.question()
    if how == "key":
        scene.engine.store.decide(
            proposal.id, proposal.digest, Verdict.DENIED, by="Grace", channel="keypress", at=proposal.created_at
        )
    elif how == "expiry":
        scene.engine.store.expire(proposal.expires_at)
    else:
        scene.engine.store.supersede(proposal.id, "The world moved.")
    told = {"key": "Grace over keypress", "expiry": "Expired", "superseded": "The world moved."}[how]
    scene.until(lambda: told in question.text and question.labels() == [])


def test_drift_brings_a_new_question_and_never_a_silent_change(scene_of):
    scene = scene_of().start()
    scene.trouble()
    first = scene.question()
    (scene.folder / "value-a").write_text("moved")
    scene.press(ADA, "Approve", first)
    scene.until(lambda: "Withdrawn" in first.text)
    second = scene.until(lambda: scene.api.find("- moved"))
    assert second.id != first.id
    assert scene.effects() == []


def test_a_critical_service_asks_a_second_time_and_only_those_with_the_right(scene_of):
    scene = scene_of(critical=True).start()
    proposal = scene.ask()
    question = scene.question()
    scene.press(BOB, "Approve", question)
    scene.until(lambda: scene.api.find("Bob's press does not count: it was without the right."))
    scene.press(ADA, "Approve", question)
    scene.until(lambda: "Back" in question.labels())
    scene.press(ADA, "Back", question)
    scene.until(lambda: "Approve" in question.labels())
    assert scene.state(proposal.id) is ProposalState.PENDING
    scene.press(ADA, "Approve", question)
    scene.until(lambda: "Yes, change world/one" in question.labels())
    scene.press(ADA, "Yes, change world/one", question)
    scene.until(lambda: scene.state(proposal.id) is ProposalState.DONE)


def test_what_cannot_be_undone_on_a_critical_service_wants_its_name_typed(scene_of):
    scene = scene_of(critical=True).start()
    proposal = scene.ask(tool="do_world_deed")
    assert proposal.needs_name
    scene.press(ADA, "Approve")
    scene.until(lambda: scene.api.find("Type the name"))
    scene.api.say(ADA, "world/two")
    scene.until(lambda: scene.api.find("That is not the name"))
    scene.api.say(ADA, "world/one")
    scene.handled()
    assert scene.state(proposal.id) is ProposalState.PENDING
    scene.press(ADA, "Approve")
    scene.until(lambda: len(scene.api.all("Type the name")) == 2)
    scene.api.say(BOB, "world/one")
    scene.handled()
    assert scene.state(proposal.id) is ProposalState.PENDING
    scene.api.say(ADA, "world/one")
    scene.until(lambda: scene.state(proposal.id) is ProposalState.DONE)
    assert scene.effects() == ["deed a"]


def test_a_long_diff_is_shortened_with_a_sign_and_the_whole_one_comes_as_a_document(scene_of):
    scene = scene_of().start(agent=False)
    (scene.folder / "value-a").write_text("\n".join(f"line {number} of many" for number in range(900)))
    scene.ask()
    question = scene.question()
    assert "more]" in question.text
    document = scene.until(lambda: next((m for m in scene.api.all() if m.document), None))
    assert all(f"line {number} of many" in document.document for number in (0, 450, 899))
    assert document.answers == question.id


def test_an_incident_can_be_acknowledged_and_snoozed(scene_of):
    scene = scene_of()
    (scene.folder / "value-a").write_text("hopeless")
    scene.start()
    scene.trouble()
    shown = scene.question("Acknowledge")
    scene.press(BOB, "Acknowledge", shown)
    scene.until(lambda: "Acknowledged: by Bob" in shown.text and "Acknowledge" not in shown.labels())
    scene.press(BOB, "1 h", shown)
    scene.until(lambda: "Snoozed: by Bob" in shown.text)
    kinds = {event.kind: event.actor for event in scene.engine.reader.events(incident=1)}
    assert (kinds["acknowledge"], kinds["snooze"]) == ("Bob", "Bob")
    scene.until(lambda: scene.engine.store.telegram.outbox.newest_like("reminder:1:%"))
    (scene.folder / "trouble").unlink()
    scene.until(lambda: "Resolved" in shown.text)
    assert scene.engine.store.telegram.outbox.newest_like("reminder:1:%").state == "dropped"
