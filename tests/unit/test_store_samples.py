"""Samples: what is kept, for how long, how coarse, and how large a year becomes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.model import Health, Level
from cockpit.store import services
from cockpit.store.samples import Cell, packed, unpacked
from tests.unit.store_examples import START, Log, health
from tests.unit.store_examples import services as configured

DAY = 86_400.0
MIDNIGHT = START - START % DAY


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "data")
    made.store.watch(configured("redis/main", "redis/other"))
    yield made
    made.store.close()


def probed(log: Log, readings: dict[float, float], service: str = "redis/main") -> None:
    """Many probes in one transaction, for the disk is not what is tested here."""
    with log.store._transaction() as transaction:
        for at, value in readings.items():
            services.record_health(transaction, service, Health(Level.UP, "", {"clients": value}), at)


def read(log: Log, since: float = 0.0, until: float = math.inf) -> list[tuple[float, float]]:
    return log.store.reader.samples("redis/main", "clients", since, until)


def test_raw_samples_come_back_exactly_and_with_the_latency(log: Log) -> None:
    log.store.record_health("redis/main", health(clients=0.1, used_bytes=2.0**40 + 1), START)
    reader = log.store.reader
    assert reader.samples("redis/main", "used_bytes", START, START) == [(START, 2.0**40 + 1)]
    assert reader.samples("redis/main", "latency_seconds", START, START) == [(START, 0.02)]
    assert reader.sample_names("redis/main") == ["clients", "latency_seconds", "used_bytes"]


def test_a_span_is_read_with_both_its_ends_and_one_service_only(log: Log) -> None:
    probed(log, {START + n: float(n) for n in range(10)})
    probed(log, {START + 4: 99.0}, "redis/other")
    assert read(log, START + 3, START + 5) == [(START + n, float(n)) for n in (3, 4, 5)]
    assert log.store.reader.recent("redis/main", "clients", points=3) == [7.0, 8.0, 9.0]


def test_a_probe_may_measure_other_things_than_the_one_before(log: Log) -> None:
    for at, samples in enumerate([{"a": 1.0}, {"a": 2.0, "b": 3.0}, {"b": 4.0}, {}]):
        log.store.record_health("redis/main", Health(Level.UP, "", samples), START + at)
    reader = log.store.reader
    assert (reader.recent("redis/main", "a"), reader.recent("redis/main", "b")) == ([1.0, 2.0], [3.0, 4.0])
    assert reader.recent("redis/main", "never") == reader.recent("nobody", "a") == []


def test_what_is_no_number_is_left_out(log: Log) -> None:
    samples = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1.0}
    log.store.record_health("redis/main", Health(Level.UP, "", samples), START)
    assert log.store.reader.sample_names("redis/main") == ["d"]
    assert log.store.reader.services()[0].health.samples == {"d": 1.0}


def test_samples_stay_raw_for_a_day(log: Log) -> None:
    readings = {START - DAY + n * 600.0: float(n) for n in range(144)}
    probed(log, readings)
    log.store.thin(START)
    assert read(log) == sorted(readings.items())


def test_after_a_day_five_minutes_become_one_point_at_their_middle(log: Log) -> None:
    probed(log, {MIDNIGHT + n * 10.0: float(n) for n in range(60)})
    log.store.thin(MIDNIGHT + 2 * DAY)
    assert read(log) == [(MIDNIGHT + 150.0, pytest.approx(14.5)), (MIDNIGHT + 450.0, pytest.approx(44.5))]
    assert log.store.reader.recent("redis/main", "clients") == []


def test_after_thirty_days_an_hour_becomes_one_point(log: Log) -> None:
    probed(log, {MIDNIGHT + n * 60.0: float(n) for n in range(120)})
    log.store.thin(MIDNIGHT + 2 * DAY)
    log.store.thin(MIDNIGHT + 32 * DAY)
    assert read(log) == [(MIDNIGHT + 1800.0, pytest.approx(29.5)), (MIDNIGHT + 5400.0, pytest.approx(89.5))]


def test_the_extremes_within_a_span_are_kept(log: Log) -> None:
    probed(log, {MIDNIGHT: 5.0, MIDNIGHT + 10: -3.0, MIDNIGHT + 20: 10.0})
    log.store.thin(MIDNIGHT + 2 * DAY)
    [row] = log.store.reader._fetch("select cells from chunk")
    assert unpacked(row["cells"]) == {0: Cell(3, 4.0, -3.0, 10.0)}


def test_each_part_of_a_span_comes_at_the_finest_resolution_kept(log: Log) -> None:
    for day in (0, 40, 60):
        probed(log, {MIDNIGHT + day * DAY + n * 60.0: 1.0 for n in range(60)})
        log.store.thin(MIDNIGHT + day * DAY + 3600)
    log.store.thin(MIDNIGHT + 60 * DAY + 3600)
    points = [at - MIDNIGHT for at, _ in read(log)]
    assert [sum(day * DAY <= at < (day + 1) * DAY for at in points) for day in (0, 40, 60)] == [1, 12, 60]
    assert points == sorted(points)


def test_thinning_twice_changes_nothing_more_and_a_late_sample_joins_its_span(log: Log) -> None:
    probed(log, {MIDNIGHT: 1.0, MIDNIGHT + 10: 3.0})
    for _ in range(2):
        log.store.thin(MIDNIGHT + 2 * DAY)
        assert read(log) == [(MIDNIGHT + 150.0, 2.0)]
    probed(log, {MIDNIGHT + 20: 8.0})
    log.store.thin(MIDNIGHT + 2 * DAY)
    assert read(log) == [(MIDNIGHT + 150.0, 4.0)]


def test_no_sample_is_counted_twice_or_lost_on_its_way_down(log: Log) -> None:
    probed(log, {MIDNIGHT + n * 61.0: float(n % 7) for n in range(2000)})
    for day in (1.3, 2.2, 31.7, 45.0):
        log.store.thin(MIDNIGHT + day * DAY)
        cells = [
            cell
            for row in log.store.reader._fetch("select cells from chunk")
            for cell in unpacked(row["cells"]).values()
        ]
        raw = log.store.reader._fetch("select count(*) from reading")[0][0]
        assert sum(cell.readings for cell in cells) + raw == 2000
    mean = sum(n % 7 for n in range(2000)) / 2000
    assert sum(cell.average * cell.readings for cell in cells) / 2000 == pytest.approx(mean, rel=1e-5)


def test_cells_hold_what_does_not_fit_at_its_limit() -> None:
    assert unpacked(packed({3: Cell(10**6, 1e300, -1e300, 0.5)})) == {
        3: Cell(65535, pytest.approx(3.4e38), pytest.approx(-3.4e38), 0.5)
    }


def test_thinning_lets_others_write_in_between(log: Log) -> None:
    probed(log, {MIDNIGHT + n * 600.0: 1.0 for n in range(720)})
    held = []
    begin = log.store._transaction

    def counted():
        held.append(log.store.reader.last_event())
        return begin()

    from cockpit.store import thinning

    thinning.thin(counted, MIDNIGHT + 6 * DAY)
    assert len(held) >= 60


def pages(log: Log) -> int:
    """Bytes of the file that hold something."""
    values = [log.store.reader._fetch(f"pragma {name}")[0][0] for name in ("page_count", "freelist_count", "page_size")]
    return (values[0] - values[1]) * values[2]


def test_a_year_of_fifty_services_stays_under_500_megabytes(tmp_path: Path) -> None:
    """Extrapolated from six hours of ten services with 14 samples each, probed every 10 s in turn."""
    log = Log(tmp_path / "data")
    names = [f"redis/{n}" for n in range(10)]
    log.store.watch(configured(*names))
    empty = pages(log)
    probes = 6 * 360
    for start in range(0, probes, 60):
        with log.store._transaction() as transaction:
            for tick in range(start, start + 60):
                for number, name in enumerate(names):
                    samples = {f"sample_{k}_bytes": 1e9 * math.sin(tick + k + number) for k in range(13)}
                    services.record_health(transaction, name, Health(Level.UP, "", samples, 0.01), MIDNIGHT + tick * 10)
    raw = pages(log) - empty
    log.store.thin(MIDNIGHT + 2 * DAY)
    short = pages(log) - empty
    log.store.thin(MIDNIGHT + 40 * DAY)
    long = pages(log) - empty
    # A chunk of hours has the size of a whole day's, though only six of its hours are filled.
    samples = raw * 4 * 5 + short * 4 * 5 * 30 + long * 5 * 335
    before = pages(log)
    for number in range(40):
        log.lived_through(f"redis/{number}")
    incidents = (pages(log) - before) / 40 * 3 * 365
    log.store.close()
    print(f"a year: samples {samples / 1e6:.0f} MB, three incidents a day {incidents / 1e6:.0f} MB")
    assert samples + incidents < 500e6
