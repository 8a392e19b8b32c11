"""An operator's account, with the world's kind found as a plug-in, and the command line as a process in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAIN = "from cockpit.cli import main; main()"


class Account:
    """Where an operator's config, data and state are kept.

    Args:
        folder: the home.
        environ: more of the environment that its processes get.
    """

    def __init__(self, folder: Path, environ: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.environ = environ or {}
        for each in (self.plugins / "world-1.dist-info", self.runbooks, folder / "data"):
            each.mkdir(parents=True, mode=0o700)
        plugin = self.plugins / "world-1.dist-info"
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: world\nVersion: 1\n")
        (plugin / "entry_points.txt").write_text("[cockpit.tools]\nworld = tests.faults.world:world\n")

    @property
    def plugins(self) -> Path:
        return self.folder / "plugins"

    @property
    def config(self) -> Path:
        return self.folder / "config/cockpit/config.toml"

    @property
    def runbooks(self) -> Path:
        return self.folder / "config/cockpit/runbooks"

    @property
    def data(self) -> Path:
        return self.folder / "data/cockpit"

    def environment(self) -> dict[str, str]:
        """All that its processes get to know; where the run is measured, they are too."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "PYTHONPATH": f"{self.plugins}:{ROOT}",
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
            **self.environ,
        }

    def command(self, *argv: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line to its end, in a process of its own."""
        return subprocess.run(  # type: ignore[call-overload,no-any-return]  # options are subprocess's own
            [sys.executable, "-c", MAIN, *argv],
            env=self.environment(), capture_output=True, text=True, timeout=60, **options,
        )  # fmt: skip
