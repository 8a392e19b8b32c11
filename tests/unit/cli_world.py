"""A home for the command line: config, data and one real service that is a folder, found as a plug-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from cockpit.cli.program import run
from cockpit.model import Alert, Severity
from cockpit.store.store import Store

ROOT = Path(__file__).parents[2]
MAIN = "from cockpit.cli import main; main()"


@dataclass
class Home:
    """One operator's files, and the command line in it."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    @property
    def world(self) -> Path:
        return self.folder / "world"

    @property
    def data(self) -> Path:
        return self.folder / "data/cockpit"

    @property
    def config(self) -> Path:
        return self.folder / "config/cockpit/config.toml"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "PYTHONPATH": f"{self.folder / 'plugins'}:{ROOT}",
            "LANG": "C.UTF-8",
        }

    def configure(self, text: str = "") -> None:
        self.config.write_text(f'operator = "ada"\n[services.world.one]\nfolder = "{self.world}"\n{text}\n')

    def __call__(self, *argv: str) -> tuple[int, str, str]:
        """Run a command; returns its status, what it printed, and what it said."""
        status = run(argv)
        printed = self.capture.readouterr()
        return status, printed.out, printed.err

    def json(self, *argv: str) -> dict:
        status, printed, said = self(*argv, "--json")
        assert said == "", said
        assert status in (0, 1, 3)
        return json.loads(printed)

    def process(self, *argv: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own."""
        return subprocess.run(
            [sys.executable, "-c", MAIN, *argv],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            **options,
        )

    def store(self) -> Store:
        return Store.open(self.data / "cockpit.db")

    def incident(self, summary: str = "There is trouble", name: str = "trouble") -> int:
        with self.store() as store:
            alert = Alert(f"world/one:{name}", "world/one", name, Severity.CRITICAL, summary, time.time())
            return store.ingest_alerts([alert])[0]

    def proposal(self, *argv: str) -> dict:
        """A proposal, made by the command line, that waits."""
        return self.json("run", *(argv or ("set_world_value", "key=a", "to=new")))["proposal"]


def home_in(folder: Path, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with the world as its only service."""
    home = Home(folder, capture)
    for each in (home.world, home.config.parent, folder / "data"):
        each.mkdir(parents=True, mode=0o700)
    (home.world / "value-a").write_text("old")
    plugin = folder / "plugins/world-1.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: world\nVersion: 1\n")
    (plugin / "entry_points.txt").write_text("[cockpit.tools]\nworld = tests.faults.world:world\n")
    monkeypatch.syspath_prepend(str(folder / "plugins"))
    for name in [name for name in os.environ if name.startswith("COCKPIT_")]:
        monkeypatch.delenv(name)
    for name, value in home.environment().items():
        if name.startswith("XDG_"):
            monkeypatch.setenv(name, value)
    home.configure()
    return home
