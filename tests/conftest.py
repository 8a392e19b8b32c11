"""What holds for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.store_examples import Log

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in whatever a script starts in the background; processes that tests start and interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.umask(0o022)  # as most have it: what others can write, cockpit refuses


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """An open store with its clock, in a folder of its own."""
    made = Log(tmp_path / "data")
    yield made
    made.store.close()
