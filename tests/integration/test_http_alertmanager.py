"""A real Alertmanager fires at a real cockpit and sees its alerts resolved."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from cockpit.lab import ports
from cockpit.model import IncidentStatus
from tests.integration.http_world import TOKENS, cockpit, until

BINARY = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
pytestmark = pytest.mark.skipif(
    BINARY is None, reason="Alertmanager is missing: apt-get install prometheus-alertmanager"
)
CONFIG = """
route:
  receiver: cockpit
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: cockpit
    webhook_configs:
      - url: http://127.0.0.1:{port}/api/v1/alerts
        send_resolved: true
        http_config:
          authorization: {{credentials: {token}}}
"""


@contextlib.asynccontextmanager
async def alertmanager(folder: Path, cockpit_port: int) -> AsyncIterator[httpx.AsyncClient]:
    """Run Alertmanager with cockpit as its receiver; a client of its API."""
    port = ports.reserve()
    config = folder / "alertmanager.yml"
    config.write_text(CONFIG.format(port=cockpit_port, token=TOKENS["prometheus"][0]))
    process = await asyncio.create_subprocess_exec(
        str(BINARY),
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            async with asyncio.timeout(60):
                while not await _ready(client):
                    await asyncio.sleep(0.05)
            yield client
    finally:
        process.terminate()
        await process.wait()


async def _ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/-/ready")).is_success
    except httpx.TransportError:
        return False


def at(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


async def fire(client: httpx.AsyncClient, instances: list[str], **ends: str) -> None:
    alerts = [
        {
            "labels": {"alertname": "DiskFull", "instance": each, "severity": "critical"},
            "annotations": {"summary": f"{each} is full"},
            "startsAt": at(-30),
            **ends,
        }
        for each in instances
    ]
    (await client.post("/api/v2/alerts", json=alerts)).raise_for_status()


async def test_a_real_alertmanager_fires_and_sees_its_resolved(tmp_path):
    async with cockpit(tmp_path) as running, alertmanager(tmp_path, running.server.port) as client:
        reader = running.engine.reader
        await fire(client, ["nas:9100", "web:9100"])
        await until(lambda: len(reader.alerts(firing_only=True)) == 2, 15)
        (incident,) = reader.incidents()
        assert (incident.severity, incident.service) == ("critical", "alertmanager/DiskFull")
        sent = {each["fingerprint"] for each in (await client.get("/api/v2/alerts")).json()}
        assert {raised.alert.fingerprint for raised in reader.alerts()} == {f"alertmanager:{each}" for each in sent}
        await fire(client, ["nas:9100", "web:9100"], endsAt=at(-1))
        await until(lambda: reader.incident(incident.id).status is IncidentStatus.RESOLVED, 15)
        failed = [
            line
            for line in (await client.get("/metrics")).text.splitlines()
            if line.startswith("alertmanager_notification_requests_failed_total") and 'integration="webhook"' in line
        ]
        assert failed and failed[0].endswith(" 0")


async def test_what_cockpit_could_not_take_is_sent_again_by_alertmanager(tmp_path):
    async with cockpit(tmp_path) as running, alertmanager(tmp_path, running.server.port) as client:
        database = running.engine.store._database
        pages = database.execute("pragma page_count").fetchone()[0]
        database.execute(f"pragma max_page_count = {pages}")
        await fire(client, [f"host{number}:9100" for number in range(200)])
        await until(lambda: running.server.intake.refused > 0, 15)
        assert len(running.engine.reader.alerts()) < 200
        database.execute("pragma max_page_count = 1000000")
        await until(lambda: len(running.engine.reader.alerts()) == 200, 20)
