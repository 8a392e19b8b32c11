"""Conditions: hold time, hysteresis, and that missing data is no news."""

from __future__ import annotations

from cockpit.agent.conditions import Conditions, Outcome
from cockpit.agent.runbooks import Condition
from cockpit.model import Health, Level, Service, Severity

ONE = Service("world/one")


def condition(**fields: object) -> Condition:
    known = {
        "id": "full",
        "kind": "world",
        "when": "samples.used > 0.9",
        "summary": "${samples.used}",
        "severity": Severity.WARNING,
    }
    return Condition(**{**known, **fields})  # type: ignore[arg-type]  # keywords of a condition


class Series:
    """Readings one after the other, a second apart unless said otherwise."""

    def __init__(self, *conditions: Condition, firing: tuple[str, ...] = ()) -> None:
        self.conditions = Conditions(ONE, conditions, firing)
        self.now = 0.0

    def reads(self, used: float | None, after: float = 1.0, level: Level = Level.UP) -> Outcome:
        self.now += after
        samples = {} if used is None else {"used": used}
        return self.conditions.read(Health(level, "", samples), 1000.0 + self.now, self.now)


def test_an_alert_is_raised_once_and_names_its_numbers() -> None:
    series = Series(condition())
    assert [alert.summary for alert in series.reads(0.95).raised] == ["0.95"]
    assert series.reads(0.95).raised == []


def test_it_must_hold_for_its_time() -> None:
    series = Series(condition(hold=3.0))
    assert not series.reads(0.95).raised
    assert not series.reads(0.95, after=2.0).raised
    assert series.reads(0.95, after=1.0).raised


def test_one_good_reading_in_between_starts_the_time_anew() -> None:
    series = Series(condition(hold=3.0))
    series.reads(0.95)
    series.reads(0.1)
    assert not series.reads(0.95, after=2.0).raised


def test_one_good_look_is_not_recovery() -> None:
    series = Series(condition())
    series.reads(0.95)
    assert series.reads(0.1).cleared == []
    assert series.reads(0.1).cleared == ["world/one:full"]


def test_two_looks_at_the_same_moment_are_one_look() -> None:
    series = Series(condition())
    series.reads(0.95)
    series.reads(0.1)
    assert series.reads(0.1, after=0.0).cleared == []


def test_it_clears_only_below_its_lower_mark() -> None:
    series = Series(condition(clear="samples.used < 0.5"))
    series.reads(0.95)
    for _ in range(5):
        assert series.reads(0.7).cleared == []
    series.reads(0.4)
    assert series.reads(0.4).cleared


def test_missing_data_neither_raises_nor_clears() -> None:
    series = Series(condition())
    series.reads(0.95)
    for _ in range(5):
        outcome = series.reads(None, level=Level.DOWN)
        assert outcome == Outcome()


def test_a_rule_that_names_no_sample_is_told_once() -> None:
    series = Series(condition(when="samples.usde > 1"))
    assert "usde" in series.reads(0.1).untold[0]
    assert series.reads(0.1).untold == []


def test_an_alert_that_fired_before_a_restart_goes_on() -> None:
    series = Series(condition(), firing=("world/one:full",))
    assert series.reads(0.95).raised == []
    series.reads(0.1)
    assert series.reads(0.1).cleared == ["world/one:full"]
