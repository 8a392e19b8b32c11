"""The monitor: every service on its own interval, dead parents, and what counts as one incident."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.agent.monitor import Monitor, turn
from cockpit.agent.runbooks import Condition, Library
from cockpit.model import Health, Level, Service, Severity
from cockpit.store.store import Store
from cockpit.toolkit import Client, Kind, Registry


class Switch(Client):
    """A service that is what a file says: `up`, `down`, or `hang`."""

    def state(self) -> str:
        return Path(self.text("file")).read_text()


class Writer(Switch):
    pass


switch = Kind("switch", "A switch", Switch, Writer)


@switch.health(on="1 when on")
async def probe(reader: Switch) -> Health:
    if reader.state() == "hang":
        await asyncio.sleep(60)
    level = Level.UP if reader.state() == "up" else Level.DOWN
    return Health(level, reader.state(), {"on": float(level is Level.UP)})


DOWN = Condition("switch-down", "switch", "level == 'down'", "${service} is down", Severity.CRITICAL)


class House:
    """Some switches that depend on each other, and a monitor over them."""

    def __init__(self, folder: Path, **depends_on: tuple[str, ...]) -> None:
        self.folder = folder
        self.store = Store.open(folder / "data" / "cockpit.db")
        self.services = {f"switch/{name}": self.service(name, parents) for name, parents in depends_on.items()}
        self.store.watch(list(self.services.values()))
        self.changed = 0
        library = Library(conditions={DOWN.id: DOWN})
        self.monitor = Monitor(Registry.of([switch]), self.store, self.services, library, self.on_change)

    def service(self, name: str, parents: tuple[str, ...]) -> Service:
        self.turn(name, "up")
        options = {"file": str(self.folder / name)}
        return Service(f"switch/{name}", options, tuple(f"switch/{p}" for p in parents), interval=0.1, timeout=0.3)

    def turn(self, name: str, state: str) -> None:
        (self.folder / name).write_text(state)

    def on_change(self) -> None:
        self.changed += 1

    def level(self, name: str) -> Level:
        return next(w.health.level for w in self.store.reader.services() if w.service.name == f"switch/{name}")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def make(**depends_on: tuple[str, ...]) -> House:
        made.append(House(tmp_path, **depends_on))
        return made[-1]

    yield make
    for each in made:
        each.store.close()


async def test_a_service_that_is_down_becomes_an_incident(house: Callable[..., House]) -> None:
    one = house(db=())
    one.turn("db", "down")
    await one.monitor.look("switch/db")
    assert [incident.service for incident in one.store.reader.incidents()] == ["switch/db"]
    assert one.changed == 1


async def test_behind_a_dead_parent_a_service_is_unknown_and_stands_in_its_incident(
    house: Callable[..., House],
) -> None:
    two = house(db=(), web=("db",))
    two.turn("db", "down")
    two.turn("web", "down")
    await two.monitor.look("switch/web")
    incidents = two.store.reader.incidents()
    assert [incident.service for incident in incidents] == ["switch/db"]
    assert incidents[0].alerts == 2
    assert two.level("db") is Level.DOWN
    assert two.level("web") is Level.UNKNOWN


async def test_a_dead_grandparent_is_where_the_trouble_starts(house: Callable[..., House]) -> None:
    three = house(disk=(), db=("disk",), web=("db",))
    for name in ("disk", "db", "web"):
        three.turn(name, "down")
    await three.monitor.look("switch/web")
    assert [incident.service for incident in three.store.reader.incidents()] == ["switch/disk"]


async def test_a_child_that_fails_alone_is_its_own_incident(house: Callable[..., House]) -> None:
    two = house(db=(), web=("db",))
    two.turn("web", "down")
    await two.monitor.look("switch/web")
    assert [incident.service for incident in two.store.reader.incidents()] == ["switch/web"]
    assert two.level("web") is Level.DOWN


async def test_what_is_expected_to_be_down_raises_nothing(house: Callable[..., House]) -> None:
    one = house(db=())
    one.services["switch/db"] = Service("switch/db", one.services["switch/db"].options, expected_down=True)
    one.turn("db", "down")
    await one.monitor.look("switch/db")
    assert one.store.reader.incidents() == []
    assert one.level("db") is Level.DOWN


async def test_a_hung_service_delays_no_other(house: Callable[..., House]) -> None:
    two = house(slow=(), quick=())
    two.turn("slow", "hang")
    task = asyncio.create_task(two.monitor.run())
    deadline = time.monotonic() + 60
    while len(two.store.reader.recent("switch/quick", "on")) < 3:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert two.level("quick") is Level.UP


async def test_recovery_is_read_twice(house: Callable[..., House]) -> None:
    one = house(db=())
    one.turn("db", "down")
    await one.monitor.look("switch/db")
    one.turn("db", "up")
    await one.monitor.look("switch/db")
    assert one.store.reader.alerts(firing_only=True)
    await asyncio.sleep(0.6)
    await one.monitor.look("switch/db")
    assert not one.store.reader.alerts(firing_only=True)


@given(st.floats(0, 1e6), st.sampled_from([0.1, 1.0, 2.5, 10.0, 3600.0]), st.floats(-10, 1e5))
def test_turns_stay_on_their_beat_however_long_a_look_took(first: float, interval: float, later: float) -> None:
    due = turn(first, interval, first + later)
    assert due >= max(first, first + later - 1e-6)
    assert due - (first + later) <= interval + 1e-6 or due == first
    assert (due - first) / interval == pytest.approx(round((due - first) / interval), abs=1e-6)
