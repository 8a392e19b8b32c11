"""The head of the change log goes out over Telegram once a day, quietly, and shows what the log itself cannot."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cockpit.cli.program import run
from cockpit.serve.telegram.anchor import put
from cockpit.serve.telegram.teller import Teller
from cockpit.store.store import Store
from tests.telegram.scene import FAST, Scene

DAY = 86_400.0
TITLE = "The head of the change log"


@pytest.fixture
def scene_of(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make(**more: Any) -> Scene:
        scenes.append(Scene(tmp_path, pace=replace(FAST, head=0.05), **more))
        return scenes[-1].start(agent=False)

    yield make
    for scene in scenes:
        scene.stop()
        assert scene.api.problems == []


def test_the_head_comes_once_quietly_however_often_it_is_started(scene_of):
    scene = scene_of()
    scene.end()
    with Store.open(scene.data / "cockpit.db") as store:
        store.note("monitor", "note", "something")
        head = store.reader.head()
    for _ in range(3):
        scene.start(agent=False)
        [shown] = scene.until(lambda: scene.api.all(TITLE))
        scene.until(lambda: not scene.engine.store.telegram.outbox.queue().get("waiting"))
        scene.end()
    assert f"{head.id:020d} {head.mac.hex()}" in shown.text
    assert (shown.silent, len(scene.api.all(TITLE))) == (True, 1)
    [sent] = [call for call in scene.api.calls("sendMessage") if TITLE in call["text"]]
    assert sent["disable_notification"] is True
    scene.start(agent=False)


def test_it_comes_anew_each_day_and_not_twice_when_the_clock_is_set_back(scene_of):
    scene = scene_of()
    scene.engine.store.note("monitor", "note", "something")
    noon = 1_800_000_000.0
    put_on = {
        day: put(Teller(scene.engine, scene.telegram, scene.pace, clock=lambda day=day: noon + day * DAY))
        for day in (1, 2, 3)
    }
    assert put_on == {1: True, 2: True, 3: True}
    for day in (2, 3, 1):
        assert not put(Teller(scene.engine, scene.telegram, scene.pace, clock=lambda day=day: noon + day * DAY))


def test_an_empty_log_has_no_head_to_send(scene_of):
    scene = scene_of(users=(), chat=0)
    assert scene.engine.reader.last_event() == 0
    assert not put(Teller(scene.engine, replace(scene.telegram, chat=-77), scene.pace))


def test_it_shows_that_the_log_was_put_back_to_what_it_was(scene_of, tmp_path, capsys):
    """Whoever has the files, the key among them, can write another end of the log; the chat remembers the first one."""
    scene = scene_of()
    scene.end()
    with Store.open(scene.data / "cockpit.db") as store:
        store.note("operator", "note", "harmless")
    for file in scene.data.iterdir():
        shutil.copy(file, tmp_path)
    with Store.open(scene.data / "cockpit.db") as store:
        store.note("operator", "note", "what should not be seen")
    scene.start(agent=False)
    [shown] = scene.until(lambda: scene.api.all("audit verify"))
    scene.end()
    (tmp_path / "telegram.txt").write_text(re.search(r"\d{20} [0-9a-f]{64}", shown.text)[0])
    (tmp_path / "config.toml").write_text(f'data_folder = "{scene.data}"')
    audit = ["audit", "verify", "--config", str(tmp_path / "config.toml")]
    assert run([*audit, "--anchor", str(tmp_path / "telegram.txt")]) == 0

    for file in scene.data.iterdir():
        file.unlink()
    for name in ("cockpit.db", "audit.key", "audit.head"):
        shutil.copy(tmp_path / name, scene.data)
    for _ in range(5):
        with Store.open(scene.data / "cockpit.db") as store:
            store.note("operator", "note", "all was well")
    assert run(audit) == 0, "the log by itself looks whole"
    assert run([*audit, "--anchor", str(tmp_path / "telegram.txt")]) == 1
    assert "rebuilt" in capsys.readouterr().out
    assert run([*audit, "--anchor", str(tmp_path / "none.txt")]) == 1
    scene.start(agent=False)
