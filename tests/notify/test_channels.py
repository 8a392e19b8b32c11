"""What is told over a channel: each thing once, nothing lost, whatever the receiver does."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.agent.silences import Silences
from cockpit.model import Approval, ChangeState, IncidentStatus, ProposalState, Severity, digest
from cockpit.serve.notify import apprise_door, wording
from cockpit.serve.notify.apprise_door import AppriseDoor
from cockpit.serve.notify.channel import Channel
from cockpit.serve.notify.dispatcher import Dispatcher
from cockpit.serve.notify.routes import Route
from cockpit.store.store import Store
from tests.notify.receiver import Receiver
from tests.unit.store_examples import START, Clock, Log, alert, call_of, plan_of_one


class Desk:
    """A log, one channel over it, and its receiver; times move when they are told to."""

    def __init__(self, folder: Path, **route: object) -> None:
        self.log = Log(folder)
        self.receiver = Receiver()
        self.route = Route("phone", **{"min_severity": Severity.WARNING, **route})
        self.ticks = Clock(0.0)
        self.start()

    def start(self) -> None:
        """A process that begins with what the log holds."""
        self.silences = Silences(self.log.store, {}, clock=self.log.clock)
        self.dispatcher = Dispatcher(self.log.store, [self.route], self.silences, clock=self.log.clock)
        self.channel = Channel(
            "phone",
            self.log.store,
            AppriseDoor("phone", self.receiver.apprise),
            gather=10.0,
            clock=self.log.clock,
            monotonic=self.ticks,
        )
        self.dispatcher.look()

    def restart(self) -> None:
        self.log.store.close()
        self.log.store = Store.open(self.log.path, clock=self.log.clock)
        self.start()

    def pass_by(self, seconds: float) -> None:
        self.log.clock.now += seconds
        self.ticks.now += seconds

    async def tell(self, after: float = 10.0) -> list[str]:
        """Let some time pass, decide and send; the lines that arrived by it."""
        before = len(self.receiver.lines)
        self.pass_by(after)
        self.dispatcher.look()
        await self.channel.turn()
        return self.receiver.lines[before:]

    def open(self, number: int = 1, severity: Severity = Severity.WARNING) -> int:
        service = f"redis/{number}"
        return self.log.store.ingest_alerts([alert(service, severity=severity)])[0]

    def clear(self, incident: int, number: int = 1) -> None:
        self.log.store.clear_alerts([f"redis/{number}:redis-down"], self.log.clock.now)
        self.log.store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text="Resolved: it cleared.")

    def escalate(self, incident: int) -> None:
        text = "A person is needed: no runbook explains it."
        self.log.store.advance(incident, IncidentStatus.ESCALATED, actor="communicator", text=text)

    def close(self) -> None:
        self.receiver.stop()
        self.log.store.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


async def test_an_incident_is_told_from_its_opening_to_its_end_each_once(desk: Desk) -> None:
    incident = desk.open()
    assert await desk.tell() == ["[warning] redis/1: Redis does not answer. (incident 1)"]
    desk.escalate(incident)
    (line,) = await desk.tell()
    assert "A person is needed: no runbook explains it." in line
    desk.clear(incident)
    (line,) = await desk.tell()
    assert "Resolved: it cleared." in line
    assert await desk.tell() == []
    assert [request.body["type"] for request in desk.receiver.requests] == ["warning", "warning", "success"]


async def test_a_proposal_that_waits_says_how_to_decide_it(desk: Desk) -> None:
    proposal = desk.log.proposed(desk.open())
    (line,) = await desk.tell()
    assert f"cockpit approve {proposal.id} --digest {proposal.digest[:12]}" in line


async def test_a_proposal_on_a_models_word_says_so_and_what_that_cost(desk: Desk) -> None:
    incident = desk.open()
    desk.log.asked(incident, "redis/1")
    call, plan = call_of("redis/1"), plan_of_one("redis/1")
    made = call, plan, digest(call, plan), Approval.HARD, START + 300
    desk.log.store.propose(incident, *made, reason="memory is full So raise the limit.", at=START)
    (line,) = await desk.tell()
    assert line.endswith("The cause was found by a model, for $0.0002. (incident 1)")


async def test_the_steps_of_an_inquiry_are_not_told_and_a_budget_that_is_mostly_spent_is(desk: Desk) -> None:
    incident = desk.open()
    await desk.tell()
    desk.log.asked(incident, "redis/1")
    desk.log.store.note("analyst", "choice", "Looks at it.", incident=incident)
    assert await desk.tell() == []
    text = "$0.82 of the month's $1.00 for models is used up."
    desk.log.store.note("analyst", "budget", text)
    (line,) = await desk.tell()
    assert text in line and line.startswith("[warning]")


async def test_a_change_that_was_made_unasked_is_told_afterwards(desk: Desk) -> None:
    incident, call, plan = desk.open(), call_of("redis/1"), plan_of_one("redis/1")
    proposal = desk.log.store.propose(
        incident, call, plan, digest(call, plan), Approval.SOFT, START + 300, reason="full", at=START
    )
    await desk.tell()
    desk.log.approve(proposal, by="policy")
    for applied in desk.log.claimed(proposal):
        desk.log.store.applying(applied.id)
        desk.log.store.verifying(applied.id)
        desk.log.store.finish(applied.id, ChangeState.DONE, "as wanted", desk.log.clock.now)
    desk.log.store.settle(proposal.id, ProposalState.DONE, "Applied and verified.")
    (line,) = await desk.tell()
    assert "Raise the limit. is done. Applied and verified." in line
    assert not any("waits for a decision" in line for line in desk.receiver.lines)


async def test_what_is_not_severe_enough_is_not_told_nor_is_its_end(desk: Desk) -> None:
    incident = desk.open(severity=Severity.INFO)
    assert await desk.tell() == []
    desk.clear(incident)
    assert await desk.tell() == []


async def test_an_incident_that_becomes_severe_enough_is_told(desk: Desk) -> None:
    desk.open(severity=Severity.INFO)
    assert await desk.tell() == []
    desk.open(severity=Severity.CRITICAL)
    assert [line[:10] for line in await desk.tell()] == ["[critical]"]


async def test_only_the_kinds_of_message_that_were_asked_for_come(tmp_path: Path) -> None:
    desk = Desk(tmp_path, only=("escalated",))
    incident = desk.open()
    assert await desk.tell() == []
    desk.escalate(incident)
    assert len(await desk.tell()) == 1
    desk.close()


async def test_what_was_there_before_the_first_start_is_not_told(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.opened()
    log.store.close()
    desk = Desk(tmp_path)
    assert await desk.tell() == []
    desk.open(2)
    assert len(await desk.tell()) == 1
    desk.close()


async def test_what_happens_at_once_comes_in_one_message(desk: Desk) -> None:
    for number in range(50):
        desk.open(number)
    assert len(await desk.tell()) > 20
    (request,) = desk.receiver.requests
    assert request.body["title"] == "cockpit: 50 messages, warning the worst"
    assert "more. See: cockpit incidents" in request.body["message"]
    assert len(request.body["message"]) <= wording.LONGEST


async def test_a_storm_makes_no_more_messages_than_the_gathering_allows(desk: Desk) -> None:
    """Fifty services flap ten thousand times within two minutes."""
    for second in range(120):
        for number in range(second % 50, 50, 5):
            fingerprint = f"redis/{number}:redis-down"
            desk.open(number)
            cleared = desk.log.store.clear_alerts([fingerprint], desk.log.clock.now)
            for incident in cleared:
                desk.log.store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text="Resolved.")
        await desk.tell(1.0)
    assert len(desk.receiver.requests) <= 1 + 12
    await desk.tell()
    assert desk.log.store.notices.waiting("phone", desk.log.clock.now) == []


async def test_nothing_is_lost_while_the_receiver_is_down(desk: Desk) -> None:
    desk.receiver.stop()
    for number in range(5):
        desk.open(number)
        assert await desk.tell(400.0) == []
    desk.receiver.open()
    lines = list(itertools.chain(*[await desk.tell(400.0) for _ in range(3)]))
    assert sorted(line.split(":")[0] for line in lines) == [f"[warning] redis/{number}" for number in range(5)]
    told = [event.text for event in desk.log.store.reader.events() if event.kind == "note"]
    assert len(told) == 2 and "takes no messages, they are kept" in told[0] and "takes messages again" in told[1]


@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503])
async def test_what_the_receiver_refuses_is_told_when_it_takes_it(desk: Desk, status: int) -> None:
    desk.open()
    desk.receiver.status = status
    await desk.tell()
    desk.receiver.status = 0
    desk.receiver.requests.clear()
    assert len(await desk.tell(400.0)) == 1
    assert await desk.tell(400.0) == []


async def test_pauses_between_attempts_grow(desk: Desk) -> None:
    desk.open()
    desk.receiver.status = 500
    attempts = []
    for second in range(1000):
        before = len(desk.receiver.requests)
        await desk.tell(1.0)
        if len(desk.receiver.requests) > before:
            attempts.append(second)
    assert attempts == [0, 5, 15, 35, 75, 155, 315, 615, 915]


async def test_a_slow_receiver_gets_each_message_once(desk: Desk) -> None:
    desk.receiver.delay = 1.0
    desk.open()
    assert len(await desk.tell()) == 1
    assert await desk.tell() == []
    assert len(desk.receiver.requests) == 1


async def test_a_receiver_that_never_answers_is_given_up_for_now(desk: Desk, monkeypatch) -> None:
    monkeypatch.setattr(apprise_door, "ENDS_WITHIN", 2.0)
    desk.receiver.delay = 30.0
    desk.open()
    await desk.tell()
    assert desk.channel.failures == 1
    monkeypatch.undo()
    desk.receiver.delay = 0.0
    assert len(await desk.tell(400.0)) == 1
    assert desk.channel.failures == 0


async def test_one_message_that_is_never_taken_holds_up_no_other(desk: Desk) -> None:
    desk.receiver.answer = lambda request: (400 if "redis/0" in request.body["message"] else 200, {})
    for number in range(4):
        desk.open(number)
    for _ in range(20):
        await desk.tell(400.0)
    left = desk.log.store.notices.waiting("phone", desk.log.clock.now)
    assert [notice.service for notice in left] == ["redis/0"]


async def test_what_is_never_taken_is_given_up_after_days_and_that_is_said(desk: Desk) -> None:
    desk.receiver.status = 400
    desk.open()
    await desk.tell()
    await desk.tell(4 * 86400.0)
    assert desk.log.store.notices.waiting("phone", desk.log.clock.now) == []
    assert "did not take them for days: 1." in desk.log.store.reader.events()[-1].text


async def test_a_restart_tells_what_was_not_told_and_nothing_twice(desk: Desk) -> None:
    desk.open(1)
    await desk.tell()
    desk.open(2)
    desk.restart()  # before it was decided
    desk.open(3)
    desk.pass_by(10.0)
    desk.dispatcher.look()
    desk.restart()  # before it was sent
    await desk.tell()
    assert [line.split(":")[0] for line in desk.receiver.lines] == [f"[warning] redis/{n}" for n in (1, 2, 3)]
    desk.restart()
    assert await desk.tell() == []


async def test_a_process_that_is_told_to_end_waits_for_an_answer_that_is_on_its_way(desk: Desk) -> None:
    desk.receiver.delay = 0.5
    desk.open()
    desk.pass_by(10.0)
    desk.dispatcher.look()
    turn = asyncio.create_task(desk.channel.turn())
    async with asyncio.timeout(60):
        while not desk.receiver.requests:
            await asyncio.sleep(0.01)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    desk.restart()
    assert await desk.tell() == []
    assert len(desk.receiver.requests) == 1


async def test_a_muted_service_opens_incidents_of_which_nobody_is_told(desk: Desk) -> None:
    desk.log.store.mute("redis/1", desk.log.clock.now + 100, "ann")
    desk.clear(desk.open(1), 1)
    desk.open(2)
    assert [line.split(":")[0] for line in await desk.tell()] == ["[warning] redis/2"]
    assert await desk.tell(200.0) == []
    assert len(desk.log.store.reader.incidents()) == 2


async def test_what_is_still_wrong_when_a_mute_ends_is_told_then(desk: Desk) -> None:
    desk.log.store.mute("redis/1", desk.log.clock.now + 100, "ann")
    desk.open(1)
    assert await desk.tell() == []
    assert await desk.tell(89.0) == []
    assert [line.split(":")[0] for line in await desk.tell(10.0)] == ["[warning] redis/1"]


async def test_quiet_hours_hold_what_is_not_critical_until_the_morning(tmp_path: Path) -> None:
    """The clock stands at 09:00 in Berlin when quiet hours are from 08:00 to 10:00, over no midnight."""
    desk = Desk(tmp_path, quiet_hours=("08:00", "10:00"), zone="Europe/Berlin")
    desk.log.clock.now = 1_800_000_000.0  # 2027-01-15 09:00 in Berlin
    desk.open(1)
    desk.open(2, Severity.CRITICAL)
    assert [line.split(":")[0] for line in await desk.tell()] == ["[critical] redis/2"]
    desk.restart()
    assert await desk.tell(3570.0) == []
    assert [line.split(":")[0] for line in await desk.tell(30.0)] == ["[warning] redis/1"]
    desk.close()


async def test_hostile_text_arrives_as_text_and_calls_nobody(desk: Desk) -> None:
    summary = "@everyone <!channel> <@U1> [x](http://evil) \x1b[31m\u202e*bold*\n# head ![i](http://evil/p.png)"
    desk.log.store.ingest_alerts([alert("redis/1", summary=summary)])
    (line,) = await desk.tell()
    assert "@everyone" not in line and "<!channel" not in line and "<@U1" not in line
    assert "\x1b" not in line and "\u202e" not in line and "\n" not in line
    assert "[x](http://evil)" in line


async def test_an_address_that_means_nothing_is_refused() -> None:
    from cockpit.model import CockpitError

    with pytest.raises(CockpitError, match="none that Apprise knows"):
        await AppriseDoor("phone", "nonsense://x").check()
    await AppriseDoor("phone", "ntfy://127.0.0.1/topic").check()
