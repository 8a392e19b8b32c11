"""`cockpit service`: it says what it does, does it, refuses what is not its own; the unit is hardened."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cockpit.cli import installing
from cockpit.cli.exits import FAILED, OK, TEMPORARY
from cockpit.files import data_file
from tests.unit.cli_world import Home, home_in

MANAGER = '#!/bin/sh\necho "$(basename "$0") $*" >> "{log}"\n{says}exit {status}\n'
FAILS = "echo 'Created symlink /a → /b.' >&2\necho 'Job for cockpit.service failed.' >&2\n"


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    return home_in(tmp_path, capsys, monkeypatch)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for systemctl that writes down what it is asked for; there is no systemd to ask here."""
    return stand_in(tmp_path, monkeypatch, 0)


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> Path:
    programs, log = tmp_path / "programs", tmp_path / "asked"
    programs.mkdir(exist_ok=True)
    for name in ("systemctl", "systemd-sysusers"):
        (programs / name).write_text(MANAGER.format(log=log, status=status, says=FAILS if status else ""))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return log


def unit_of(home: Home) -> Path:
    return home.folder / "config/systemd/user/cockpit.service"


def test_it_is_installed_for_the_account_and_taken_away_again(home: Home, asked: Path) -> None:
    status, printed, _ = home("service", "install")
    assert status == OK
    assert printed.splitlines() == [
        f"write {unit_of(home)}",
        "run systemctl --user daemon-reload",
        "run systemctl --user enable cockpit.service",
        "run systemctl --user restart cockpit.service",
    ]
    [started] = [line for line in unit_of(home).read_text().splitlines() if line.startswith("ExecStart=")]
    assert started.endswith("/cockpit --daemon") and started.startswith("ExecStart=/")
    assert home("service", "uninstall")[0] == OK
    assert not unit_of(home).exists()
    assert asked.read_text().splitlines() == [
        "systemctl --user daemon-reload", "systemctl --user enable cockpit.service",
        "systemctl --user restart cockpit.service",
        "systemctl --user disable --now cockpit.service", "systemctl --user daemon-reload",
    ]  # fmt: skip


def test_a_dry_run_says_it_all_and_touches_nothing(home: Home, asked: Path) -> None:
    status, printed, _ = home("service", "install", "--system", "--dry-run")
    assert status == OK and all(line.startswith("would ") for line in printed.splitlines())
    assert "would run systemd-sysusers /etc/sysusers.d/cockpit.conf" in printed
    assert home("service", "install", "--dry-run")[0] == OK
    assert not unit_of(home).exists() and not asked.exists()


def test_a_service_manager_that_fails_is_told(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, 1)
    status, _, said = home("service", "install")
    assert status == TEMPORARY and "systemctl --user daemon-reload failed: Job for cockpit.service failed." in said
    assert "journalctl --user -u cockpit" in said


def test_a_unit_of_another_program_is_neither_replaced_nor_removed(home: Home, asked: Path) -> None:
    unit_of(home).parent.mkdir(parents=True)
    unit_of(home).write_text("[Service]\nExecStart=/usr/libexec/cockpit-tls\n")
    for verb in ("install", "uninstall"):
        status, _, said = home("service", verb)
        assert status == FAILED and "belongs to another program" in said
    assert "cockpit-tls" in unit_of(home).read_text() and not asked.exists()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("plain.toml", "plain.toml"),
        ("two words.toml", 'two words.toml"'),
        ("100%.toml", '100%%.toml"'),
        ("$HOME.toml", '$$HOME.toml"'),
    ],
)
def test_the_config_that_was_named_stands_in_the_unit_quoted(home: Home, asked: Path, name: str, written: str) -> None:
    config = home.folder / name
    config.write_text(home.config.read_text())
    assert home("service", "install", "--config", str(config))[0] == OK
    assert f"{written} --daemon\n" in unit_of(home).read_text()


def test_status_says_that_nobody_acts(home: Home) -> None:
    status, printed, _ = home("service", "status")
    assert status == FAILED and "not installed" in printed and "Nothing was ever recorded" in printed
    home.incident()
    assert "Nobody acts on" in home("service", "status")[1]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd's tools")
@pytest.mark.parametrize("name", ["cockpit.service", "cockpit-user.service"])
def test_the_unit_is_valid(name: str, tmp_path: Path) -> None:
    unit = tmp_path / name
    unit.write_text((data_file("systemd") / name).read_text().replace(installing.PLACE, shutil.which("true") or ""))
    argv = ["systemd-analyze", "verify", "--man=no", *(["--user"] if "user" in name else []), str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert name not in done.stderr, done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd's tools")
def test_the_unit_is_hardened(tmp_path: Path) -> None:
    unit = data_file("systemd") / "cockpit.service"
    argv = ["systemd-analyze", "security", "--offline=true", "--threshold=29", "--no-pager", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-200:]
    [exposure] = [line for line in done.stdout.splitlines() if "Overall exposure" in line]
    print(exposure)
