"""`cockpit ask` where nobody acts on the log: it answers itself, and does nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cockpit.store.reader import Reader
from tests.account import MAIN
from tests.models.script import Says
from tests.models.scripted import Scripted


def test_where_nobody_acts_it_tells_the_cost_answers_and_neither_probes_nor_changes(tmp_path: Path) -> None:
    with Scripted([Says("Nothing is wrong.")]) as provider:
        config = tmp_path / "config.toml"
        config.write_text(
            f'data_folder = "{tmp_path / "data"}"\n[services.host.local]\n[models]\nask = true\n'
            f'[models.mini]\nmodel = "openai/gpt-4o-mini"\nkey = "{provider.key}"\nbase_url = "{provider.url}"\n'
        )
        config.chmod(0o600)
        command = [sys.executable, "-c", MAIN, "ask", "Is it well?", "--yes", "--config", str(config)]
        env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "Nothing is wrong.\n"), done.stderr
    assert "mini would be asked first: about $0.00" in done.stderr
    with Reader(tmp_path / "data" / "cockpit.db") as reader:
        assert [watched.checked_at for watched in reader.services()] == [None]
        assert reader.proposals() == []
        asked = reader.asked.inquiry(1)
    assert asked.estimate is not None and asked.estimate.dollars > 0
