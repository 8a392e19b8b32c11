"""What nobody answers goes to the next channel, once, also over restarts and clocks that are set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.agent.elapsed import Elapsed
from cockpit.agent.silences import Silences
from cockpit.model import IncidentStatus, Severity, Verdict
from cockpit.serve.notify.dispatcher import Dispatcher
from cockpit.serve.notify.escalation import Escalations
from cockpit.serve.notify.routes import Route, routes
from cockpit.settings import Settings
from cockpit.settings.daemon import Escalation
from tests.unit.store_examples import Clock, Log

ORDER = Escalation(("phone", "mail", "siren"), after_minutes=10)
ROUTES = [Route("phone", Severity.WARNING), Route("mail", later=True), Route("siren", later=True)]


class Night:
    """An incident that waits for a person, and who was told of it."""

    def __init__(self, folder: Path) -> None:
        self.log = Log(folder)
        self.ticks = Clock(0.0)
        self.start()
        self.incident = self.log.opened()
        self.escalate()

    def start(self) -> None:
        elapsed = Elapsed(self.log.clock, self.ticks)
        silences = Silences(self.log.store, {}, clock=self.log.clock)
        self.escalations = Escalations(self.log.store, ORDER, silences, self.log.clock, elapsed)
        self.dispatcher = Dispatcher(self.log.store, ROUTES, silences, clock=self.log.clock)
        self.dispatcher.look()

    def to(self, status: IncidentStatus) -> None:
        self.log.store.advance(self.incident, status, actor="healer", text=f"Now {status}.")

    def escalate(self) -> None:
        self.to(IncidentStatus.ESCALATED)
        self.look()

    def look(self, minutes: float = 0.0) -> list[tuple[str, str]]:
        """Let minutes pass; who is told what by it."""
        before = {notice.id for notice in self.told()}
        self.log.clock.now += minutes * 60.0
        self.ticks.now += minutes * 60.0
        self.escalations.look()
        self.dispatcher.look()
        return [(notice.channel, notice.kind) for notice in self.told() if notice.id not in before]

    def told(self) -> list:
        now = self.log.clock.now
        return [each for route in ROUTES for each in self.log.store.notices.waiting(route.name, now)]


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    night = Night(tmp_path)
    yield night
    night.log.store.close()


def test_the_first_channel_is_told_at_once_and_the_others_in_their_turn(night: Night) -> None:
    assert [(notice.channel, notice.kind) for notice in night.told()] == [("phone", "opened"), ("phone", "escalated")]
    assert night.look(9.9) == []
    assert night.look(0.2) == [("mail", "reminder")]
    assert night.look(9.7) == []
    assert night.look(0.3) == [("siren", "reminder")]
    assert night.look(100.0) == []


def test_a_proposal_that_nobody_decides_counts_on_after_it_expired(night: Night) -> None:
    night.to(IncidentStatus.WAITING)
    night.look(6.0)
    night.escalate()
    assert night.look(4.1) == [("mail", "reminder")]


def test_looking_again_does_not_begin_the_count_anew(night: Night) -> None:
    night.look(6.0)
    night.to(IncidentStatus.INVESTIGATING)
    assert night.look(5.0) == []
    night.escalate()
    assert ("mail", "reminder") in [(notice.channel, notice.kind) for notice in night.told()]


def test_who_was_told_late_is_told_of_the_end_and_who_was_not_is_not(night: Night) -> None:
    night.look(11.0)
    night.to(IncidentStatus.RESOLVED)
    assert night.look() == [("phone", "resolved"), ("mail", "resolved")]
    assert night.look(100.0) == []


def test_an_acknowledged_incident_goes_no_further(night: Night) -> None:
    night.look(5.0)
    night.log.store.note("ann", "acknowledge", "ann looks into it.", incident=night.incident)
    assert night.look(100.0) == []


def test_a_person_who_denied_has_answered_and_a_deadline_has_not(night: Night) -> None:
    proposal = night.log.proposed(night.incident)
    night.to(IncidentStatus.WAITING)
    night.log.clock.now += 301
    night.log.store.expire(night.log.clock.now)
    night.escalate()
    assert ("mail", "reminder") in night.look(10.0)
    again = night.log.proposed(night.incident)
    night.log.store.decide(again.id, again.digest, Verdict.DENIED, by="ann", channel="telegram", at=night.log.clock.now)
    night.escalate()
    assert proposal.id != again.id and night.look(100.0) == []


def test_an_escalation_goes_on_after_a_restart_and_repeats_nothing(night: Night) -> None:
    night.look(10.5)
    night.start()
    assert night.look() == []
    assert night.look(9.0) == []
    night.start()
    assert night.look(1.0) == [("siren", "reminder")]


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_is_set_neither_hastens_nor_delays_it(night: Night, jump: float) -> None:
    night.look(1.0)
    night.log.clock.now += jump
    assert night.look(8.9) == []
    assert night.look(0.2) == [("mail", "reminder")]


def test_a_muted_service_is_handed_to_nobody_until_the_mute_ends(night: Night) -> None:
    night.log.store.mute("redis/main", night.log.clock.now + 1800, "ann")
    assert night.look(29.0) == []
    assert night.look(2.0) == [("mail", "reminder")]


def test_an_incident_that_is_being_mended_waits_for_nobody(night: Night) -> None:
    night.look(9.0)
    night.to(IncidentStatus.CHANGING)
    night.look()
    night.escalate()
    assert night.look(9.0) == []
    assert night.look(1.1) == [("mail", "reminder")]


def test_without_an_escalation_every_channel_is_told_at_once() -> None:
    assert routes(Settings()) == []
