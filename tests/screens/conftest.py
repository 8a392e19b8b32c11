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

AT_REST = 3
"""Looks in a row that must find nothing on its way: a message that is being handled may still send another."""


@dataclass
class Stage:
    """An app that has not been started, and all that stands behind it."""

    world: World
    engine: Recorder
    app: CockpitApp

    async def settled(self, pilot: Pilot[Any]) -> None:
        """Wait until the engine is there, everything has been read, no message is on its way, and all is painted."""
        deadline, rounds = time.monotonic() + 60, 0
        while rounds < AT_REST:
            assert time.monotonic() < deadline, "the screen does not come to rest"
            await pilot.pause(0.005)
            rounds = rounds + 1 if self._rests() else 0
        await pilot.pause()

    def _rests(self) -> bool:
        reading = [worker for worker in self.app.workers if worker.group != "engine" and not worker.is_finished]
        view, screens = self.app.view, self.app.screen_stack
        waiting = [one for screen in screens for one in screen.walk_children(with_self=True) if one.message_queue_size]
        return bool(self.app.desk.engine and view and view.settled and not reading and not waiting)

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
        app = CockpitApp(Desk(Reader(world.store.path), world.clock), lambda: recorder)  # type: ignore[arg-type, return-value]  # records what the screen asks of an engine
        made.append(Stage(world, recorder, app))
        return made[-1]

    yield make
    for stage in made:
        stage.engine.stop()
        stage.app.desk.reader.close()
        stage.world.store.close()
