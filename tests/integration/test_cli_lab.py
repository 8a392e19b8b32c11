"""The lab's commands, each in a process of its own, on a lab that runs beside them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.account import MAIN

SERVICES = {"postgres/main", "redis/cache", "nats/bus", "caddy/edge", "host/local"}


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """An environment whose temporary folder holds no other lab."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)  # PostgreSQL runs under another account and has to pass through
    yield {**os.environ, "TMPDIR": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def lab(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A lab that is up, and gone without a trace when it is interrupted."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "lab", "up"],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert {process.stdout.readline().strip() for _ in SERVICES} == SERVICES
    yield process
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not list(Path(environment["TMPDIR"]).glob("cockpit-lab-*"))


def cockpit(environment: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, *argv], env=environment, text=True, capture_output=True, timeout=60
    )


def states(environment: dict[str, str]) -> dict[str, bool]:
    status = json.loads(cockpit(environment, "lab", "status", "--json").stdout)
    return {server["name"]: server["pid"] is not None for server in status["servers"]}


def test_without_a_lab_the_way_to_start_one_is_told(environment):
    empty = Path(environment["TMPDIR"]) / "empty"
    empty.mkdir()
    empty.chmod(0o755)  # or else the lab's folders would be looked for elsewhere
    done = cockpit({**environment, "TMPDIR": str(empty)}, "lab", "status")
    assert done.returncode == 1 and "cockpit lab up" in done.stderr


def test_a_fault_is_injected_and_cleared_from_another_process(lab, environment):
    assert all(states(environment).values())
    assert cockpit(environment, "lab", "inject", "redis-stopped").returncode == 0
    assert not states(environment)["redis"]
    assert cockpit(environment, "lab", "clear", "redis-stopped").returncode == 0
    assert states(environment)["redis"]


def test_a_fault_that_is_none_is_named(lab, environment):
    done = cockpit(environment, "lab", "inject", "redis-stoped")
    assert done.returncode == 1 and "The lab has no fault 'redis-stoped'" in done.stderr


def test_every_fault_is_listed_with_its_runbook(environment):
    listed = json.loads(cockpit(environment, "lab", "faults", "--json").stdout)["faults"]
    assert len(listed) >= 13
    assert all(fault["name"] and fault["title"] and fault["runbook"] for fault in listed)
    assert {fault["service"] for fault in listed} == SERVICES
