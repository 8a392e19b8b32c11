"""How long commands take to start, against a bare interpreter."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.report import line, ratio, wall
from tests.benchmarks.world import filled_store

COCKPIT = str(Path(sys.executable).with_name("cockpit"))


def main() -> None:
    """Print the ratios."""
    bare = wall([sys.executable, "-c", "pass"])
    json_sqlite = wall([sys.executable, "-c", "import json, sqlite3"])
    found, mine, theirs = ratio(wall([COCKPIT, "--version"]), bare)
    line("cockpit --version / python -c pass", f"{found:.2f}x ({mine * 1e3:.0f}/{theirs * 1e3:.0f} ms)", "2x")
    with tempfile.TemporaryDirectory() as folder:
        config = filled_store(Path(folder), services=50, incidents=20)
        for command in ("services", "incidents", "changes"):
            argv = [COCKPIT, "--config", str(config), command, "--json"]
            found, mine, theirs = ratio(wall(argv, dict(os.environ)), json_sqlite)
            what = f"cockpit {command} --json / python -c 'import json, sqlite3'"
            line(what, f"{found:.2f}x ({mine * 1e3:.0f}/{theirs * 1e3:.0f} ms)", "4x")
