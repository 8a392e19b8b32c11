"""The course over the servers that a test file names in SERVERS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from cockpit.lab.catalogue import faults, servers
from cockpit.lab.lab import Lab
from tests.gauntlet.course import Course


@pytest.fixture(scope="module")
def course(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    """An engine over a lab of the module's servers."""
    names = request.module.SERVERS
    lab = Lab.create([server for server in servers() if server.name in names])
    try:
        asyncio.run(lab.up())
        watched = {service.name for service in lab.services()}
        known = {name: fault for name, fault in faults().items() if fault.service in watched}
        with Course(lab, known, tmp_path_factory.mktemp("data")) as running:
            yield running
    finally:
        asyncio.run(lab.down())
