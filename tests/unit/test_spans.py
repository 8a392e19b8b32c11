"""Quiet hours and maintenance windows follow the clock on the wall, whatever summer time does to it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from cockpit.agent.spans import quiet_end, timestamp, window_end, zone_of
from cockpit.settings.daemon import Maintenance

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
SUNDAY = (6,)


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("zone", "local", "wanted"),
    [
        (BERLIN, "2026-03-29T01:59", "2026-03-29T00:59"),
        (BERLIN, "2026-03-29T02:30", "2026-03-29T01:30"),  # is skipped: 03:30 in summer time
        (BERLIN, "2026-03-29T03:00", "2026-03-29T01:00"),
        (BERLIN, "2026-10-25T02:30", "2026-10-25T00:30"),  # comes twice: the first of them
        (BERLIN, "2026-10-25T03:00", "2026-10-25T02:00"),
        (NEW_YORK, "2026-03-08T02:30", "2026-03-08T07:30"),
        (NEW_YORK, "2026-11-01T01:30", "2026-11-01T05:30"),
        (LORD_HOWE, "2026-10-04T02:15", "2026-10-03T15:45"),  # half an hour is skipped
        (LORD_HOWE, "2026-04-05T01:45", "2026-04-04T14:45"),  # half an hour comes twice
    ],
)
def test_a_local_time_that_is_skipped_or_comes_twice_is_one_moment(zone, local, wanted):
    assert timestamp(datetime.fromisoformat(local), zone_of(zone)) == utc(wanted)


# Every Sunday at 01:45 for 90 minutes: the window begins and ends at these moments.
WINDOWS = [
    (BERLIN, "2026-03-22T00:45", "2026-03-22T02:15"),
    (BERLIN, "2026-03-29T00:45", "2026-03-29T02:15"),  # 01:45 to 04:15 on the wall
    (BERLIN, "2026-10-24T23:45", "2026-10-25T01:15"),  # 01:45 to 02:15 on the wall, the second time
    (NEW_YORK, "2026-03-08T06:45", "2026-03-08T08:15"),
    (NEW_YORK, "2026-11-01T05:45", "2026-11-01T07:15"),  # 01:45 comes twice, and starts it once
    (LORD_HOWE, "2026-10-03T15:15", "2026-10-03T16:45"),
    (LORD_HOWE, "2026-04-04T14:45", "2026-04-04T16:15"),
]


@pytest.mark.parametrize(("zone", "start", "end"), WINDOWS)
def test_a_window_that_comes_again_lasts_as_long_on_every_day(zone, start, end):
    window = Maintenance("updates", weekdays=SUNDAY, at="01:45", minutes=90, zone=zone)
    assert window_end(window, utc(start) - 1) is None
    assert window_end(window, utc(start)) == utc(end)
    assert window_end(window, utc(end) - 1) == utc(end)
    assert window_end(window, utc(end)) is None


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE])
def test_a_weekly_window_is_on_once_a_week_of_the_whole_year(zone):
    window = Maintenance("updates", weekdays=SUNDAY, at="02:15", minutes=60, zone=zone)
    first, step = utc("2026-01-01T00:00"), 300.0
    on = [window_end(window, first + number * step) is not None for number in range(365 * 288)]
    assert sum(now and not before for before, now in pairwise(on)) == 52
    assert sum(on) == 52 * 12


def test_a_window_may_last_over_midnight_and_over_days():
    window = Maintenance("move", weekdays=(4,), at="22:00", minutes=48 * 60, zone=BERLIN)
    assert window_end(window, utc("2026-06-21T19:59")) == utc("2026-06-21T20:00")  # Friday to Sunday
    assert window_end(window, utc("2026-06-21T20:00")) is None


def test_a_window_that_happens_once_reads_its_times_in_its_zone():
    start, end = datetime(2026, 3, 29, 1, 0), datetime(2026, 3, 29, 4, 0)
    window = Maintenance("once", start=start, end=end, zone=BERLIN)
    assert window_end(window, utc("2026-03-29T00:00")) == utc("2026-03-29T02:00")
    aware = Maintenance("once", start=start.replace(tzinfo=UTC), end=end.replace(tzinfo=UTC), zone=BERLIN)
    assert window_end(aware, utc("2026-03-29T00:59")) is None
    assert window_end(aware, utc("2026-03-29T01:00")) == utc("2026-03-29T04:00")


@pytest.mark.parametrize(
    ("zone", "now", "end"),
    [
        (BERLIN, "2026-06-10T19:59", None),
        (BERLIN, "2026-06-10T20:00", "2026-06-11T05:00"),
        (BERLIN, "2026-06-10T23:30", "2026-06-11T05:00"),  # past midnight on the wall
        (BERLIN, "2026-06-11T04:59", "2026-06-11T05:00"),
        (BERLIN, "2026-06-11T05:00", None),
        (BERLIN, "2026-03-28T22:00", "2026-03-29T05:00"),  # an hour shorter
        (BERLIN, "2026-10-24T21:00", "2026-10-25T06:00"),  # an hour longer
        (NEW_YORK, "2026-03-08T05:00", "2026-03-08T11:00"),
        (NEW_YORK, "2026-11-01T05:00", "2026-11-01T12:00"),
        (LORD_HOWE, "2026-10-03T13:00", "2026-10-03T20:00"),
        (LORD_HOWE, "2026-04-04T13:00", "2026-04-04T20:30"),
    ],
)
def test_quiet_hours_span_midnight_and_the_days_clocks_are_set(zone, now, end):
    wanted = utc(end) if end else None
    assert quiet_end(("22:00", "07:00"), zone_of(zone), utc(now)) == wanted


def test_quiet_hours_that_end_when_the_hour_comes_twice_end_once():
    zone, ends = ZoneInfo(BERLIN), utc("2026-10-25T00:30")
    moments = [utc("2026-10-24T20:00") + minutes * 60 for minutes in range(12 * 60)]
    quiet = [moment for moment in moments if quiet_end(("22:00", "02:30"), zone, moment) is not None]
    assert (quiet[0], quiet[-1] + 60) == (moments[0], ends)
    assert len(quiet) == (ends - moments[0]) / 60


def test_quiet_hours_within_a_day_and_none_at_all():
    zone = zone_of(BERLIN)
    assert quiet_end(("12:00", "14:00"), zone, utc("2026-06-10T11:00")) == utc("2026-06-10T12:00")
    assert quiet_end(("12:00", "14:00"), zone, utc("2026-06-10T12:00")) is None
    assert quiet_end(("12:00", "12:00"), zone, utc("2026-06-10T10:00")) is None
    assert quiet_end(None, zone, utc("2026-06-10T11:00")) is None
