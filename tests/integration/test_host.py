"""This machine as a service: logs that fill a folder, services that stop, and what must never be touched."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cockpit.lab import host as machine
from cockpit.lab.lab import Lab
from cockpit.model import Approval, CockpitError, Level, Refused, Service
from cockpit.toolkit import undo_plan
from tests.integration.readings import Bench
from tools.host import host
from tools.host.client import HostWriter
from tools.host.kept import Place, rotate

BENCH = Bench(host)
FAULTS = {fault.name: fault for fault in machine.FAULTS}
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def lab(lab_of: Callable[..., Lab]) -> Lab:
    return lab_of("app")


@pytest.fixture
def local(lab: Lab) -> Service:
    return next(service for service in lab.services() if service.name == "host/local")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def logging(folder: Path, *, megabytes: float = 3.0, name: str = "app.log") -> Service:
    """A host whose only log stands in that folder, with that much in it."""
    line = b"2026-01-01T00:00:00Z DEBUG number %09d of a log that nobody reads\n"
    count = int(megabytes * MEGABYTE / len(line % 0))
    (folder / name).write_bytes(b"".join(line % number for number in range(count)))
    return Service("host/local", {"logs": {"app": [str(folder / "*.log")]}, "folders": {"here": str(folder)}})


async def alerts_of(local: Service) -> set[str]:
    """What is wrong, but for the one thing that may be true of the machine that runs the tests."""
    return await BENCH.alerts(local) - {"host-busy"}


def test_every_runbook_can_be_read() -> None:
    assert not [broken for broken in BENCH.library.broken if broken.file.name == "host.yaml"]


async def test_a_working_machine_raises_no_alert(local: Service) -> None:
    assert (await BENCH.health(local)).level is Level.UP
    assert await alerts_of(local) == set()


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_seen_explained_and_mended(name: str, lab: Lab, local: Service) -> None:
    fault = FAULTS[name]
    assert await fault.well(lab)
    await fault.inject(lab)
    try:
        while await fault.well(lab):
            pass
        while not (alerts := await alerts_of(local)):
            pass
        assert await BENCH.causes(local, alerts) == {fault.runbook}
        tool, remedy = await BENCH.remedy(local, fault.runbook)
        assert tool == fault.remedy
        await BENCH.carry_out(local, remedy)
        assert await fault.well(lab)
        assert await alerts_of(local) == set()
    finally:
        await fault.clear(lab)


async def test_a_rotated_log_is_small_and_its_kept_copy_is_whole(tmp_path: Path) -> None:
    service = logging(tmp_path)
    log = tmp_path / "app.log"
    content, inode = log.read_bytes(), log.stat().st_ino
    done = await BENCH.planned(service, "rotate_logs", service="app", max_size_mb=1.0)
    await BENCH.carry_out(service, done)
    (kept,) = tmp_path.glob("app.log.*.gz")
    assert gzip.decompress(kept.read_bytes()) == content
    assert (log.stat().st_size, log.stat().st_ino) == (0, inode)


async def test_a_rotation_is_known_as_done_though_the_log_grew_again(tmp_path: Path) -> None:
    service = logging(tmp_path)
    (change,) = (await BENCH.planned(service, "rotate_logs", service="app", max_size_mb=1.0)).changes
    async with HostWriter(service) as writer:
        await host.items[change.item].apply(writer, change)
        (tmp_path / "app.log").write_bytes(b"new\n" * MEGABYTE)
        assert await host.items[change.item].holds(writer, change)


async def test_undoing_a_rotation_puts_the_old_lines_in_front_of_the_new(tmp_path: Path) -> None:
    service = logging(tmp_path)
    log = tmp_path / "app.log"
    content = log.read_bytes()
    done = await BENCH.planned(service, "rotate_logs", service="app", max_size_mb=1.0)
    await BENCH.carry_out(service, done)
    with log.open("ab") as open_log:
        open_log.write(b"a new line\n")
        open_log.flush()
        await BENCH.carry_out(service, undo_plan(BENCH.registry, done))
        open_log.write(b"a newer line\n")
    assert log.read_bytes() == content + b"a new line\na newer line\n"
    assert list(tmp_path.iterdir()) == [log]


WRITER = """
import itertools, sys, time
log = open(sys.argv[1], 'ab', buffering=0)
for number in itertools.count():
    log.write(b'%012d %s\\n' % (number, b'x' * 100))
    if number > 600_000:
        time.sleep(0.0005)
"""


async def test_a_writer_loses_no_line_over_rotation_and_undo(tmp_path: Path) -> None:
    """Every number is in the log or its copy; only what is written in the instant of the cut may be lost."""
    service = logging(tmp_path)
    log = tmp_path / "app.log"
    log.write_bytes(b"")
    with subprocess.Popen([sys.executable, "-c", WRITER, str(log)]) as writer, contextlib.ExitStack() as ending:
        ending.callback(writer.kill)
        while log.stat().st_size < 600_000 * 114:
            assert writer.poll() is None
            await asyncio.sleep(0.01)
        writer.send_signal(signal.SIGSTOP)
        done = await BENCH.planned(service, "rotate_logs", service="app", max_size_mb=1.0)
        writer.send_signal(signal.SIGCONT)
        await BENCH.carry_out(service, done)
        writer.send_signal(signal.SIGSTOP)
        await BENCH.carry_out(service, undo_plan(BENCH.registry, done))
    numbers = [int(line.split()[0]) for line in log.read_bytes().splitlines()]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] - numbers[0] + 1 - len(numbers) < 50


async def test_the_same_rotation_is_the_same_plan_later(tmp_path: Path) -> None:
    service = logging(tmp_path)
    first = await BENCH.planned(service, "rotate_logs", service="app", max_size_mb=1.0)
    with (tmp_path / "app.log").open("ab") as log:
        log.write(b"another line\n")
    second = await BENCH.planned(service, "rotate_logs", service="app", max_size_mb=1.0)
    assert [(one.key, one.before, one.after) for one in first.changes] == [
        (one.key, one.before, one.after) for one in second.changes
    ]


async def test_a_log_that_somebody_else_rotated_is_no_longer_the_one_that_was_shown(tmp_path: Path) -> None:
    service = logging(tmp_path)
    (change,) = (await BENCH.planned(service, "rotate_logs", service="app", max_size_mb=1.0)).changes
    (tmp_path / "app.log").write_bytes(b"begun anew by logrotate\n")
    async with HostWriter(service) as client:
        assert await host.items[change.item].read(client, change.key) != change.before


async def test_a_log_without_room_for_a_copy_needs_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = logging(tmp_path)
    monkeypatch.setattr("tools.host.logs.SPARE", 1 << 62)
    done = await BENCH.planned(service, "rotate_logs", service="app", max_size_mb=1.0)
    assert done.approval is Approval.HARD
    assert not done.changes[0].reversible
    await BENCH.carry_out(service, done)
    assert (tmp_path / "app.log").stat().st_size == 0


async def test_a_rotation_that_fails_leaves_the_log_whole(tmp_path: Path) -> None:
    logging(tmp_path)
    content = (tmp_path / "app.log").read_bytes()
    (tmp_path / "kept.gz").mkdir()
    with pytest.raises(OSError):
        rotate(Place(str(tmp_path), "app.log", "kept.gz"))
    assert (tmp_path / "app.log").read_bytes() == content
    assert sorted(file.name for file in tmp_path.iterdir()) == ["app.log", "kept.gz"]


@pytest.mark.parametrize("trick", ["link", "hard link", "linked folder", "pipe"])
async def test_a_log_that_is_somebody_elses_file_is_never_touched(trick: str, tmp_path: Path) -> None:
    folder, secret = tmp_path / "logs", tmp_path / "secret"
    folder.mkdir()
    secret.mkdir()
    target = secret / "shadow.log"
    target.write_bytes(b"root:x\n" * MEGABYTE)
    service = Service("host/local", {"logs": {"app": [str(folder / "*.log"), str(folder / "*" / "*.log")]}})
    if trick == "link":
        (folder / "app.log").symlink_to(target)
    elif trick == "hard link":
        os.link(target, folder / "app.log")
    elif trick == "linked folder":
        (folder / "below").symlink_to(secret)
    else:
        os.mkfifo(folder / "app.log")
    content = target.read_bytes()
    try:
        done = await BENCH.planned(service, "rotate_logs", service="app", max_size_mb=0.1)
        assert done.changes == ()
    except CockpitError as refused:
        assert refused.fix
    assert target.read_bytes() == content


@pytest.mark.parametrize(
    "hostile",
    ["../app", "", "app; reboot", "$(id)", "/etc/passwd", "\x1b[2J", "-f", pytest.param("a" * 900, id="long")],
)
async def test_a_hostile_name_is_refused(hostile: str, local: Service) -> None:
    for tool, arguments in (
        ("rotate_logs", {"service": hostile, "max_size_mb": 1.0}),
        ("start_service", {"unit": hostile}),
        ("stop_service", {"unit": hostile}),
        ("restart_service", {"unit": hostile}),
        ("clean_temp_files", {"folder": hostile}),
    ):
        with pytest.raises(CockpitError):
            await BENCH.planned(local, tool, **arguments)


async def test_old_temporary_files_go_and_young_ones_stay(tmp_path: Path) -> None:
    service = Service("host/local", {"folders": {"scratch": {"path": str(tmp_path), "temporary": True}}})
    outside = tmp_path.parent / "precious"
    outside.write_text("x")
    (tmp_path / "linked").symlink_to(outside)
    for name in ("old", "old too", "young"):
        (tmp_path / name).write_text(name)
    for name in ("old", "old too"):
        os.utime(tmp_path / name, (0, time.time() - 9 * 86_400))
    done = await BENCH.planned(service, "clean_temp_files", folder="scratch")
    await BENCH.carry_out(service, done)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["linked", "young"]
    assert outside.exists()


async def test_a_folder_that_is_not_declared_temporary_is_never_cleaned(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not marked as temporary"):
        await BENCH.planned(logging(tmp_path), "clean_temp_files", folder="here")


async def test_a_stopped_service_is_started_and_the_start_undone(lab: Lab, local: Service) -> None:
    await FAULTS["host-service-stopped"].inject(lab)
    try:
        done = await BENCH.planned(local, "start_service", unit="app")
        await BENCH.carry_out(local, done)
        await BENCH.carry_out(local, undo_plan(BENCH.registry, done))
        assert lab.pid("app") is None
        with pytest.raises(Refused, match="stopped"):
            await BENCH.planned(local, "restart_service", unit="app")
    finally:
        await FAULTS["host-service-stopped"].clear(lab)


async def test_a_restart_is_known_by_another_process(lab: Lab, local: Service) -> None:
    before = lab.pid("app")
    await BENCH.carry_out(local, await BENCH.planned(local, "restart_service", unit="app"))
    assert lab.pid("app") not in (None, before)


async def test_a_pid_file_of_a_reused_pid_means_stopped(tmp_path: Path, local: Service) -> None:
    pid_file = tmp_path / "app.pid"
    pid_file.write_text(f"{os.getpid()}\n")
    os.utime(pid_file, (1, 1))
    service = Service("host/local", {"units": {"app": {"pid_file": str(pid_file), "control": {}}}})
    assert (await BENCH.ask(service, "check_services")).data["first_stopped"] == "app"


async def test_a_process_is_ended_by_pid_and_start_time(local: Service, sleeper: subprocess.Popen[bytes]) -> None:
    done = await BENCH.planned(local, "terminate_process", pid=sleeper.pid)
    (change,) = done.changes
    key = dict(change.key)
    async with HostWriter(local) as writer:
        await writer.signal(sleeper.pid, key["started"] + 1, signal.SIGKILL)
    assert sleeper.poll() is None
    await BENCH.carry_out(local, done)
    assert sleeper.wait() == -signal.SIGTERM


async def test_a_process_that_ignores_the_request_is_killed(local: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.host.processes.GRACE_SECONDS", 0.2)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout
        assert stubborn.stdout.readline()
        done = await BENCH.planned(local, "terminate_process", pid=stubborn.pid)
        async with HostWriter(local) as writer:
            await host.items["process end"].apply(writer, done.changes[0])
        assert stubborn.wait() == -signal.SIGKILL


@pytest.mark.parametrize("pid", [0, -1, 1, 2**31, "our own", "our parent's"])
async def test_cockpit_and_the_system_are_never_ended(pid: int | str, local: Service) -> None:
    ours = {"our own": os.getpid(), "our parent's": os.getppid()}
    with pytest.raises(Refused):
        await BENCH.planned(local, "terminate_process", pid=ours.get(str(pid), pid))


async def test_a_process_is_slowed_and_quickened_again(local: Service, sleeper: subprocess.Popen[bytes]) -> None:
    done = await BENCH.planned(local, "renice_process", pid=sleeper.pid, nice=7)
    await BENCH.carry_out(local, done)
    assert os.getpriority(os.PRIO_PROCESS, sleeper.pid) == 7
    if os.geteuid() == 0:
        await BENCH.carry_out(local, undo_plan(BENCH.registry, done))


async def test_page_cache_is_not_taken_for_a_lack_of_memory(local: Service) -> None:
    assert await BENCH.causes(local, {"HostOutOfMemory"}) == {"host-page-cache"}


@pytest.mark.parametrize(
    ("tool", "key"),
    [
        ("check_host_resources", "processors"),
        ("check_processes", "processes"),
        ("check_disk_usage", "fullest_total_bytes"),
        ("check_memory_pressure", "total_bytes"),
        ("check_network_interfaces", "interfaces"),
        ("check_listening_ports", "listening"),
        ("check_time_sync", "max_error_seconds"),
        ("check_large_files", "files"),
        ("check_log_growth", "files"),
        ("check_services", "services"),
        ("check_connections", "ports"),
    ],
)
async def test_a_diagnostic_reports_what_there_is(tool: str, key: str, local: Service) -> None:
    found = await BENCH.ask(local, tool)
    assert found.summary.endswith(".")
    assert float(str(found.data[key])) > 0


async def test_without_systemd_there_are_no_units_and_it_says_why(local: Service) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("systemd runs here")
    assert "systemd does not run" in (await BENCH.ask(local, "check_failed_units")).summary


async def test_deleted_files_that_are_held_open_are_found(tmp_path: Path, local: Service) -> None:
    with (tmp_path / "gone").open("wb") as held:
        held.write(b"x" * MEGABYTE)
        held.flush()
        (tmp_path / "gone").unlink()
        rows = (await BENCH.ask(local, "check_open_files")).data["rows"]
        assert str(tmp_path / "gone") in {row["file"] for row in rows}


async def test_a_configured_folder_that_is_missing_is_told_and_blinds_nothing(tmp_path: Path) -> None:
    health = await BENCH.health(Service("host/local", {"folders": {"gone": str(tmp_path / "gone")}}))
    assert health.level is Level.DEGRADED
    assert health.samples["folders_missing"] == 1
