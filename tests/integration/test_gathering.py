"""Readings that come together are one commit, and a slow probe holds nobody up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.agent import gathering
from cockpit.agent.gathering import Gathering
from cockpit.model import Health, Level, Service
from cockpit.store.connection import StoreError
from cockpit.store.store import Store

SERVICES = {name: Service(f"switch/{name}") for name in ("one", "two", "three")}
UP = Health(Level.UP, "on", {"on": 1.0})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "data" / "cockpit.db") as opened:
        opened.watch(list(SERVICES.values()))
        yield opened


def gathered(store: Store, fails: str = "") -> Gathering:
    def write(service: Service, health: Health) -> None:
        store.record_health(service.name, health, time.time())
        if service.name == fails:
            raise StoreError("The disk is full.", "Make room.")

    return Gathering(store, write)


async def look(readings: Gathering, name: str, seconds: float = 0.0) -> None:
    with readings.expecting():
        await asyncio.sleep(seconds)
    await readings.add(SERVICES[name], UP)


def written(store: Store) -> int:
    return len(store.reader.rows("select 1 from reading"))


async def test_what_is_read_at_the_same_time_is_one_commit(store: Store) -> None:
    readings, commits = gathered(store), Commits(store)
    await asyncio.gather(look(readings, "one", 0.01), look(readings, "two", 0.02), look(readings, "three", 0.03))
    assert (written(store), commits.counted()) == (3, 1)


async def test_what_is_read_alone_is_written_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PATIENCE", 3600.0)
    readings, commits = gathered(store), Commits(store)
    for name in SERVICES:
        await look(readings, name)
    assert (written(store), commits.counted()) == (3, 3)


async def test_a_probe_that_hangs_holds_up_no_other_reading(store: Store) -> None:
    readings = gathered(store)
    hung = asyncio.create_task(look(readings, "one", 3600.0))
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await asyncio.gather(look(readings, "two"), look(readings, "three"))
    assert written(store) == 2
    hung.cancel()
    await asyncio.gather(hung, return_exceptions=True)
    await look(readings, "one")
    assert written(store) == 3


async def test_what_cannot_be_written_is_told_to_each_that_looked_and_nothing_is_kept(store: Store) -> None:
    readings = gathered(store, fails="switch/two")
    looks = (look(readings, "one", 0.01), look(readings, "two", 0.01), look(readings, "three", 0.01))
    outcomes = await asyncio.gather(*looks, return_exceptions=True)
    assert [type(each) for each in outcomes] == [StoreError] * 3
    assert written(store) == 0


class Commits:
    """Counts the commits of a store, by the statements that SQLite runs for it."""

    def __init__(self, store: Store) -> None:
        self._count = 0
        store._database.conn.set_trace_callback(self._saw)

    def _saw(self, statement: str) -> None:
        self._count += statement == "commit"

    def counted(self) -> int:
        return self._count
