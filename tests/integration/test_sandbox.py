"""What systemd's sandbox takes from the daemon is no fault of the machine, and leaves it able to work."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cockpit.files import data_file
from tests.mounts import own_mounts

UNITS = ("cockpit.service", "cockpit-user.service")
MOUNTS = """
import json, sys
from pathlib import Path
from tools.host import disks
disks.FSTAB = Path(sys.argv[1])
[root] = [disk for disk in disks.disks() if disk.mount == "/"]
print(json.dumps({"turned": disks.turned_read_only(), "root": root.read_only}))
"""
CLOCK = """
import asyncio, json
from cockpit.model import CockpitError, Service
from tests.integration.readings import Bench
from tools.host import host
bench, local = Bench(host), Service("host/local", {})
health = asyncio.run(bench.health(local))
try:
    asyncio.run(bench.ask(local, "check_time_sync"))
except CockpitError as error:
    print(json.dumps({"level": health.level, "samples": list(health.samples), "told": error.what}))
"""
LISTENS = "trap 'echo reloads; exit 0' HUP; echo listens; while :; do sleep 0.05; done"


def settings_of(unit: str) -> dict[str, list[str]]:
    """What a unit file sets, each key with all its values."""
    found: dict[str, list[str]] = {}
    for line in (data_file("systemd") / unit).read_text().splitlines():
        key, sign, value = line.partition("=")
        if sign and not key.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@own_mounts
def test_a_mount_that_is_read_only_for_the_daemon_alone_has_not_turned_read_only(tmp_path: Path) -> None:
    fstab, sealed = tmp_path / "fstab", tmp_path / "sealed by itself"
    sealed.mkdir()
    written = str(sealed).replace(" ", "\\040")
    fstab.write_text(f"/dev/one / ext4 defaults 0 1\n/dev/two {written} tmpfs defaults 0 0\n")
    mounting = 'mount -t tmpfs -o ro tmpfs "$1" && mount -o remount,bind,ro / && exec "$2" -c "$3" "$4"'
    argv = ["unshare", "-m", "sh", "-c", mounting, "sh", str(sealed), sys.executable, MOUNTS, str(fstab)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"turned": [str(sealed)], "root": False}


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_clock_that_may_not_be_read_hides_nothing_else() -> None:
    denying = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=adjtimex,clock_adjtime:error=EPERM"]
    done = subprocess.run(
        [*denying, sys.executable, "-c", CLOCK], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["level"] in ("up", "degraded")
    assert "clock_adrift" not in found["samples"] and "load_ratio" in found["samples"]
    assert found["told"] == "The clock's state cannot be read: Operation not permitted."


def test_the_unit_leaves_the_reading_of_the_clock_and_a_folder_for_what_is_temporary() -> None:
    unit = settings_of("cockpit.service")
    assert "ProtectClock" not in unit
    assert unit["SystemCallFilter"].index("~@privileged @resources") < unit["SystemCallFilter"].index(
        "adjtimex clock_adjtime"
    )
    assert unit["ProtectSystem"] == ["strict"] and "PrivateTmp" not in unit
    variables = dict(word.split("=") for word in unit["Environment"][0].split())
    assert variables["TMPDIR"] == f"/run/{unit['RuntimeDirectory'][0]}"


@pytest.mark.parametrize("name", UNITS)
def test_a_reload_needs_no_program_but_the_shell(name: str) -> None:
    [reload] = settings_of(name)["ExecReload"]
    argv = [word.replace("$$", "$") for word in shlex.split(reload)]
    with subprocess.Popen(["sh", "-c", LISTENS], stdout=subprocess.PIPE, text=True) as daemon:
        try:
            assert daemon.stdout and daemon.stdout.readline() == "listens\n"
            subprocess.run(argv, env={"MAINPID": str(daemon.pid), "PATH": "/nonexistent"}, timeout=60, check=True)
            assert daemon.stdout.readline() == "reloads\n"
        finally:
            daemon.kill()
