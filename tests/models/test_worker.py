"""The worker's life: it starts when needed, ends when idle or alone, obeys or is killed, and contacts nobody else."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from cockpit.llm import process
from cockpit.llm.process import Worker, WorkerEnded
from cockpit.model import CockpitError
from tests.models.script import Drips, Hangs, Raw, Says
from tests.models.scripted import Scripted

HEAVY = {"litellm", "openai", "tiktoken", "mcp", "httpx", "aiohttp", "pydantic", "textual"}
ENGINE = """
import asyncio, sys
from pathlib import Path
from cockpit.engine import Engine
from cockpit.settings.models import Model, ModelsSettings
from cockpit.settings.values import Settings
from cockpit.text import Redactor
from cockpit.toolkit import Registry

async def steps(engine):
    running = asyncio.create_task(engine.run())
    while engine.stepped_at is None:
        await asyncio.sleep(0.01)
    engine.stop()
    await running

models = ModelsSettings((Model("mini", "openai/gpt-4o-mini"),))
with Engine(Settings(data_folder=Path("{folder}"), models=models), Registry.of([]), Redactor()) as engine:
    asyncio.run(steps(engine))
print(" ".join(sys.modules))
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


def order(server: Scripted, **more: Any) -> dict[str, Any]:
    request = {"model": "openai/small", "messages": [{"role": "user", "content": "Why?"}], **more}
    return {"request": request, "api_key": server.key, "base_url": server.url}


async def ask(worker: Worker, server: Scripted, limit: float = 20.0, **more: Any) -> dict[str, Any]:
    return dict(await worker.ask(order(server, **more), limit, lambda text: None))


async def gone(pid: int, within: float = 20.0) -> None:
    """Wait until a process has ended; one that nobody has buried yet has ended as well."""
    async with asyncio.timeout(within):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Worker, Path]]:
    """A worker whose every address is written down."""
    log = tmp_path_factory.mktemp("watched") / "addresses"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).with_name("watched")))
        patch.setenv("PYTHONWATCHED", str(log))
        patch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/elsewhere")
        patch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
        worker = Worker(idle=600)
        await worker.warm()
    yield worker, log
    await worker.close()


async def test_it_contacts_nobody_at_its_start_and_then_only_the_configured_address(
    watched: tuple[Worker, Path],
) -> None:
    worker, log = watched
    # urllib3 binds a socket to ::1, unconnected, to see whether this machine knows IPv6
    assert set(log.read_text().splitlines()) <= {"socket.bind ('::1', 0)"}
    assert worker.pid is not None
    assert psutil.Process(worker.pid).net_connections() == []
    log.write_text("")
    uncounted = (
        'data: {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0,'
    )
    uncounted += ' "delta": {"content": "Here."}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    with Scripted([Says("Here."), Says("Here."), Raw(uncounted, "text/event-stream")]) as server:
        await ask(worker, server)
        tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
        await ask(worker, server, tools=[tool])
        await ask(worker, server, model="openai/meta-llama/Llama-3-8b")
        for name in ("ollama_chat/qwen3", "openai/gpt-4o-mini", "groq/llama-3.1-8b-instant", "unknown"):
            await worker.price(name)
        lines = set(log.read_text().splitlines())
        assert lines <= {
            f"socket.connect ('127.0.0.1', {server.port})",
            f"socket.getaddrinfo ('127.0.0.1', {server.port})",
        }
        assert f"socket.connect ('127.0.0.1', {server.port})" in lines
        found = psutil.Process(worker.pid).net_connections()
        assert {connection.raddr.port for connection in found} <= {server.port}
        assert len(server.requests) == 3


async def test_keys_are_neither_in_its_environment_nor_on_its_command_line(watched: tuple[Worker, Path]) -> None:
    worker, _ = watched
    with Scripted([Says("Here.")]) as server:
        await ask(worker, server)
    assert worker.pid is not None
    found = psutil.Process(worker.pid)
    assert not [name for name in found.environ() if name.startswith("OPENAI")]
    assert server.key not in f"{found.environ()} {found.cmdline()}"


async def test_a_worker_that_dies_or_hangs_within_a_call_is_replaced() -> None:
    worker = Worker(idle=600)
    with Scripted([Hangs(), Says("Here.")]) as server:
        call = asyncio.create_task(ask(worker, server))
        await asyncio.to_thread(server.wait_for, lambda found: len(found.requests) == 1, 30)
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        with pytest.raises(WorkerEnded) as error:
            await call
        assert error.value.taken and worker.pid is None
        assert (await ask(worker, server))["reply"]["text"] == "Here."
        second = worker.pid
        assert second not in (None, first)
        os.kill(second, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await ask(worker, server, limit=0.3)
        await gone(second)
    await worker.close()


async def test_one_call_that_is_late_is_stopped_and_the_worker_lives(watched: tuple[Worker, Path]) -> None:
    worker, _ = watched
    before = worker.pid
    with Scripted([Hangs(), Says("Here.")]) as server:
        with pytest.raises(TimeoutError):
            await ask(worker, server, limit=0.3)
        await asyncio.to_thread(server.wait_for, lambda found: found.abandoned == 1)
        assert (await ask(worker, server))["reply"]["text"] == "Here."
    assert worker.pid == before


async def test_it_ends_when_nothing_is_asked() -> None:
    worker = Worker(idle=0.5)
    with Scripted([Drips("slower than it is patient", every=0.3)]) as server:
        await ask(worker, server)
        pid = worker.pid
        assert pid is not None
        await gone(pid)
    async with asyncio.timeout(5):
        while worker.pid is not None:
            await asyncio.sleep(0.02)


async def test_it_ends_when_whoever_started_it_is_killed_also_within_a_call() -> None:
    with Scripted([Hangs()]) as server:
        command = [sys.executable, "-m", "tests.models.parent_process", server.url, server.key]
        parent = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        assert parent.stdout is not None
        told = (await parent.stdout.readline()).decode().split()
        pid = int(told[0])
        assert "cockpit" in told and not HEAVY & set(told)
        await asyncio.to_thread(server.wait_for, lambda found: len(found.requests) == 1)
        parent.kill()
        await parent.wait()
        await gone(pid)
        await asyncio.to_thread(server.wait_for, lambda found: found.abandoned == 1)


async def started(worker: Worker) -> tuple[asyncio.Task[None], int]:
    """A start that is under way, and the process."""
    others = {child.pid for child in psutil.Process().children()}
    starting = asyncio.create_task(worker.warm())
    async with asyncio.timeout(20):
        while not (children := [child.pid for child in psutil.Process().children() if child.pid not in others]):
            await asyncio.sleep(0.02)
    return starting, children[0]


async def test_closing_it_within_its_start_leaves_no_process() -> None:
    worker = Worker(idle=600)
    starting, pid = await started(worker)
    await worker.close()
    await asyncio.wait([starting])
    assert starting.cancelled()
    await gone(pid)


async def test_a_loop_that_ends_without_closing_it_leaves_no_process() -> None:
    _, pid = await asyncio.to_thread(lambda: asyncio.run(started(Worker(idle=600))))
    await gone(pid)


async def test_a_worker_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "COMMAND", ("-c", "raise ImportError('No module named litellm')"))
    with pytest.raises(CockpitError, match=r"could not start \(ImportError: No module named litellm\)"):
        await Worker(idle=600).warm()


async def test_what_is_no_frame_ends_the_worker_and_not_us(monkeypatch: pytest.MonkeyPatch) -> None:
    for noise in ("b'\\xff' * 8", "b'\\0\\0\\0\\2{}' + b'\\0\\0\\0\\5[1,2]'"):
        program = f"import sys, time; sys.stdout.buffer.write({noise}); sys.stdout.flush(); time.sleep(60)"
        monkeypatch.setattr(process, "COMMAND", ("-c", program))
        with pytest.raises(CockpitError, match="could not start"):
            await Worker(idle=600).warm()


async def test_whoever_asks_loads_neither_litellm_nor_a_client() -> None:
    program = "import sys, cockpit.llm.models; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert not HEAVY & set(done.stdout.split())


async def test_an_engine_with_models_loads_nothing_of_litellm(tmp_path: Path) -> None:
    program = ENGINE.format(folder=tmp_path)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert "cockpit.engine" in loaded and not {"litellm", "openai", "tiktoken", "mcp", "aiohttp"} & loaded
