"""The interface answers as its description says, whatever is asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from cockpit.files import data_file
from tests.integration.http_world import TOKENS, Cockpit, alert, cockpit, webhook

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
schema = schemathesis.openapi.from_path(str(data_file("openapi.json"))).exclude(path="/api/v1/events")
"""All of it but the stream, which never ends."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cockpit in a thread of its own, with something in its log; its address."""
    folder, ready, ended = tmp_path_factory.mktemp("described"), threading.Event(), threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        async with cockpit(folder, agent=False) as found:
            await _fill(found)
            ports.append(found.server.port)
            ready.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    assert ready.wait(60)
    yield f"http://127.0.0.1:{ports[0]}"
    ended.set()
    thread.join()


async def _fill(found: Cockpit) -> None:
    await found.post(webhook(alert("WorldTrouble", cockpit_service="world/one")))


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_answers_as_it_is_described(case, running):
    authorization = {"Authorization": f"Bearer {TOKENS['ada'][0]}"}
    case.call_and_validate(base_url=running, headers=authorization, checks=CHECKS, timeout=60)
