"""A first config is found on the machine, and the doctor says what is wrong with any."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from cockpit.cli.discovery import Found, Listener, discover, named
from cockpit.cli.init import document
from cockpit.settings import load, with_options
from cockpit.text import Redactor
from cockpit.toolkit import Registry
from tests.unit.cli_world import Home, home_in

LISTEN = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path, capsys, monkeypatch) -> Home:
    return home_in(tmp_path, capsys, monkeypatch)


def test_a_config_is_written_for_its_owner_alone(home):
    home.config.unlink()
    status, printed, said = home("init", "--no-input")
    assert (status, printed) == (0, f"{home.config}\n") and "cockpit doctor" in said
    assert home.config.stat().st_mode & 0o777 == 0o600
    assert "host/local" in [service.name for service in load().services] or "host" not in Registry.discover().kinds


def test_an_existing_config_is_never_overwritten_unasked(home):
    before = home.config.read_text()
    assert home("init", "--no-input")[0] == 1
    refused = home.command("init", input="n\n")
    assert refused.returncode == 1 and "was left as it is" in refused.stderr
    assert home.config.read_text() == before


def test_a_replaced_config_is_kept_beside_the_new_one(home):
    before = home.config.read_text()
    assert home.command("init", input="y\n" + "n\n" * 50).returncode == 0
    assert home.config.with_name("config.toml.old").read_text() == before
    assert load().services == ()


def test_what_is_written_for_every_kind_is_a_valid_config(tmp_path):
    registry = Registry.discover()
    found = [Found(f"{kind}/main", {}, ()) for kind in registry.kinds]
    file = tmp_path / "config.toml"
    file.write_text("\n".join(document(found, registry)))
    settings = with_options(load(file, environ={}), registry, Redactor())
    assert [service.kind for service in settings.services] == list(registry.kinds)


def test_a_server_that_listens_here_is_found(tmp_path):
    (tmp_path / "redis-server").symlink_to(sys.executable)
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
    with subprocess.Popen(
        [tmp_path / "redis-server", "-c", LISTEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as server:
        assert server.stdout and server.stdin
        port = int(server.stdout.readline())
        found = [each for each in discover() if each.options.get("port") == port]
        server.stdin.close()
    assert [each.name.partition("/")[0] for each in found] == ["redis"]


def test_found_services_have_names_of_their_own_and_the_options_to_reach_them():
    listeners = [
        Listener("postgres", frozenset({5433})),
        Listener("postgres", frozenset({5432}), "postgresql@15-main.service"),
        Listener("caddy", frozenset({80, 443, 2019})),
        Listener("nats", frozenset({4222, 6222, 8222})),
    ]
    assert {found.name: dict(found.options) for found in named(listeners)} == {
        "host/local": {},
        "caddy/main": {"admin": "http://localhost:2019"},
        "nats/main": {"port": 4222},
        "postgres/main": {"port": 5432, "unit": "postgresql@15-main.service"},
        "postgres/port-5433": {"port": 5433},
    }


def findings(home: Home) -> dict[str, dict]:
    return {check["what"]: check for check in home.json("doctor")["checks"]}


def test_the_doctor_finds_nothing_wrong_where_all_is_well(home):
    home.incident()
    checks = findings(home)
    assert checks["world/one"]["found"] == "up, well"
    assert checks["change log"]["ok"] and checks["data folder"]["ok"] and checks["config"]["ok"]


@pytest.mark.parametrize(
    ("breaks", "what", "fix"),
    [
        (lambda home: home.configure("intervall = 3"), "world/one", "Did you mean 'interval'?"),
        (lambda home: home.config.write_text("x = "), "config", "Correct that line."),
        (lambda home: home.config.unlink(), "config", "cockpit init"),
        (lambda home: home.data.chmod(0o755), "data folder", "chmod 700"),
        (lambda home: (home.data / "cockpit.db").chmod(0o644), "data folder", "chmod 600"),
        (lambda home: (home.data / "audit.head").unlink(), "change log", "cockpit audit verify"),
        (lambda home: home.config.write_text("[services.wrld.one]"), "wrld/one", "Known kinds:"),
    ],
)
def test_the_doctor_says_how_to_mend_each_finding(home, breaks, what, fix):
    home.incident()
    breaks(home)
    check = findings(home)[what]
    assert not check["ok"] and fix in check["fix"]
    status, printed, _ = home("doctor")
    assert status == 1 and f"✗ {what}: " in printed and "  → " in printed


def test_the_doctor_finds_a_service_that_is_down(home):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        home.configure(f"[services.redis.gone]\nport = {closed.getsockname()[1]}\ntimeout = 2")
        check = findings(home)["redis/gone"]
    assert not check["ok"] and "down" in check["found"] and check["fix"]


def test_a_broken_runbook_is_found_with_its_line(home):
    (home.runbooks / "own.yaml").write_text("kind: world\nrunbooks:\n  - id: x\n")
    broken = [check for check in home.json("doctor")["checks"] if check["what"] == "runbooks" and not check["ok"]]
    assert len(broken) == 1 and "own.yaml" in broken[0]["found"]


MODELS = """
[models.listed]
model = "openai/gpt-4o-mini"
key = "sk-0123456789abcdef"
[models.priced]
model = "openai/of-our-own"
key = "sk-0123456789abcdef"
input_price = 0.5
output_price = 1.5
[models.unknown]
model = "openai/of-our-own"
key = "sk-0123456789abcdef"
[models.locked]
model = "openai/gpt-4o-mini"
key_file = "nowhere.key"
[models.here]
model = "openai/small"
tier = "local"
base_url = "http://127.0.0.1:{here}/v1"
[models.away]
model = "openai/small"
tier = "local"
base_url = "http://127.0.0.1:{away}/v1"
"""


def test_the_doctor_checks_models_and_sends_nothing_to_them(home):
    with socket.create_server(("127.0.0.1", 0)) as here, socket.socket() as away:
        away.bind(("127.0.0.1", 0))
        home.configure(MODELS.format(here=here.getsockname()[1], away=away.getsockname()[1]))
        home.config.chmod(0o600)
        checks = findings(home)
        here.settimeout(5)
        with here.accept()[0] as connection:
            connection.settimeout(5)
            assert connection.recv(1) == b""
    found = {name: checks[f"model {name}"] for name in ("listed", "priced", "unknown", "locked", "here", "away")}
    assert {name for name, check in found.items() if check["ok"]} == {"listed", "priced", "here"}
    assert "its key is there, $0.15 and $0.60 for a million tokens" in found["listed"]["found"]
    assert "$0.50 and $1.50 for a million tokens by the config" in found["priced"]["found"]
    assert "nobody knows its price" in found["unknown"]["found"] and "[models.unknown]" in found["unknown"]["fix"]
    assert "nowhere.key" in found["locked"]["found"]
    assert "is reachable" in found["here"]["found"] and "cannot be reached" in found["away"]["found"]
    assert "$1.00 a month" in checks["models"]["found"]
    assert "sk-0123456789abcdef" not in home("doctor")[1]


def test_the_doctor_speaks_of_no_model_where_none_is_configured(home):
    assert "model" not in home("doctor")[1]
