"""What fails is started again, its failure is told once, and what is hopeless is not tried again."""

from __future__ import annotations

import asyncio

import pytest

from cockpit.model import CockpitError
from cockpit.serve import upkeep
from cockpit.serve.upkeep import Upkeep


class Channel:
    """Fails a number of times, then runs until cancelled."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.left = failures
        self.error = error or CockpitError("The line is dead.", "Mend it.")
        self.starts = 0
        self.told: list[str] = []
        self.runs = asyncio.Event()
        self.ended = False

    async def start(self) -> None:
        self.starts += 1
        if self.left:
            self.left -= 1
            raise self.error
        self.runs.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True

    async def tell(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(upkeep, "STEADY", 0.1)


async def test_a_failing_channel_is_started_again_and_told_once() -> None:
    channel = Channel(4)
    async with asyncio.timeout(60):
        task = asyncio.create_task(Upkeep("The channel x", channel.start, channel.tell).run())
        await channel.runs.wait()
        while len(channel.told) < 2:
            await asyncio.sleep(0.01)
    assert channel.starts == 5
    assert channel.told == [
        "The channel x failed and is started again: The line is dead. Mend it.",
        "The channel x runs again.",
    ]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert channel.ended, "what runs is ended with its upkeep"


async def test_pauses_grow_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LONGEST_PAUSE", 0.04)
    channel = Channel(12)
    clock = asyncio.get_running_loop().time
    began = clock()
    async with asyncio.timeout(60):
        task = asyncio.create_task(Upkeep("x", channel.start, channel.tell).run())
        await channel.runs.wait()
    assert 0.01 + 0.02 + 10 * 0.04 <= clock() - began < 20.0, "doubled without end they take forty seconds"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_bug_is_told_with_its_place_and_without_a_traceback() -> None:
    channel = Channel(1, ZeroDivisionError("division by zero"))
    async with asyncio.timeout(60):
        task = asyncio.create_task(Upkeep("x", channel.start, channel.tell).run())
        await channel.runs.wait()
    assert channel.told[0].startswith(
        "x failed and is started again: ZeroDivisionError: division by zero (test_upkeep.py:"
    )
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_ends_by_itself_is_started_again() -> None:
    channel = Channel(0)
    starts = []

    async def short() -> None:
        starts.append(1)
        if len(starts) > 2:
            await channel.start()

    async with asyncio.timeout(60):
        task = asyncio.create_task(Upkeep("x", short, channel.tell).run())
        await channel.runs.wait()
    assert channel.told == ["x failed and is started again: it ended by itself."]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
