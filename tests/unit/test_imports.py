"""Nothing is loaded that a command does not need, and no part needs what stands above it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cockpit.lock import locked
from cockpit.settings import Settings

HEAVY = ("textual", "rich", "httpx", "pydantic", "sqlite_utils", "psycopg", "redis", "nats", "psutil", "yaml")
DAEMONS = {f"cockpit.settings.{name}" for name in ("daemon", "http", "notifying", "telegram")}
COMMAND = (
    "import sys; sys.argv = ['cockpit', *{argv}]; from cockpit.cli import main\ntry: main()\nexcept SystemExit: pass"
)


def loaded(program: str, home: Path) -> set[str]:
    """The modules a fresh process has loaded when the program is done."""
    listing = "\nimport sys; sys.stdout.flush(); sys.stderr.write('LOADED ' + ' '.join(sys.modules))"
    environ = {"XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home), "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", program + listing],
        capture_output=True,
        text=True,
        timeout=60,
        env=environ,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.partition("LOADED ")[2].split())


@pytest.mark.parametrize(
    "argv", [["services", "--json"], ["incidents", "--json"], ["changes", "--json"], ["incidents"]]
)
def test_commands_that_list_load_nothing_heavy(tmp_path, argv):
    modules = loaded(COMMAND.format(argv=argv), tmp_path)
    assert "cockpit.cli.reading" in modules
    assert modules.isdisjoint({*HEAVY, "asyncio", "cockpit.engine", "cockpit.toolkit", "cockpit.secret_patterns"})
    assert modules.isdisjoint({"cockpit.store.asked", "cockpit.model.inquiries", "cockpit.cli.models"})


@pytest.mark.parametrize("argv", [["models"], ["show", "1", "--sent"]])
def test_what_models_did_is_listed_without_what_asks_them(tmp_path, argv):
    modules = loaded(COMMAND.format(argv=argv), tmp_path)
    assert modules.isdisjoint({*HEAVY, "asyncio", "cockpit.engine", "cockpit.llm.models", "litellm"} - {"rich"})


def test_commands_that_list_leave_alone_what_the_daemon_is_told(tmp_path):
    config = tmp_path / "cockpit" / "config.toml"
    config.parent.mkdir()
    config.write_text("[heartbeats.backup]\nevery = 60.0\n[http]\n[alertmanager]\nwatchdog_seconds = 60.0\n")
    modules = loaded(COMMAND.format(argv=["services", "--json"]), tmp_path)
    assert "cockpit.settings.loading" in modules
    assert modules.isdisjoint(DAEMONS)


def test_a_table_that_is_not_there_costs_nothing(tmp_path):
    assert loaded("from cockpit.settings import load; load()", tmp_path).isdisjoint(DAEMONS)


def test_the_version_is_told_without_loading_anything(tmp_path):
    modules = loaded(COMMAND.format(argv=["--version"]), tmp_path)
    assert modules.isdisjoint({*HEAVY, "argparse", "json", "cockpit.model"})


def test_a_second_daemon_leaves_before_anything_heavy_is_loaded(tmp_path):
    with locked(Settings(data_folder=tmp_path / "cockpit")) as ours:
        modules = loaded(COMMAND.format(argv=["--daemon"]), tmp_path)
    assert ours and "cockpit.lock" in modules
    assert modules.isdisjoint({*HEAVY, "cockpit.engine", "cockpit.serve.daemon", "cockpit.toolkit"})


def test_listing_the_tools_loads_no_driver(tmp_path):
    modules = loaded("from cockpit.toolkit import Registry; Registry.discover().tools", tmp_path)
    assert modules.isdisjoint({"httpx", "psycopg", "redis", "nats", "pydantic", "textual"})


@pytest.mark.parametrize(
    "part", ["engine", "agent.loop", "safety.executor", "store.store", "settings", "toolkit", "lab.lab", "text"]
)
def test_all_under_the_screen_works_without_textual(tmp_path, part):
    assert "textual" not in loaded(f"import cockpit.{part}", tmp_path)


def test_an_engine_loads_nothing_of_models_before_it_has_any(tmp_path):
    modules = loaded("import cockpit.engine", tmp_path)
    assert not {name for name in modules if name.startswith("cockpit.llm")}
    assert "cockpit.agent.asking" not in modules


@pytest.mark.parametrize("pane", sorted(file.stem for file in Path("widgets").glob("*.py")))
def test_a_pane_knows_the_model_and_the_text_type_alone(tmp_path, pane):
    ours = {name for name in loaded(f"import widgets.{pane}", tmp_path) if name.startswith(("cockpit.", "tools"))}
    others = {name for name in ours if not name.startswith("cockpit.model")}
    assert others <= {"cockpit.text", "cockpit.secret_patterns"}


def test_imports_run_in_one_direction():
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
