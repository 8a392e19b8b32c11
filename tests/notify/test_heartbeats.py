"""A sign of life that stays out raises an alert, one that comes back ends it, whoever's clock is set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.agent.elapsed import Elapsed
from cockpit.agent.heartbeats import Heartbeats
from cockpit.model import CockpitError, Severity
from cockpit.settings.daemon import Heartbeat
from cockpit.store.store import Store
from tests.unit.store_examples import Clock, Log

BACKUP = Heartbeat("backup", every=60.0, grace=30.0, severity=Severity.CRITICAL)


class Ward:
    """A log that waits for one heartbeat."""

    def __init__(self, folder: Path) -> None:
        self.log, self.ticks, self.changed = Log(folder), Clock(0.0), 0
        self.start()

    def start(self) -> None:
        elapsed = Elapsed(self.log.clock, self.ticks)
        self.heartbeats = Heartbeats(self.log.store, [BACKUP], self.on_change, self.log.clock, elapsed)
        self.log.store.heartbeats.expect([BACKUP.name], self.log.clock.now)
        self.heartbeats.look()

    def restart(self, after: float) -> None:
        self.log.store.close()
        self.log.clock.now += after
        self.ticks.now = 0.0
        self.log.store = Store.open(self.log.path, clock=self.log.clock)
        self.start()

    def on_change(self) -> None:
        self.changed += 1

    def beat(self) -> None:
        self.log.store.heartbeats.beat("backup", self.log.clock.now)

    def look(self, seconds: float) -> list[str]:
        """Let seconds pass; the services whose heartbeat is missing then."""
        self.log.clock.now += seconds
        self.ticks.now += seconds
        self.heartbeats.look()
        return [raised.alert.service for raised in self.log.store.reader.alerts(firing_only=True)]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    ward = Ward(tmp_path)
    yield ward
    ward.log.store.close()


def test_one_that_comes_in_time_raises_nothing(ward: Ward) -> None:
    for _ in range(10):
        ward.beat()
        assert ward.look(80.0) == []
    assert ward.changed == 0


def test_one_that_stays_out_raises_an_alert_once_and_coming_back_clears_it(ward: Ward) -> None:
    ward.beat()
    assert ward.look(89.0) == []
    assert ward.look(2.0) == ["heartbeat/backup"]
    ward.look(500.0)
    (raised,) = ward.log.store.reader.alerts()
    assert raised.alert.severity is Severity.CRITICAL
    assert raised.alert.summary == "No heartbeat of backup for 91 s; one is due every 60 s."
    ward.beat()
    assert ward.look(0.5) == []
    assert ward.changed == 2 and len(ward.log.store.reader.alerts()) == 1


def test_one_that_never_came_is_waited_for_from_the_first_start_on(ward: Ward) -> None:
    assert ward.look(89.0) == []
    assert ward.look(2.0) == ["heartbeat/backup"]


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_is_set_raises_nothing_and_hides_nothing(ward: Ward, jump: float) -> None:
    ward.beat()
    ward.look(1.0)
    ward.log.clock.now += jump
    assert ward.look(80.0) == []
    assert ward.look(10.0) == ["heartbeat/backup"]


def test_after_a_start_there_is_a_grace_for_what_nobody_could_take_in(ward: Ward) -> None:
    ward.beat()
    ward.restart(after=7200.0)
    assert ward.look(29.0) == []
    assert ward.look(2.0) == ["heartbeat/backup"]


def test_an_alert_outlives_a_restart_and_is_not_raised_twice(ward: Ward) -> None:
    ward.look(100.0)
    ward.restart(after=10.0)
    assert ward.look(100.0) == ["heartbeat/backup"]
    assert len(ward.log.store.reader.alerts()) == 1
    ward.beat()
    assert ward.look(1.0) == []


def test_nobody_waits_for_a_name_that_is_not_in_the_config(ward: Ward) -> None:
    with pytest.raises(CockpitError, match="No heartbeat 'other' is waited for"):
        ward.log.store.heartbeats.beat("other", ward.log.clock.now)
    ward.log.store.heartbeats.expect(["other"], ward.log.clock.now)
    with pytest.raises(CockpitError, match="Known: other"):
        ward.beat()
