"""What operators are told over Telegram of what models were asked: what came of it, what it cost, and not each step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.model import Alert, Approval, Call, IncidentStatus, Severity, Tier, digest
from cockpit.model.inquiries import CallOutcome, Estimate, InquiryState, ModelCall
from cockpit.store.store import Store
from tests.corpus import hostile
from tests.telegram.scene import ADA, EVE, Scene

CAUSE = "The value is old, for nobody set it."
CALL = Call("set_world_value", "world/one", {"key": "a", "to": "new"})


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    made.start(agent=False)
    made.until(lambda: made.engine.reader.state("telegram cursor") is not None)
    yield made
    made.stop()
    assert made.api.problems == []


def opened(store: Store) -> int:
    alert = Alert("world/one:odd", "world/one", "odd", Severity.CRITICAL, "It is odd", time.time())
    return store.ingest_alerts([alert])[0]


def inquired(store: Store, incident: int, cause: str = CAUSE) -> int:
    """A model found this cause in two calls."""
    asked = store.inquiries.ask(incident, "world/one", "", "analyst", estimate=Estimate("mini", 9, 0.01), wait=False)
    assert store.inquiries.begin(asked.id)
    for _ in range(2):
        call = ModelCall(0, asked.id, "mini", Tier.FAST, time.time(), 1.5, 900, 120, 0.0021, CallOutcome.ANSWERED)
        store.inquiries.called(call)
    store.inquiries.finish(asked.id, InquiryState.ANSWERED, cause, {"cause": cause, "model": "mini"})
    return asked.id


def proposed(scene: Scene, incident: int, reason: str) -> None:
    plan = asyncio.run(scene.engine.dry_run(CALL))
    now = time.time()
    made = CALL, plan, digest(CALL, plan), Approval.HARD, now + 300
    scene.engine.store.propose(incident, *made, reason=reason, at=now)
    scene.engine.store.advance(incident, IncidentStatus.WAITING, actor="healer", text="It waits.", cause=reason)


def test_a_proposal_says_that_a_model_found_the_cause_and_what_that_cost(scene: Scene) -> None:
    incident = opened(scene.engine.store)
    inquired(scene.engine.store, incident)
    proposed(scene, incident, f"{CAUSE} Setting it mends that.")
    question = scene.question()
    assert f"Cause: {CAUSE} Setting it mends that.\nFound by a model: mini, for $0.0042\n" in question.text


def test_a_proposal_of_a_runbook_says_nothing_of_models(scene: Scene) -> None:
    incident = opened(scene.engine.store)
    inquired(scene.engine.store, incident, "Something else.")
    proposed(scene, incident, CAUSE)
    assert "model" not in scene.question().text


def test_an_incident_is_told_with_what_was_asked(scene: Scene) -> None:
    store = scene.engine.store
    incident = opened(store)
    inquired(store, incident)
    question = store.inquiries.ask(incident, "world/one", "Is it old?", "ada", estimate=None, wait=False).id
    assert store.inquiries.begin(question)
    scene.api.say(EVE, f"/incident {incident}")
    told = scene.until(lambda: scene.api.find("Asked a model")).text
    assert f"1 (answered, $0.0042): {CAUSE}\n2 (running) Is it old?\n" in told


def test_the_steps_of_an_inquiry_are_no_messages_and_edit_none(scene: Scene) -> None:
    store = scene.engine.store
    incident = opened(store)
    shown = scene.until(lambda: scene.api.find("It is odd"))
    before = len(scene.api.calls("editMessageText")), len(scene.api.calls("sendMessage"))
    asked = store.inquiries.ask(incident, "world/one", "", "analyst", estimate=None, wait=False).id
    assert store.inquiries.begin(asked)
    for number in range(12):
        store.inquiries.chose(asked, CALL, f"reason {number}")
        call = ModelCall(0, asked, "mini", Tier.FAST, time.time(), 1.5, 9, 1, 0.01, CallOutcome.ANSWERED)
        store.inquiries.called(call)
        scene.until(lambda: scene.engine.reader.state("telegram cursor") == scene.engine.reader.last_event())
    store.inquiries.finish(asked, InquiryState.INCONCLUSIVE, "Nothing shows the cause.", {})
    store.note("analyst", "note", "That was all.", incident=incident)
    scene.until(lambda: "Last: That was all." in shown.text)
    assert len(scene.api.calls("editMessageText")) == before[0] + 1
    assert len(scene.api.calls("sendMessage")) == before[1]


def waits(scene: Scene, incident: int) -> int:
    """An inquiry that waits for a yes, with what it would cost."""
    asked = scene.engine.store.inquiries.ask(incident, "world/one", "", "analyst", estimate=None, wait=True)
    scene.engine.store.inquiries.estimated(asked.id, Estimate("mini", 900, 0.0031))
    return asked.id


@pytest.mark.parametrize(
    ("label", "state"), [("Ask a model", InquiryState.OPEN), ("Do not ask", InquiryState.DECLINED)]
)
def test_what_waits_for_a_yes_is_asked_beside_the_incident_and_answered_there(
    scene: Scene, label: str, state: InquiryState
) -> None:
    incident = opened(scene.engine.store)
    shown = scene.until(lambda: scene.api.find("It is odd"))
    asked = waits(scene, incident)
    scene.until(lambda: "A model could be asked: mini first, for about $0.0031" in shown.text)
    scene.press(EVE, label, shown)
    scene.until(lambda: scene.engine.store.telegram.refusals().get("a press that was without the right") == 1)
    assert scene.engine.reader.asked.inquiry(asked).state is InquiryState.ASKING
    scene.press(ADA, label, shown)
    scene.until(lambda: scene.engine.reader.asked.inquiry(asked).state is state)
    scene.until(lambda: "A model could be asked" not in shown.text and label not in shown.labels())
    assert [event.actor for event in scene.engine.reader.events(incident=incident)][-1] == "Ada"


def test_a_press_that_comes_too_late_is_told_where_the_inquiry_stands(scene: Scene) -> None:
    incident = opened(scene.engine.store)
    shown = scene.until(lambda: scene.api.find("It is odd"))
    asked = waits(scene, incident)
    scene.until(lambda: "Ask a model" in shown.labels())
    token = shown.token("Ask a model")
    scene.engine.store.inquiries.decline(asked, "bob")
    scene.api.press(ADA, shown.id, token)
    scene.until(lambda: scene.api.find(f"Inquiry {asked} is declined already."))


def test_a_question_at_a_terminal_is_not_asked_again_over_telegram(scene: Scene) -> None:
    incident = opened(scene.engine.store)
    shown = scene.until(lambda: scene.api.find("It is odd"))
    asked = scene.engine.store.inquiries.ask(incident, "world/one", "Why?", "ada", estimate=None, wait=True)
    scene.engine.store.inquiries.estimated(asked.id, Estimate("mini", 900, 0.0031))
    scene.engine.store.note("ada", "note", "That was all.", incident=incident)
    scene.until(lambda: "Last: That was all." in shown.text)
    assert "Ask a model" not in shown.labels()


def test_a_budget_that_is_mostly_spent_is_told_once(scene: Scene) -> None:
    text = "$0.82 of the month's $1.00 for models is used up; with none left, only local ones are asked."
    scene.engine.store.note("analyst", "budget", text, data={"spent": 0.82, "cap": 1.0})
    scene.until(lambda: scene.api.find(text))
    scene.api.say(ADA, "/status")
    scene.until(lambda: scene.api.find("Services up"))
    assert len(scene.api.all(text)) == 1


@pytest.mark.parametrize("make", [lambda text: text, lambda text: f"<b>{text}</b> @everyone"], ids=["plain", "marked"])
def test_what_a_model_says_is_never_markup(scene: Scene, make: Callable[[str], str]) -> None:
    text: Any = make(" ".join(hostile()[:40])).encode("utf-8", "replace").decode()
    incident = opened(scene.engine.store)
    inquired(scene.engine.store, incident, text)
    proposed(scene, incident, text)
    assert "Found by a model: mini" in scene.question().text
    scene.api.say(EVE, f"/incident {incident}")
    scene.until(lambda: scene.api.find("Asked a model"))
