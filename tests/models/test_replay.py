"""Recorded investigations come to the same again, and what a change of prompt or check changes is told."""

from __future__ import annotations

import pytest

from cockpit.agent import answer, prompts
from cockpit.llm.process import Worker
from tests.models.recording import FOLDER, replay
from tests.models.replay import differences, load

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
async def test_a_recording_comes_to_the_same_twice(name: str, warm: Worker) -> None:
    recording = load(name)
    first, second = [await replay(recording, warm) for _ in range(2)]
    assert list(differences(first, second)) == []
    assert first["calls"] == len(recording["replies"]), "every reply that was recorded is used"
    for part in ("state", "outcome"):
        assert first[part] == recording["expected"][part]
    assert first["first_prompt_tokens"] <= 6000


async def test_a_change_of_a_prompt_is_told(warm: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = load(NAMES[0])
    before = await replay(recording, warm)
    read = prompts._text
    monkeypatch.setattr(prompts, "_text", lambda name: read(name).replace("You look for", "Find"))
    told = "\n".join(differences(before, await replay(recording, warm)))
    assert "-system: You look for the cause" in told
    assert "+system: Find the cause" in told


async def test_a_change_of_a_check_is_told(warm: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = next(each for each in map(load, NAMES) if each["expected"]["state"] == "answered")
    monkeypatch.setattr(answer, "CARRIES", (0.0, 0.1, 0.2, 0.3))
    told = "\n".join(differences(recording["expected"], await replay(recording, warm)))
    assert '-"answered"' in told
    assert '+"inconclusive"' in told
