"""A cockpit over a folder, with its HTTP interface open on a free port, and a client that knows the tokens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from cockpit.engine import Engine
from cockpit.model import Service
from cockpit.serve.http.limits import Limits
from cockpit.serve.http.server import Server
from cockpit.settings import PolicySettings, Settings
from cockpit.settings.daemon import AlertmanagerSettings, HttpSettings, Token
from cockpit.settings.tables import Secret
from cockpit.settings.values import Origin
from cockpit.text import Redactor
from tests.faults import world

TOKENS = {
    "ada": ("ada-0123456789abcdef", ("read", "alert", "approve")),
    "prometheus": ("prometheus-0123456789", ("alert",)),
    "screen": ("screen-0123456789abc", ("read",)),
}


@dataclass
class Cockpit:
    """A running cockpit and how to speak to it."""

    engine: Engine
    server: Server
    client: httpx.AsyncClient
    folder: Path

    def as_(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKENS[name][0]}"}

    async def post(self, content: object, name: str = "ada", path: str = "/api/v1/alerts") -> httpx.Response:
        headers = {**self.as_(name), "Content-Type": "application/json"}
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await self.client.post(path, content=body, headers=headers)

    async def get(self, path: str, name: str = "ada") -> httpx.Response:
        return await self.client.get(path, headers=self.as_(name))


def tokens() -> tuple[Token, ...]:
    origin = Origin("the test")
    return tuple(
        Token(name, scopes, Secret(name, "", value, origin), value) for name, (value, scopes) in TOKENS.items()
    )


@contextlib.asynccontextmanager
async def cockpit(
    folder: Path,
    *,
    with_tokens: bool = True,
    limits: Limits | None = None,
    alertmanager: AlertmanagerSettings | None = None,
    services: tuple[Service, ...] | None = None,
    agent: bool = True,
    tls: tuple[Path, Path] | None = None,
) -> AsyncIterator[Cockpit]:
    """Run engine and server in this loop until the end of the block."""
    (folder / "world").mkdir(exist_ok=True)
    settings = Settings(
        data_folder=folder / "data",
        services=(world.service(folder / "world"),) if services is None else services,
        policy=PolicySettings(),
        runbook_folder=folder / "runbooks",
        operator="grace",
    )
    http = HttpSettings(port=0, tokens=tokens() if with_tokens else ())
    http = replace(http, tls_certificate=tls[0], tls_key=tls[1]) if tls else http
    with Engine(settings, world.registry(), Redactor()) as engine:
        server = Server(engine, http, alertmanager or AlertmanagerSettings(), limits)
        tasks = [asyncio.create_task(server.run())] + ([asyncio.create_task(engine.run())] if agent else [])
        try:
            await until(lambda: server.listening.is_set() or tasks[0].done())
            if tasks[0].done():
                tasks[0].result()
            trust = ssl.create_default_context(cafile=str(tls[0])) if tls else True
            address = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=address, timeout=60, verify=trust) as client:
                yield Cockpit(engine, server, client, folder)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine, and its key."""
    certificate, key = folder / "c.pem", folder / "k.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=cockpit"]
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run([*made, *files], check=True, capture_output=True)
    return certificate, key


def alert(name: str = "DiskFull", status: str = "firing", **labels: str) -> dict[str, object]:
    """One alert as Alertmanager's webhook holds it."""
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "warning", **labels},
        "annotations": {"summary": f"{name} on {labels.get('instance', 'nas')}"},
        "startsAt": "2026-11-20T10:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
    }


def webhook(*alerts: dict[str, object]) -> dict[str, object]:
    """Alertmanager's webhook of version 4."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="DiskFull"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "cockpit",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": list(alerts),
    }


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until a condition holds; fails when it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
