"""A person becomes known by a code that is good once, for some minutes, in a private chat, and gives nobody a right."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.settings import load
from cockpit.settings.daemon import Operator, Right
from tests.account import MAIN
from tests.telegram.bot_api import TOKEN
from tests.telegram.scene import ADA, EVE, MALLORY, Scene

NEW = 4711


@pytest.fixture
def scene_of(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make(**more: Any) -> Scene:
        scenes.append(Scene(tmp_path, **more))
        (tmp_path / "config.toml").write_text(config(tmp_path, scenes[-1]))
        (tmp_path / "config.toml").chmod(0o600)
        return scenes[-1].start(agent=False)

    yield make
    for scene in scenes:
        scene.stop()
        assert scene.api.problems == []


def config(folder: Path, scene: Scene) -> str:
    known = f'chat = {scene.telegram.chat}\nusers = [{{id = 1, name = "Bob"}}]\n' if scene.telegram.users else ""
    return f'operator = "grace"\ndata_folder = "{folder}/data"\n[telegram]\ntoken = "{TOKEN}"\n{known}'


class Enrolling:
    """`cockpit telegram enrol` as a process."""

    def __init__(self, folder: Path, *more: str) -> None:
        command = [sys.executable, "-c", MAIN, "telegram", "enrol", "Carol", "--config", str(folder / "config.toml")]
        self.process = subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.code = self.process.stdout.readline().strip()

    def ended(self) -> tuple[int, str, str]:
        printed, said = self.process.communicate(timeout=30)
        return self.process.returncode, printed, said


@contextlib.contextmanager
def enrolling(folder: Path, *more: str) -> Iterator[Enrolling]:
    running = Enrolling(folder, *more)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def send(scene: Scene, user: int, text: str, **more: Any) -> None:
    """Write to the bot alone; returns when that was taken in."""
    number = scene.api.say(user, text, **{"chat": {"id": user, "type": "private"}, **more})
    scene.until(lambda: scene.engine.reader.rows("select 1 from telegram_update where id = ?", number))


def wrong(scene: Scene) -> int:
    return scene.engine.store.telegram.refusals().get("a wrong enrolment code", 0)


@pytest.mark.parametrize("sent", ["{code}", "/start {code}"])
def test_whoever_sends_the_code_is_told_by_number_and_the_config_says_the_rest(scene_of, tmp_path, sent):
    scene = scene_of()
    with enrolling(tmp_path) as running:
        asked = len(scene.api.all())
        send(scene, NEW, sent.format(code=running.code.lower()))
        status, printed, said = running.ended()
    assert (status, f"user {NEW}, who goes by user{NEW}" in said) == (0, True)
    assert len(scene.api.all()) == asked, "nobody is answered who is not known"
    file = tmp_path / "config.toml"
    others = [line for line in file.read_text().splitlines() if not line.startswith("users")]
    file.write_text("\n".join([*others, printed]))
    assert load(file, environ={}).telegram.users == (Operator(NEW, "Carol", frozenset({Right.SEE})),)
    [told] = [event for event in scene.engine.reader.events() if "sent the enrolment code" in event.text]
    assert told.data == {"person": NEW}
    send(scene, NEW, "/status")
    assert scene.engine.store.telegram.refusals()["not on the allowlist"] == 1


def test_before_anybody_is_known_the_bot_waits_for_a_code_and_says_nothing(scene_of, tmp_path):
    scene = scene_of(users=(), chat=0)
    scene.ask()
    with enrolling(tmp_path) as running:
        send(scene, NEW, "/status")
        send(scene, NEW, running.code)
        status, printed, _ = running.ended()
    assert status == 0
    file = tmp_path / "config.toml"
    file.write_text(file.read_text() + printed.replace("[telegram]\n", ""))
    telegram = load(file, environ={}).telegram
    assert (telegram.chat, telegram.users) == (NEW, (Operator(NEW, "Carol", frozenset({Right.SEE})),))
    assert scene.api.all() == []


def test_a_code_is_good_once_and_never_on_the_disk(scene_of, tmp_path):
    scene = scene_of()
    with enrolling(tmp_path) as running:
        send(scene, NEW, running.code)
        assert running.ended()[0] == 0
    send(scene, MALLORY, running.code)
    assert wrong(scene) == 1
    assert not any(running.code.encode() in file.read_bytes() for file in scene.data.iterdir())


def test_of_two_who_send_it_the_first_is_told_of(scene_of, tmp_path):
    scene = scene_of()
    with enrolling(tmp_path) as running:
        running.process.send_signal(signal.SIGSTOP)
        send(scene, NEW, running.code)
        send(scene, MALLORY, running.code)
        running.process.send_signal(signal.SIGCONT)
        assert f"id = {NEW}" in running.ended()[1]
    assert wrong(scene) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"chat": {"id": -77, "type": "supergroup", "title": "Ops"}},
        {"chat": {"id": -77, "type": "private"}},
        {"chat": {"id": EVE, "type": "private"}},
        {"sender_chat": {"id": NEW, "type": "private"}},
        {"via_bot": {"id": 5, "is_bot": True, "first_name": "x"}},
        {"from": {"id": NEW, "is_bot": True, "first_name": "x"}},
        {"forward_origin": {"type": "hidden_user", "date": 1, "sender_user_name": "Ada"}},
        {"text": "{code} please"},
        {"text": "{code}{code}"},
        {"text": "/start{code}"},
        {"text": "`{code}`"},
    ],
)
def test_a_code_that_does_not_come_from_a_person_alone_with_the_bot_is_none(scene_of, tmp_path, more):
    scene = scene_of()
    with enrolling(tmp_path) as running:
        text = more.pop("text", "{code}").replace("{code}", running.code)
        send(scene, NEW, text, **more)
        assert wrong(scene) == 0
        assert "person" not in scene.engine.reader.state("telegram invitation")
        send(scene, NEW, running.code)
        assert running.ended()[0] == 0


@pytest.mark.parametrize("how", ["too late", "interrupted", "another was made"])
def test_a_code_that_is_void_opens_nothing(scene_of, tmp_path, how):
    scene = scene_of()
    with enrolling(tmp_path, *(["--wait", "1s"] if how == "too late" else [])) as running:
        if how == "too late":
            assert running.ended()[0] == 1
        elif how == "interrupted":
            running.process.send_signal(signal.SIGINT)
            assert running.ended()[0] == 130
        else:
            Enrolling(tmp_path, "--wait", "1s").ended()
        send(scene, NEW, running.code)
    assert wrong(scene) == 1


def test_whoever_guesses_is_not_looked_at_any_more(scene_of, tmp_path):
    scene = scene_of()
    with enrolling(tmp_path) as running:
        for number in range(7):
            send(scene, MALLORY, f"AAAA-BBBB-CCCC-DDD{number + 2}")
        send(scene, MALLORY, running.code)
        assert wrong(scene) == 5
        assert scene.engine.store.telegram.refusals()["too many enrolment codes"] == 3
        send(scene, ADA, running.code)
        assert f"id = {ADA}" in running.ended()[1]
