"""When models are asked, who lets them, what is not asked twice, and what operators ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from cockpit.agent.asking import MOST
from cockpit.engine import Engine
from cockpit.model import Call, CockpitError, Health, IncidentStatus, Level, ProposalState, Role
from cockpit.model.inquiries import InquiryState
from cockpit.settings import Settings
from cockpit.text import Redactor
from tests.models import shop
from tests.models.scene import FRONT, Scene, concludes, gives_up, looks, proposal
from tests.models.script import Fails, Says, Wants

pytestmark = pytest.mark.asyncio(loop_scope="module")
Make = Callable[..., Scene]
BOTH = looks(("check_shop_pool", {}), ("check_shop_disk", {}))
RUNBOOK = (
    shop.CONDITIONS
    + """
runbooks:
  - id: shop-empty
    title: The shop is empty
    alerts: [shop-slow]
    look: {pool: {tool: check_shop_pool}}
    holds: pool.used == 0.0
    cause: Nobody is there.
    advice: Wait.
"""
)


async def test_with_ask_it_waits_for_a_yes_and_says_what_it_costs(scene: Make) -> None:
    shown = scene([BOTH, concludes(1, 2, proposals=[proposal()])], models={"ask": True})
    incident = await shown.rest(shown.alert())
    inquiry = shown.inquiry()
    assert inquiry.state is InquiryState.ASKING
    assert inquiry.estimate is not None
    assert inquiry.estimate.dollars > 0
    assert incident.status is IncidentStatus.ESCALATED
    assert f"mini can be asked, for about ${inquiry.estimate.dollars:.4f}: that waits for a yes." in shown.told()[-1]
    assert shown.server.requests == []
    shown.store.inquiries.allow(inquiry.id, "ada")
    await shown.until(shown.pending)
    assert shown.store.reader.incident(incident.id).status is IncidentStatus.WAITING


async def test_one_that_is_declined_is_not_asked(scene: Make) -> None:
    shown = scene([], models={"ask": True})
    await shown.rest(shown.alert())
    shown.store.inquiries.decline(shown.inquiry().id, "ada")
    for _ in range(20):
        shown.agent.step()
        await asyncio.sleep(0)
    assert shown.inquiry().state is InquiryState.DECLINED
    with pytest.raises(CockpitError):
        shown.store.inquiries.allow(shown.inquiry().id, "ada")


async def test_one_that_waits_ends_with_its_incident_and_is_asked_once(scene: Make) -> None:
    shown = scene([], models={"ask": True})
    incident = await shown.rest(shown.alert())
    shown.alert("shop-broken")
    await shown.until(lambda: any("New alerts joined" in text for text in shown.told()))
    await shown.rest(incident)
    assert len(shown.store.reader.asked.of(incident.id)) == 1
    for name in ("shop-slow", "shop-broken"):
        shown.clear(name)
    await shown.until(lambda: shown.store.reader.incident(incident.id).status is IncidentStatus.RESOLVED)
    assert shown.inquiry().state is InquiryState.DECLINED


async def test_runbooks_are_asked_first_and_as_often_as_before(scene: Make) -> None:
    shown = scene([concludes(3)], runbooks=RUNBOOK)
    incident = shown.alert()
    await shown.until(lambda: shown.store.reader.asked.latest())
    looked = [event for event in shown.store.reader.events(incident=incident.id) if event.kind == "diagnosis"]
    assert len(looked) == 3
    await shown.until(lambda: shown.server.requests)
    assert "## Diagnostics that ran already" in shown.server.requests[0].text
    assert "run 3, " in shown.server.requests[0].text
    await shown.rest(incident)


async def test_without_models_a_person_is_asked_as_before(scene: Make) -> None:
    shown = scene([])
    shown.agent.asking = None
    incident = await shown.rest(shown.alert())
    assert incident.status is IncidentStatus.ESCALATED
    assert shown.told()[-1].endswith("A person is needed: no runbook explains it.")
    assert shown.store.reader.asked.latest() == []


async def test_what_a_dead_process_left_running_is_ended(scene: Make) -> None:
    shown = scene([BOTH, concludes(1, 2)])
    incident = shown.alert()
    left = shown.store.inquiries.ask(incident.id, FRONT, "", Role.ANALYST, estimate=None, wait=False)
    shown.store.inquiries.begin(left.id)
    shown.asking.settle()
    assert shown.store.reader.asked.inquiry(left.id).state is InquiryState.FAILED
    await shown.rest(incident)
    assert shown.inquiry().state is InquiryState.ANSWERED


async def test_what_a_dead_process_left_open_is_begun(scene: Make) -> None:
    shown = scene([BOTH, concludes(1, 2)])
    incident = shown.alert()
    left = shown.store.inquiries.ask(incident.id, FRONT, "", Role.ANALYST, estimate=None, wait=False)
    await shown.rest(incident)
    assert shown.store.reader.asked.latest() == [shown.store.reader.asked.inquiry(left.id)]
    assert shown.inquiry().state is InquiryState.ANSWERED


async def test_one_that_is_stopped_is_ended(scene: Make) -> None:
    shown = scene(lambda asked: BOTH)
    incident = shown.alert()
    await shown.until(lambda: shown.store.reader.asked.latest())
    task = next(iter(shown.agent._busy.values()))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert shown.inquiry().state.ended, incident
    assert shown.inquiry().outcome == "It was stopped."


async def test_an_equal_investigation_is_answered_without_asking(scene: Make) -> None:
    shown = scene([BOTH, concludes(1, 2, proposals=[proposal()])])
    first = await shown.rest(shown.alert())
    assert first.status is IncidentStatus.WAITING, shown.told()
    shown.clear()
    await shown.until(lambda: shown.store.reader.incident(first.id).status is IncidentStatus.RESOLVED)
    _age(shown, first.id)
    second = shown.alert()
    assert second.id != first.id
    shown.server.play([])
    second = await shown.rest(second)
    assert second.status is IncidentStatus.WAITING
    assert shown.inquiry().outcome.startswith("As inquiry 1 found, and its readings read the same")
    assert [run.call.tool for run in shown.store.reader.runs(second.id)] == ["check_shop_pool", "check_shop_disk"]
    assert {reading["run"] for reading in shown.inquiry().answer["evidence"]} == {3, 4}
    assert shown.store.reader.asked.calls(shown.inquiry().id) == []


async def test_it_is_asked_again_where_a_reading_differs(scene: Make) -> None:
    shown = scene([BOTH, concludes(1, 2, proposals=[proposal()])])
    first = await shown.rest(shown.alert())
    shown.clear()
    await shown.until(lambda: shown.store.reader.incident(first.id).status is IncidentStatus.RESOLVED)
    _age(shown, first.id)
    (shown.world / "figures").write_text('{"used": 3, "limit": 20, "used_ratio": 0.15}')
    shown.server.play([gives_up()])
    second = await shown.rest(shown.alert())
    assert second.status is IncidentStatus.ESCALATED
    assert len(shown.server.requests) == 1


async def test_what_it_led_to_and_did_not_help_is_not_taken_again(scene: Make) -> None:
    shown = scene([BOTH, concludes(1, 2, proposals=[proposal()]), gives_up()])
    incident = await shown.rest(shown.alert())
    (waiting,) = shown.pending()
    shown.approve(waiting)
    await shown.until(lambda: shown.store.reader.proposal(waiting.id).state is ProposalState.DONE)
    await shown.until(lambda: len(shown.store.reader.asked.of(incident.id)) == 2, within=40)
    await shown.rest(incident)
    assert shown.inquiry().state is InquiryState.INCONCLUSIVE
    assert "came to nothing" in shown.server.requests[-1].text or "did not help" in shown.server.requests[-1].text


async def test_models_are_asked_a_few_times_and_then_a_person(scene: Make) -> None:
    shown = scene(lambda asked: gives_up())
    incident = await shown.rest(shown.alert())
    for number in range(MOST):
        shown.alert(f"more-{number}")
        await shown.until(lambda: shown.store.reader.incident(incident.id).status is not IncidentStatus.ESCALATED)
        await shown.rest(incident)
    assert len(shown.store.reader.asked.of(incident.id)) == MOST
    assert f"Models were asked {MOST} times already." in shown.told()[-1]


async def test_the_first_prompt_tells_what_is_known(scene: Make) -> None:
    shown = scene([gives_up(), gives_up()])
    (shown.folder / "notes" / "pool.md").write_text("---\nkinds: [shop]\nalerts: [shop-slow]\n---\nNever beyond 50.\n")
    (shown.folder / "notes" / "other.md").write_text("---\nservices: [shop/none]\n---\nIrrelevant.\n")
    (shown.folder / "notes" / "wrong.md").write_text("---\ncolours: [red]\n---\nBroken.\n")
    past = await _past(shown)
    shown.store.record_health(FRONT, Health(Level.DEGRADED, "it is slow", {"trouble": 1.0}), shown.agent.clock())
    incident = await shown.rest(shown.alert(summary="The shop answers slowly since noon"))
    text = shown.server.requests[-1].text
    for told in (
        f"# Incident {incident.id}: shop/front, warning",
        "⟦The shop answers slowly since noon⟧",
        "degraded: ⟦it is slow⟧",
        "trouble 1: 1 when something is wrong",
        "It depends on shop/store",
        "It is needed by shop/till",
        "The pool may have up to 50.",
        "Cause: ⟦The pool was full.⟧. Ended after set_shop_value, and a person said it worked.",
        "approved by ⟦ada⟧: ⟦Set pool to 40⟧: done",
        "check_shop_pool: 1 of 1 times",
        "Never beyond 50.",
        "set_shop_value(key: string, to: string) on shop/front or shop/store or shop/till",
    ):
        assert told in text, told
    assert "Irrelevant." not in text
    assert "Broken." not in text
    assert any("wrong.md is left out: its front matter has a key 'colours'" in told for told in shown.told()), past


async def test_a_question_about_an_incident_is_answered_from_what_is_known_and_looked_at(scene: Make) -> None:
    shown = scene([BOTH, concludes(1, 2, proposals=[proposal()])])
    incident = await shown.rest(shown.alert())
    ask = shown.store.inquiries.ask
    shown.server.play([looks(("check_shop_pool", {})), looks(("list_shop_tables", {})), Says("It is, by run 1 and 3.")])
    ask(incident.id, FRONT, "Is it the pool?", "ada", estimate=None, wait=False)
    await shown.until(lambda: shown.inquiry().state.ended)
    inquiry = shown.inquiry()
    assert inquiry.state is InquiryState.ANSWERED
    assert inquiry.answer == {"text": "It is, by run 1 and 3.", "runs": [1], "model": "mini"}
    first = shown.server.requests[0]
    assert "conclude" not in first.tools
    assert "Is it the pool?" in first.text
    assert "All 20 connections of the pool are in use." in first.text
    assert "You have that already: run 1." in shown.server.requests[1].results[0]
    shown.server.play([Says("Since noon.")])
    ask(incident.id, FRONT, "Since when?", "ada", estimate=None, wait=False)
    await shown.until(lambda: shown.inquiry().state.ended)
    assert "Is it the pool? Answered: ⟦It is, by run 1 and 3.⟧" in shown.server.requests[0].text
    assert len(shown.store.reader.proposals()) == 1, "a question proposes nothing"


async def test_a_question_about_anything_looks_at_anything_and_changes_nothing(scene: Make) -> None:
    wanted = [
        looks(("check_shop_pool", {}), target="shop/other"),
        Wants(("set_shop_value", {"target": FRONT, "why": "", "key": "a", "to": "b"})),
        Wants(("conclude", {"cause": "x", "proposals": [proposal()]})),
        Says("All is well."),
    ]
    shown = scene(wanted)
    shown.store.inquiries.ask(None, "", "How is the shop?", "ada", estimate=None, wait=False)
    await shown.until(lambda: shown.store.reader.asked.latest() and shown.inquiry().state.ended)
    assert shown.inquiry().answer["text"] == "All is well."
    assert "changes things, which you cannot" in shown.server.requests[-1].results[1]
    assert "There is no tool 'conclude'" in shown.server.requests[-1].results[2]
    assert shown.store.reader.proposals() == []
    assert shown.store.reader.run(1).incident is None


async def test_a_question_that_no_model_answers_ends_with_the_reason(scene: Make) -> None:
    shown = scene(lambda asked: Fails(500))
    shown.store.inquiries.ask(None, "", "How is the shop?", "ada", estimate=None, wait=False)
    await shown.until(lambda: shown.store.reader.asked.latest() and shown.inquiry().state.ended)
    assert shown.inquiry().state is InquiryState.FAILED
    assert "mini" in shown.inquiry().outcome


async def test_an_engine_takes_questions_and_answers_for_whoever_acts(scene: Make, tmp_path: Path) -> None:
    shown = scene([], models={"ask": True})
    incident = await shown.rest(shown.alert())
    settings = Settings(data_folder=shown.data, services=shop.services(shown.world), models=shown.settings)
    with Engine(settings, shop.registry(), Redactor(), act=False) as attached:
        asked = await attached.ask("  Why?  ", incident=incident.id)
        assert (asked.question, asked.service, asked.incident) == ("Why?", FRONT, incident.id)
        await attached.decline(asked.id)
        waiting = shown.store.reader.asked.of(incident.id)[-1]
        await attached.allow(waiting.id)
        assert shown.store.reader.asked.inquiry(waiting.id).state is InquiryState.OPEN
        with pytest.raises(CockpitError, match="no service 'shop/none'"):
            await attached.ask("Why?", service="shop/none")
        with pytest.raises(CockpitError, match="no question"):
            await attached.ask(" ")
    plain = Settings(data_folder=shown.data, services=shop.services(shown.world))
    with (
        Engine(plain, shop.registry(), Redactor(), act=False) as without,
        pytest.raises(CockpitError, match="No model"),
    ):
        await without.ask("Why?")


async def _past(shown: Scene) -> int:
    """An incident of the past, that a change ended and a person was content with."""
    past = shown.alert()
    run = await shown.agent.analyst.look(past.id, shown.known[FRONT], Call("check_shop_pool", FRONT))
    shown.store.note("analyst", "diagnosis", "Full.", incident=past.id, data={"evidence": [run.id], "runbook": "x"})
    made = await shown.agent.healer.request(
        Call("set_shop_value", FRONT, {"key": "pool", "to": "40"}), by="ada", reason=""
    )
    made = shown.store.propose(
        past.id, made.call, made.plan, made.digest, made.approval, made.expires_at, reason="", at=made.created_at
    )
    shown.approve(made)
    await shown.agent.executor.execute(made.id)
    shown.clear()
    resolved = IncidentStatus.RESOLVED
    shown.store.advance(past.id, resolved, actor=Role.MONITOR, text="Resolved.", cause="The pool was full.")
    shown.store.note("ada", "feedback", "It worked.", incident=past.id, data={"worked": True})
    _age(shown, past.id)
    return past.id


def _age(shown: Scene, incident: int) -> None:
    """Let an incident have ended so long ago that its alert opens a new one."""
    with shown.store._transaction() as log:
        log.execute("update incident set resolved_at = resolved_at - 1000 where id = ?", incident)
