"""A log that several connections of one process, and several processes, have open at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cockpit.store.reader import Reader
from cockpit.store.store import Store

WRITE = """
import sys
from pathlib import Path
from cockpit.store.store import Store
with Store.open(Path(sys.argv[1])) as store:
    store.note("another process", "note", "written elsewhere")
"""


def test_what_another_process_commits_is_seen_by_a_process_that_opened_the_log_twice(tmp_path):
    path = tmp_path / "log/cockpit.db"
    Store.open(path).close()
    with Reader(path) as reader, Store.open(path) as store:
        store.note("us", "note", "written here")
        subprocess.run([sys.executable, "-c", WRITE, path], check=True, timeout=60, cwd=Path(__file__).parents[2])
        assert [event.text for event in reader.events()] == ["written here", "written elsewhere"]
        store.note("us", "note", "written last")
    with Reader(path) as reader:
        assert [event.text for event in reader.events()] == ["written here", "written elsewhere", "written last"]
