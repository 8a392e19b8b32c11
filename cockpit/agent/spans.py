"""Spans of time as people mean them: by the clock on the wall of some place, whatever summer time does to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as time_of_day

from cockpit.settings.daemon import Maintenance


def zone_of(name: str) -> tzinfo | None:
    """The time zone of that name; None, which stands for this machine's, when it is empty."""
    from zoneinfo import ZoneInfo

    return ZoneInfo(name) if name else None


def timestamp(local: datetime, zone: tzinfo | None) -> float:
    """Seconds since the epoch of a local time.

    One that is skipped when clocks go forward is as much later as they are set; one that
    comes twice when they go back is the first of the two. An offset of its own counts before the zone.
    """
    if local.tzinfo is None:
        local = local.replace(tzinfo=zone, fold=0)
    return local.timestamp()


def window_end(window: Maintenance, now: float) -> float | None:
    """When the window that is on at that moment ends; None when none is."""
    zone = zone_of(window.zone)
    if window.start and window.end:
        start, end = timestamp(window.start, zone), timestamp(window.end, zone)
        return end if start <= now < end else None
    length = window.minutes * 60.0
    ends = [
        start + length
        for day in _days(now - length, now, zone)
        if not window.weekdays or day.weekday() in window.weekdays
        if (start := _moment(day, window.at, zone)) <= now < start + length
    ]
    return max(ends, default=None)


def quiet_end(hours: tuple[str, str] | None, zone: tzinfo | None, now: float) -> float | None:
    """When the quiet hours that are on at that moment end; None when none are. They may span midnight."""
    if hours is None:
        return None
    start, end = hours
    for day in _days(now - 86400.0, now, zone):
        last = day if end > start else day + timedelta(days=1)
        if start != end and _moment(day, start, zone) <= now < _moment(last, end, zone):
            return _moment(last, end, zone)
    return None


def _moment(day: date, at: str, zone: tzinfo | None) -> float:
    return timestamp(datetime.combine(day, time_of_day.fromisoformat(at)), zone)


def _days(first: float, last: float, zone: tzinfo | None) -> list[date]:
    """The local dates from a day before the first moment to the last one's."""
    start, end = (datetime.fromtimestamp(at, UTC).astimezone(zone).date() for at in (first, last))
    return [start + timedelta(days=number) for number in range(-1, (end - start).days + 1)]
