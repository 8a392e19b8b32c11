"""A confirmed incident becomes a runbook: generalised where the log allows it, asked about where not, and tried."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.agent.drafting import ASK, Draft
from cockpit.agent.learning import Lesson, lesson
from cockpit.agent.runbooks import Runbook, load
from cockpit.agent.trial import read_draft, replay
from cockpit.model import Call, CockpitError, Finding, Incident, IncidentStatus, Role
from cockpit.model.inquiries import InquiryState
from tests.models.scene import FRONT, Scene, conclusion
from tests.models.scripted import Scripted

FULL = {"used": 20, "limit": 20, "used_ratio": 1.0, "waiting": 7, "state": "full", "size_wanted": 40}
QUIET = {"used": 3, "limit": 20, "used_ratio": 0.15, "waiting": 0, "state": "free", "size_wanted": 40}


class Past:
    """A log of past incidents on a shop."""

    def __init__(self, folder: Path) -> None:
        self.scene = Scene(folder, Scripted([]))
        self.store = self.scene.store

    def run(self, incident: int | None, tool: str = "check_shop_pool", data: dict[str, Any] | None = None) -> int:
        call = Call(tool, FRONT)
        found = Finding("Seen.", FULL if data is None else data)
        return self.store.record_run(incident, call, found, "", 0.0, 0.0).id

    def incident(self, remedy: Call | None = None, alert: str = "shop-slow", **answer: Any) -> Incident:
        """An incident that a model explained; a call may have ended it."""
        found = self.scene.alert(alert)
        if answer:
            inquiry = self.store.inquiries.ask(found.id, FRONT, "", Role.ANALYST, estimate=None, wait=False)
            self.store.inquiries.begin(inquiry.id)
            self.store.inquiries.finish(inquiry.id, InquiryState.ANSWERED, "Found.", answer)
        if remedy:
            asyncio.run(self._carry_out(found.id, remedy))
        return found

    async def _carry_out(self, incident: int, call: Call) -> None:
        (self.scene.world / "value-pool").unlink(missing_ok=True)
        asked = await self.scene.agent.healer.request(call, by="ada", reason="")
        made = self.store.propose(
            incident, call, asked.plan, asked.digest, asked.approval, asked.expires_at, reason="", at=asked.created_at
        )
        self.scene.approve(made)
        await self.scene.agent.executor.execute(made.id)

    def over(self, incident: Incident, alert: str = "shop-slow", **more: str) -> None:
        self.scene.clear(alert)
        self.store.advance(incident.id, IncidentStatus.RESOLVED, actor=Role.MONITOR, text="Resolved.", **more)
        with self.store._transaction() as log:
            log.execute("update incident set resolved_at = resolved_at - 1000 where id = ?", incident.id)

    def lesson(self, number: int) -> Lesson:
        return lesson(self.store.reader, number)

    def draft(self, number: int) -> str:
        return Draft(self.lesson(number), self.scene.registry).text()

    def book(self, text: str) -> Runbook:
        """The runbook of a draft whose questions are answered by what stands there."""
        file = self.scene.folder / "draft.yaml"
        file.write_text("\n".join(line for line in text.splitlines() if ASK not in line))
        return read_draft(file, self.scene.registry)


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    found = Past(tmp_path)
    yield found
    found.scene.close()


def cited(run: int, field: str, value: object, against: str = "high") -> dict[str, Any]:
    return {"run": run, "field": field, "value": str(value), "against": against}


def learned(past: Past, evidence: list[dict[str, Any]], to: str = "40", **more: Any) -> Incident:
    """An incident with these readings of its one run, which setting the pool ended."""
    found = past.incident()
    run = past.run(found.id)
    inquiry = past.store.inquiries.ask(found.id, FRONT, "", Role.ANALYST, estimate=None, wait=False)
    past.store.inquiries.begin(inquiry.id)
    readings = [{**each, "run": run} for each in evidence]
    rival = {
        "cause": "nobody is there",
        "ruled_out": True,
        "run": run,
        "field": "state",
        "value": "full",
        "reading": "",
    }
    answer = conclusion(run, **{"cause": "It is full.", "evidence": readings, "rivals": [rival], **more})
    past.store.inquiries.finish(inquiry.id, InquiryState.ANSWERED, "Found.", answer)
    asyncio.run(past._carry_out(found.id, Call("set_shop_value", FRONT, {"key": "pool", "to": to})))
    past.over(found, cause="The pool was full.", runbook="model:mini")
    return found


def other(past: Past, data: dict[str, Any], **more: str) -> Incident:
    """Another incident of the same alert, with what the same diagnostic read then."""
    found = past.incident()
    past.run(found.id, data=data)
    past.over(found, **{"cause": "Something else.", **more})
    return found


def test_a_figure_becomes_a_bound_between_this_incident_and_the_others(past: Past) -> None:
    other(past, QUIET)
    other(past, {**QUIET, "used_ratio": 0.4})
    found = learned(past, [cited(0, "used_ratio", 1.0), cited(0, "state", "full", "as it is")])
    text = past.draft(found.id)
    assert [line.strip() for line in text.splitlines() if ASK in line] == [
        f"{ASK} 'to' was \"40\"; which is right next time?"
    ]
    assert 'holds: "pool.used_ratio > 0.7 && pool.state == \\"full\\""' in text
    assert 'ruled_out: "pool.state == \\"full\\""' in text
    assert 'with: {key: "pool", to: "40"}' in text
    assert f"learned: {found.id}" in text
    book = past.book(text)
    assert (book.alerts, book.learned) == (("shop-slow",), found.id)
    trial = replay(book, past.lesson(found.id), past.store.reader)
    assert trial.problems == ()
    assert "2 other incidents" in trial.told[1]


def test_a_figure_that_was_seen_once_is_asked_about(past: Past) -> None:
    found = learned(past, [cited(0, "used_ratio", 1.0)])
    text = past.draft(found.id)
    assert f"{ASK} from which value of 'used_ratio'? It was 1; it was seen nowhere else." in text
    file = past.scene.folder / "open.yaml"
    file.write_text(text)
    with pytest.raises(CockpitError, match="2 questions are open"):
        read_draft(file, past.scene.registry)
    assert replay(past.book(text.replace(">= 1.0", "> 0.9")), past.lesson(found.id), past.store.reader).problems == ()


def test_so_is_one_that_does_not_tell_incidents_apart(past: Past) -> None:
    other(past, {**QUIET, "used_ratio": 1.0})
    other(past, {**QUIET, "used_ratio": 0.2})
    found = learned(past, [cited(0, "used_ratio", 1.0)])
    assert f"{ASK} from which value of 'used_ratio'? It was 1; elsewhere it was 0.2 to 1." in past.draft(found.id)


def test_a_low_figure_is_bounded_from_above_and_nothing_is_nothing(past: Past) -> None:
    other(past, {**FULL, "used": 400, "waiting": 3})
    found = learned(past, [cited(0, "used", 20, "low")])
    assert 'holds: "pool.used < 200.0"' in past.draft(found.id)
    quiet = past.incident()
    run = past.run(quiet.id, data=QUIET)
    past.store.inquiries.begin(
        past.store.inquiries.ask(quiet.id, FRONT, "", Role.ANALYST, estimate=None, wait=False).id
    )
    number = past.store.reader.asked.latest(1)[0].id
    answer = conclusion(run, evidence=[cited(run, "waiting", 0, "as it is")], rivals=[], next_look="Wait.")
    past.store.inquiries.finish(number, InquiryState.ANSWERED, "Found.", answer)
    past.over(quiet)
    text = past.draft(quiet.id)
    assert 'holds: "pool.waiting == 0.0"' in text
    assert 'advice: "Wait."' in text


def test_arguments_come_from_readings_where_they_stood_there(past: Past) -> None:
    other(past, QUIET)
    found = learned(past, [cited(0, "state", "full", "as it is")], to="Strange 17")
    text = past.draft(found.id)
    assert f"{ASK} 'to' was \"Strange 17\"; which is right next time?" in text
    call = Draft(past.lesson(found.id), past.scene.registry)
    call.text()
    assert call._argument("size", 40) == ('"${pool.size_wanted}"', "")


def test_the_cause_tells_the_figures_of_its_own_time(past: Past) -> None:
    other(past, QUIET)
    evidence = [cited(0, "used", 20), cited(0, "state", "full", "as it is")]
    found = learned(past, evidence, cause="The pool is full: 20 connections are in use.")
    text = past.draft(found.id)
    assert 'cause: "The pool is ${pool.state}: ${pool.used} connections are in use."' in text
    asked = learned(past, evidence, cause="For 45 minutes ${samples.x} nothing.")
    assert f"{ASK} the figures in this sentence" in past.draft(asked.id)
    assert "${samples.x}" not in past.draft(asked.id), "a model's words are no expression"


def test_what_would_explain_another_incident_too_is_not_taken(past: Past) -> None:
    wrong = other(past, {**FULL, "used": 19})
    found = learned(past, [cited(0, "used", 20)])
    lax = past.draft(found.id).replace("pool.used > 19.5", "pool.used > 2.0")
    assert "pool.used > 2.0" in lax
    trial = replay(past.book(lax), past.lesson(found.id), past.store.reader)
    assert trial.problems == (f"It would explain incident {wrong.id} as well, whose cause was: Something else.",)


def test_nor_what_does_not_explain_its_own_or_mends_it_otherwise(past: Past) -> None:
    other(past, QUIET)
    found = learned(past, [cited(0, "used", 20)])
    text, own = past.draft(found.id), past.lesson(found.id)
    strict = past.book(text.replace("pool.used > 1", "pool.used > 9"))
    assert "its condition does not hold" in replay(strict, own, past.store.reader).problems[0]
    otherwise = past.book(text.replace('to: "40"', 'to: "50"'))
    assert "does not propose what mended" in replay(otherwise, own, past.store.reader).problems[0]


def test_the_same_trouble_may_have_come_before(past: Past) -> None:
    first = learned(past, [cited(0, "state", "full", "as it is")])
    second = learned(past, [cited(0, "state", "full", "as it is")])
    assert replay(past.book(past.draft(second.id)), past.lesson(second.id), past.store.reader).problems == (), first


def test_where_there_is_nothing_to_learn_it_says_why(past: Past) -> None:
    still = past.incident()
    with pytest.raises(CockpitError, match="is open"):
        past.lesson(still.id)
    past.over(still)
    with pytest.raises(CockpitError, match="No model gave the cause"):
        past.lesson(still.id)
    known = past.incident()
    past.over(known, runbook="shop-empty", cause="Nobody is there.")
    with pytest.raises(CockpitError, match="'shop-empty' explains"):
        past.lesson(known.id)
    far = past.incident()
    far_run = past.store.record_run(far.id, Call("check_shop_pool", "shop/store"), Finding("x", FULL), "", 0.0, 0.0).id
    inquiry = past.store.inquiries.ask(far.id, FRONT, "", Role.ANALYST, estimate=None, wait=False)
    past.store.inquiries.begin(inquiry.id)
    past.store.inquiries.finish(inquiry.id, InquiryState.ANSWERED, "", conclusion(far_run, rivals=[]))
    past.over(far)
    with pytest.raises(CockpitError, match="shop/store as well"):
        past.lesson(far.id)


def test_how_often_it_worked_is_counted(past: Past) -> None:
    call = Call("set_shop_value", FRONT, {"key": "pool", "to": "40"})
    for worked in (None, True, False):
        found = past.incident(remedy=call)
        past.over(found, runbook="learned-shop-slow-1", cause="Full.")
        if worked is not None:
            past.store.note("ada", "feedback", "", incident=found.id, data={"worked": worked})
    by_itself = past.incident()
    past.over(by_itself, runbook="learned-shop-slow-1", cause="Full.")
    record = past.store.reader.asked.runbooks(["learned-shop-slow-1", "never"])
    assert list(record) == ["learned-shop-slow-1"]
    assert (record["learned-shop-slow-1"].explained, record["learned-shop-slow-1"].worked) == (4, 2)
    assert record["learned-shop-slow-1"].last is not None


def test_a_learned_runbook_explains_the_next_incident(past: Past) -> None:
    other(past, QUIET)
    found = learned(past, [cited(0, "used_ratio", 1.0), cited(0, "state", "full", "as it is")])
    folder = past.scene.folder / "runbooks"
    (folder / "learned.yaml").write_text(past.draft(found.id))  # a comment that asks does not keep it from loading
    library = load([folder], {name: tool.writes for name, tool in past.scene.registry.tools.items()})
    assert library.broken == []
    past.scene.agent.analyst.library = library
    next_one = past.scene.alert()
    (diagnosis,) = asyncio.run(past.scene.agent.analyst.investigate(next_one))
    assert diagnosis.runbook == f"learned-shop-slow-{found.id}"
    assert diagnosis.calls == (Call("set_shop_value", FRONT, {"key": "pool", "to": "40"}),)
