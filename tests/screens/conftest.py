"""Stages: the app on a store with a story in it, a clock that stands still, and an engine that only takes notes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from cockpit.app import CockpitApp
from cockpit.screens.desk import Desk
from cockpit.store.reader import Reader
from tests.screens.recorder import Recorder
from tests.screens.world import World, build


@dataclass
class Stage:
    """An app that has not been started, and all that stands behind it."""

    world: World
    engine: Recorder
    app: CockpitApp

    async def settled(self, pilot: Pilot[Any]) -> None:
        """Wait until the engine is there, everything has been read, and all is painted."""
        for _ in range(500):
            await pilot.pause(0.01)
            reading = [worker for worker in self.app.workers if worker.group != "engine" and not worker.is_finished]
            view = self.app.view
            if self.app.desk.engine and not reading and view and view.settled:
                await pilot.pause()
                return
        raise AssertionError("the screen does not come to rest")

    async def press(self, pilot: Pilot[Any], *keys: str) -> None:
        """Press keys, and wait for what comes of them."""
        await pilot.press(*keys)
        await self.settled(pilot)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC, and no colour preference leaks in from outside."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def staged(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Makes a stage on which these things have happened."""
    made: list[Stage] = []

    def make(*tell: Callable[[World], object], **engine: Any) -> Stage:
        world = build(tmp_path, *tell)
        recorder = Recorder(world, **engine)
        app = CockpitApp(Desk(Reader(world.store.path), world.clock), lambda: recorder)  # type: ignore[arg-type, return-value]
        made.append(Stage(world, recorder, app))
        return made[-1]

    yield make
    for stage in made:
        stage.engine.stop()
        stage.app.desk.reader.close()
        stage.world.store.close()
