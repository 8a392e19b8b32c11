"""A home for the command line: config, data and one real service that is a folder, found as a plug-in."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from cockpit.cli.program import run
from cockpit.model import Alert, Severity
from cockpit.store.store import Store
from tests.account import Account


class Home(Account):
    """One operator's files, and the command line in it."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        super().__init__(folder)
        self.capture = capture
        self.world.mkdir()
        (self.world / "value-a").write_text("old")
        self.configure()

    @property
    def world(self) -> Path:
        return self.folder / "world"

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
    monkeypatch.syspath_prepend(str(home.plugins))
    for name in [name for name in os.environ if name.startswith("COCKPIT_")]:
        monkeypatch.delenv(name)
    for name, value in home.environment().items():
        if name.startswith("XDG_"):
            monkeypatch.setenv(name, value)
    return home
