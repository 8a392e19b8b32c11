"""Labs of just the servers that a test file needs, kept for the whole run of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cockpit.lab.catalogue import servers
from cockpit.lab.lab import Lab


@pytest.fixture(scope="session")
def lab_of() -> Iterator[Callable[..., Lab]]:
    """Start the named servers in a lab of their own; asked for the same again, it is the same lab."""
    labs: dict[tuple[str, ...], Lab] = {}

    def start(*names: str) -> Lab:
        if names not in labs:
            known = {server.name: server for server in servers()}
            labs[names] = Lab.create([known[name] for name in names])
            _apart(labs[names].up())
        return labs[names]

    try:
        yield start
    finally:
        for lab in labs.values():
            _apart(lab.down())


def _apart(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run it in a loop of its own, for a test's loop may be running."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()
