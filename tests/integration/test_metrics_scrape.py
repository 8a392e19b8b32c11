"""A scrape over HTTP: in the format asked for, by many at once, and an error where the log cannot be read."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from cockpit.engine import Engine
from cockpit.model import (
    Call,
    Finding,
)
from cockpit.settings import Settings
from cockpit.text import Redactor
from tests.faults import world
from tests.integration.metrics_lab import MISSING, application, one


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "data").mkdir(mode=0o700)
    settings = Settings(data_folder=tmp_path / "data", services=(world.service(tmp_path),), operator="ann")
    with Engine(settings, world.registry(), Redactor()) as made:
        yield made


async def test_answers_to_posted_alerts_are_counted_by_status(engine: Engine) -> None:
    async with TestClient(TestServer(application(engine))) as client:
        for status in ("200", "200", "400", "507"):
            await client.post("/api/v1/alerts", data=status)
        await client.post("/api/v1/alerts", data="no number")  # the handler raises
        seen = await (await client.get("/metrics")).text()
    counted = {code: one(seen, "cockpit_webhook_requests_total", code=code) for code in ("200", "400", "500", "507")}
    assert counted == {"200": 2, "400": 1, "500": 1, "507": 1}


async def test_scrapers_are_answered_in_the_format_they_ask_for(engine: Engine) -> None:
    async with TestClient(TestServer(application(engine))) as client:
        plain = await client.get("/metrics")
        modern = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert modern.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        names = {family.name for family in openmetrics(await modern.text())}  # type: ignore[no-untyped-call]  # theirs
        assert {"agent_tool_executions", "cockpit_build", "process_resident_memory_bytes"} <= names


async def test_many_scrapes_at_once_agree(engine: Engine) -> None:
    for _ in range(50):
        engine.store.record_run(None, Call("look_at_world", "world/one"), Finding("x"), "", 1.0, 0.1)
    async with TestClient(TestServer(application(engine))) as client:
        seen = await asyncio.gather(*(counted(client.session, client.make_url("/metrics")) for _ in range(10)))
    assert seen == [50.0] * 10


async def counted(session: ClientSession, url: object) -> float:
    async with session.get(str(url)) as answer:
        seen = await answer.text()
    return one(seen, "agent_tool_duration_seconds_count", tool_name="look_at_world")


async def test_a_log_that_cannot_be_read_is_an_error_and_not_a_page_of_zeros(engine: Engine) -> None:
    async with TestClient(TestServer(application(engine))) as client:
        with sqlite3.connect(engine.store.path) as raw:
            raw.execute("alter table proposal rename to elsewhere")
        raw.close()
        answer = await client.get("/metrics")
        assert answer.status == 503
        assert "proposal" in await answer.text()


@pytest.mark.skipif("promtool" in MISSING, reason="not installed: promtool")
async def test_promtool_finds_no_fault_with_names_and_help(engine: Engine) -> None:
    engine.store.record_run(None, Call("look_at_world", "world/one"), None, "x", 1.0, 0.1, error_type="Denied")
    async with TestClient(TestServer(application(engine))) as client:
        text = await (await client.get("/metrics")).text()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
