"""The lab: up at once, gone at the end, whatever ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from cockpit.lab import caddy, catalogue, host, processes
from cockpit.lab.lab import ROOT, Lab, living, sweep_orphans
from cockpit.lab.menu import Faults
from cockpit.lab.parts import Fault, Launch, Server
from cockpit.model import CockpitError, Service
from tools.control import ServiceControl, ServiceStatus

SMALL = (*caddy.SERVERS, *host.SERVERS)
OWNER = """
import asyncio, sys
from cockpit.lab import caddy, host
from cockpit.lab.lab import Lab
lab = Lab.create((*caddy.SERVERS, *host.SERVERS))
asyncio.run(lab.up())
lab.hold("held", "logwriter", "1000000")
print(lab.folder, flush=True)
sys.stdin.read()
"""


@asynccontextmanager
async def running(*servers: Server) -> AsyncIterator[Lab]:
    lab = Lab.create(servers)
    try:
        await lab.up()
        yield lab
    finally:
        await lab.down()


@pytest.fixture
def owner() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that owns a lab, and the lab's folder."""
    argv = [sys.executable, "-c", OWNER]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        yield process, Path(process.stdout.readline().strip())
        process.kill()
    sweep_orphans()


async def test_the_whole_lab_comes_up_and_goes_down() -> None:
    lab = Lab.create(catalogue.servers())
    started = time.monotonic()
    try:
        await lab.up()
        print(f"the whole lab was up in {time.monotonic() - started:.1f} s")
        assert {service.kind for service in lab.services()} == {"postgres", "redis", "nats", "caddy", "host"}
        for server in lab.servers.values():
            assert await server.ready(lab), server.name
        pids = [pid for name in lab.servers if (pid := lab.pid(name))]
        assert len(pids) == len(lab.servers)
        assert catalogue.find_lab() is not None
    finally:
        await lab.down()
    assert not lab.folder.exists()
    assert not processes.marked(lab.folder)
    await lab.down()


def test_every_fault_belongs_to_a_service_of_the_lab() -> None:
    faults = catalogue.faults()
    assert len(faults) >= 13
    for name, fault in faults.items():
        assert fault.name == name
        assert fault.service.partition("/")[0] in {"postgres", "redis", "nats", "caddy", "host"}
        assert fault.title
        assert fault.runbook


async def test_what_a_killed_owner_leaves_is_found_and_ended(owner: tuple[subprocess.Popen[str], Path]) -> None:
    process, folder = owner
    held = processes.marked(folder)
    assert len(held) >= len(SMALL) + 1
    assert folder in living()
    assert folder not in sweep_orphans()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert all(processes.alive(one) for one in held)
    assert folder in sweep_orphans()
    assert not any(processes.alive(one) for one in held)
    assert not folder.exists()


async def test_a_process_that_was_never_written_down_is_ended_as_well() -> None:
    async with running(*host.SERVERS) as lab:
        unwritten = processes.spawn(Launch(["/bin/sleep", "600"]), lab.log("unwritten"), lab.folder)
        await lab.down()
        assert not processes.alive(unwritten)


async def test_two_labs_at_once_do_not_meet() -> None:
    async with running(*SMALL) as one, running(*SMALL) as other:
        assert not {one.port("backend"), one.port("caddy-site")} & {other.port("backend"), other.port("caddy-site")}
        await one.stop("backend")
        assert (await caddy.get(caddy.site(one)))[0] in (502, 503)
        assert (await caddy.get(caddy.site(other)))[0] == 200
        await one.down()
        assert (await caddy.get(caddy.site(other)))[0] == 200


async def test_a_port_stays_the_same_and_free_for_its_server() -> None:
    lab = Lab.create(())
    try:
        assert len({lab.port("one") for _ in range(5)}) == 1
        assert len({lab.port(f"port-{number}") for number in range(50)}) == 50
    finally:
        await lab.down()


async def test_a_stopped_server_is_gone_and_starts_again_where_it_was() -> None:
    async with running(*SMALL) as lab:
        port, first = lab.port("backend"), lab.pid("backend")
        await lab.stop("backend")
        assert lab.pid("backend") is None
        await asyncio.gather(lab.start("backend"), lab.start("backend"))
        assert (lab.port("backend"), lab.pid("backend") != first) == (port, True)
        assert len([one for one in processes.marked(lab.folder) if b"lab.backend" in _command(one)]) == 1


async def test_a_server_that_ignores_its_stop_signal_is_killed() -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
    )
    lab = Lab.create(())
    try:
        lab.spawn("stubborn", Launch([sys.executable, "-c", code]))
        while "on" not in lab.log("stubborn").read_text():
            assert lab.pid("stubborn")
        started = time.monotonic()
        await asyncio.to_thread(processes.end, [(processes.identity(lab.pid("stubborn") or 0), "SIGTERM")], 0.2)
        assert lab.pid("stubborn") is None
        assert time.monotonic() - started >= 0.2
    finally:
        await lab.down()


async def test_a_server_that_does_not_start_is_named_with_what_it_said() -> None:
    async def prepare(lab: Lab) -> Launch:
        return Launch([sys.executable, "-c", "raise SystemExit('no disk in drive A')"])

    async def ready(lab: Lab) -> bool:
        return False

    lab = Lab.create([Server("broken", prepare, ready)])
    try:
        with pytest.raises(CockpitError, match="broken does not start: no disk in drive A"):
            await lab.up()
    finally:
        await lab.down()


async def test_service_control_works_from_any_folder_with_a_clean_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with running(*SMALL) as lab:
        control = ServiceControl(Service("caddy/edge", {"control": lab.control("backend")}))
        first = await control.identity()
        assert str(lab.pid("backend")) in first
        await control.run("restart")
        assert await control.identity() not in ("", first)
        await control.run("stop")
        assert not await control.running()
        assert await control.identity() == ""
        await control.run("start")
        assert await control.running()


async def test_service_control_of_a_part_is_its_own(tmp_path: Path) -> None:
    service = Service(
        "caddy/edge", {"backends": {"shop": {"control": {"status": ["/bin/true"]}}}, "unit": "caddy.service"}
    )
    assert await ServiceStatus(service, ("backends", "shop")).running()
    with pytest.raises(CockpitError, match="nothing called 'toys'"):
        ServiceStatus(service, ("backends", "toys"))


@pytest.mark.parametrize("unit", ["-H host", "a; reboot", "../x", "", "a\nb", "--now"])
def test_a_hostile_unit_is_no_unit(unit: str) -> None:
    with pytest.raises(CockpitError):
        ServiceStatus(Service("caddy/edge", {"unit": unit}))


async def test_a_command_that_leaves_a_daemon_behind_does_not_hang() -> None:
    argv = ["/bin/sh", "-c", "sleep 600 & echo $!"]
    status = ServiceStatus(Service("caddy/edge", {"control": {"status": argv}}))
    async with asyncio.timeout(60):
        daemon = int(await status.identity())
    assert processes.alive(processes.identity(daemon))
    os.kill(daemon, signal.SIGKILL)


async def test_chaos_makes_a_fault_and_clears_it_before_the_next() -> None:
    done: list[str] = []
    second = asyncio.Event()

    async def inject(lab: Lab) -> None:
        await lab.stop("backend")
        done.append("injected")
        if done.count("injected") == 2:
            second.set()

    async def clear(lab: Lab) -> None:
        await lab.start("backend")
        done.append("cleared")

    async def well(lab: Lab) -> bool:
        return lab.pid("backend") is not None

    fault = Fault("backend-stopped", "The backend has stopped", "caddy/edge", inject, clear, well, "", "")
    async with running(*caddy.SERVERS) as lab:
        chaos = asyncio.create_task(Faults(lab, {fault.name: fault}, 0.01).chaos())
        async with asyncio.timeout(60):
            await second.wait()
        chaos.cancel()
        with suppress(asyncio.CancelledError):
            await chaos
        assert done[:3] == ["injected", "cleared", "injected"]


def _command(one: processes.Identity) -> bytes:
    return Path(f"/proc/{int(one['pid'])}/cmdline").read_bytes().replace(b"\0", b" ")


def test_a_fixture_hands_out_the_same_lab_twice(lab_of: Callable[..., Lab]) -> None:
    assert lab_of("app") is lab_of("app")
