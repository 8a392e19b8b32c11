"""One worker for all tests of a file, for it takes seconds to start; and scenes that are closed after their test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cockpit.llm.process import Worker
from tests.models.scene import Scene
from tests.models.scripted import Scripted


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[Worker]:
    """The process that talks to models."""
    running = Worker(600.0)
    await running.warm()
    yield running
    await running.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    """The provider."""
    with Scripted([]) as running:
        yield running


@pytest.fixture
def scene(tmp_path: Path, server: Scripted, worker: Worker) -> Iterator[Callable[..., Scene]]:
    """Makes a scene whose models answer by a script."""
    made: list[Scene] = []

    def make(script: Any, **more: Any) -> Scene:
        server.play(script)
        made.append(Scene(tmp_path, server, worker, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()
