"""Files that others could read or change, or could have put there: each is refused or mended, with a sentence.

Nothing is followed and nothing is overwritten: what links lead to lies in a folder of its own,
which is the same afterwards.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cockpit import ownership
from cockpit.cli.exits import CONFIG, FAILED, IO, OK, PERMISSION
from cockpit.lock import take
from cockpit.settings import load
from tests.unit.cli_world import Home, home_in

OTHER = 54321
"""An account that is nobody's here."""
OPEN = (0o640, 0o604, 0o644, 0o660, 0o606, 0o666)
SECRETS = """
[telegram]
token_file = "bot.token"
[http]
tokens = [{name = "ada", token = "ada-0123456789abcdef", scopes = ["read"]}]
"""
Break = Callable[[Home], Path]
"""Makes a file as it must not be; returns the one that has to be named."""


def chmod(path: Path, mode: int) -> Path:
    path.chmod(mode)
    return path


def given_away(path: Path) -> Path:
    os.chown(path, OTHER, OTHER)
    return path


def away(path: Path) -> Path:
    """Out of the way, to where a link may lead; a file that was not there yet is an empty one."""
    elsewhere = _elsewhere(path)
    if path.exists():
        path.rename(elsewhere)
    else:
        elsewhere.touch(0o600)
    return elsewhere


def _elsewhere(path: Path) -> Path:
    home = next(above for above in path.parents if (above / "elsewhere").is_dir())
    return home / "elsewhere" / path.name


def linked(path: Path) -> Path:
    path.symlink_to(away(path))
    return path


def dangling(path: Path) -> Path:
    path.unlink(missing_ok=True)
    path.symlink_to(_elsewhere(path))
    return path


def twice(path: Path) -> Path:
    path.hardlink_to(away(path))
    return path


def as_folder(path: Path) -> Path:
    path.unlink(missing_ok=True)
    path.mkdir(0o700)
    return path


def as_fifo(path: Path) -> Path:
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    return path


def emptied(path: Path) -> Path:
    path.write_text("")
    return path


def gone(path: Path) -> Path:
    path.unlink()
    return path


def token(home: Home) -> Path:
    return home.config.parent / "bot.token"


def log(home: Home) -> Path:
    return home.data / "cockpit.db"


def folder_as_file(home: Home) -> Path:
    home.data.rename(home.folder / "elsewhere/data")
    home.data.touch(0o600)
    return home.data


def folder_as_link_of_another(home: Home) -> Path:
    home.data.symlink_to(home.data.rename(home.folder / "elsewhere/data"))
    os.lchown(home.data, OTHER, OTHER)
    return home.data


def open_above(home: Home) -> Path:
    chmod(home.data.parent, 0o777)
    return home.data


def each(name: str, where: Callable[[Home], Path], *ways: Callable[[Path], Path]) -> dict[str, Break]:
    """One file, broken in each of these ways."""
    return {f"{name} {way.__name__}": lambda home, way=way: way(where(home)) for way in ways}


def moded(name: str, where: Callable[[Home], Path], *modes: int) -> dict[str, Break]:
    return {f"{name} {mode:o}": lambda home, mode=mode: chmod(where(home), mode) for mode in modes}


def beside(name: str) -> Callable[[Home], Path]:
    return lambda home: home.data / name


def config(home: Home) -> Path:
    return home.config


REFUSED: dict[str, Break] = {
    **moded("config", config, *OPEN),
    **each("config", config, given_away, as_folder, as_fifo, dangling),
    **moded("token", token, *OPEN),
    **each("token", token, given_away, as_folder, as_fifo, dangling, gone, emptied),
    **moded("folder", lambda home: home.data, 0o770, 0o707, 0o722, 0o777, 0o1777),
    **each("folder", lambda home: home.data, given_away),
    "folder as a file": folder_as_file,
    "folder as a link of another": folder_as_link_of_another,
    "folder that others can replace": open_above,
    **each("log", log, given_away, linked, dangling, twice, as_folder, as_fifo),
    **each("wal", beside("cockpit.db-wal"), linked, dangling, twice, as_folder, as_fifo),
    "wal given_away": lambda home: given_away(emptied(home.data / "cockpit.db-wal")),
    **each("shm", beside("cockpit.db-shm"), linked, dangling, twice, as_folder, as_fifo),
    **moded("key", beside("audit.key"), *OPEN),
    **each("key", beside("audit.key"), given_away, linked, dangling, as_folder, as_fifo, gone, emptied),
    **each("head", beside("audit.head"), given_away, linked, dangling, twice, as_folder, as_fifo),
    **each("lock", beside("engine.lock"), given_away, linked, dangling, twice, as_folder, as_fifo),
}
MENDED = {f"{name} {mode:o}": (name, mode) for name in ("cockpit.db", "cockpit.db-wal") for mode in OPEN}
NAMED: dict[str, Break] = {
    **moded("folder", lambda home: home.data, 0o750, 0o705, 0o755, 0o711),
    **moded("runbook", lambda home: home.config.parent / "runbooks/mine.yaml", 0o602, 0o666),
    **each("runbook", lambda home: home.config.parent / "runbooks/mine.yaml", as_folder, as_fifo, dangling),
}
COPIES = {
    **each("copy", lambda home: home.folder / "copy", given_away, linked, dangling, as_folder, as_fifo),
    **each("copy's key", lambda home: home.folder / "copy.key", given_away, linked, dangling, as_folder, as_fifo),
}


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    made = home_in(tmp_path, capsys, monkeypatch)
    made.configure(SECRETS)
    made.config.chmod(0o600)
    token(made).write_text("123:abcdefgh")
    token(made).chmod(0o600)
    (made.runbooks / "mine.yaml").write_text("kind: world\n")
    made.incident()
    (made.data / "engine.lock").touch(0o600)
    (tmp_path / "elsewhere").mkdir(0o700)
    return made


def victims(home: Home) -> dict[str, tuple[bytes, int]]:
    """What links lead to."""
    files = [file for file in (home.folder / "elsewhere").rglob("*") if file.is_file()]
    return {str(file): (file.read_bytes(), file.stat().st_mode) for file in files}


def test_there_are_at_least_40_of_them():
    assert len(REFUSED) + len(MENDED) + len(NAMED) + len(COPIES) >= 40


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
@pytest.mark.parametrize("name", REFUSED)
def test_what_others_could_read_or_have_made_is_refused_by_name(home: Home, name: str) -> None:
    broken = REFUSED[name](home)
    before = victims(home)
    assert any(str(broken) in each["found"] for each in home.json("doctor")["checks"] if not each["ok"])
    status, _, said = home("--daemon")
    assert status in (FAILED, CONFIG, IO, PERMISSION)
    assert str(broken) in said and "Traceback" not in said and "error of its own" not in said
    assert victims(home) == before


@pytest.mark.parametrize("name", MENDED)
def test_a_log_that_was_open_to_others_is_closed(home: Home, name: str) -> None:
    file, mode = MENDED[name]
    with home.store():  # while another has it open, what lies beside it is there
        chmod(home.data / file, mode)
        named = [check for check in home.json("doctor")["checks"] if check["what"] == "data folder"]
        assert not named[0]["ok"] and file in named[0]["found"]
        assert home("freeze")[0] == OK
        assert stat.S_IMODE((home.data / file).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", NAMED)
def test_what_others_only_look_into_or_what_is_left_out_is_named_by_the_doctor(home: Home, name: str) -> None:
    broken = NAMED[name](home)
    wrong = [check["found"] for check in home.json("doctor")["checks"] if not check["ok"]]
    assert any(str(broken) in found for found in wrong), wrong
    assert home("freeze")[0] == OK


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_that_is_not_the_operators_own_is_neither_replaced_nor_put_back(home: Home, name: str) -> None:
    assert home("backup", str(home.folder / "copy"))[0] == OK
    broken = COPIES[name](home)
    before, log_before = victims(home), log(home).read_bytes()
    for command in ("backup", "restore"):
        status, _, said = home(command, str(home.folder / "copy"))
        assert status in (FAILED, IO, PERMISSION)
        assert str(broken) in said and "error of its own" not in said
    assert victims(home) == before
    assert log(home).read_bytes() == log_before


def test_what_is_as_it_should_be_is_not_refused(home: Home) -> None:
    assert home("freeze")[0] == OK
    assert stat.S_IMODE(home.data.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in home.data.iterdir()} == {0o600}


def test_the_twin_that_does_not_look_follows_writes_and_destroys(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for look in ("of_file", "of_folder"):
        monkeypatch.setattr(ownership, look, lambda path, **options: None)
    linked(log(home))
    chmod(home.data, 0o777)
    assert home("freeze")[0] == OK
    victim = home.folder / "elsewhere/letter"
    victim.write_text("dear ada")
    (home.data / "engine.lock").unlink()
    (home.data / "engine.lock").hardlink_to(victim)
    os.close(take(load(home.config)))
    assert victim.read_text() == f"{os.getpid()}\n"
