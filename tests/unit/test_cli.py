"""The command line reads, shows and checks what is recorded."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from cockpit import __version__
from cockpit.cli import crash, output
from cockpit.model import Tier
from cockpit.model.inquiries import CallOutcome, InquiryState, ModelCall
from cockpit.store.store import Store
from cockpit.text import Redactor
from tests.account import MAIN
from tests.corpus import hostile
from tests.unit.cli_world import Home, home_in

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\r"]


@pytest.fixture
def home(tmp_path, capsys, monkeypatch) -> Home:
    return home_in(tmp_path, capsys, monkeypatch)


def on_a_terminal(home: Home, *argv: str, **environ: str) -> str:
    """What a command writes to a terminal of 80 columns."""
    mine, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment = {**home.environment(), "TERM": "xterm", **environ}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *argv],
        env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    written = b""
    while True:
        try:
            chunk = os.read(mine, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        written += chunk
    os.close(mine)
    assert process.wait(60) == 0
    return written.decode()


def test_the_version_is_told(home):
    done = home.command("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"cockpit {__version__}\n", "")


def test_before_anything_is_recorded_the_configured_services_are_listed_as_unknown(home):
    (service,) = home.json("services")["services"]
    assert (service["service"]["name"], service["health"]["level"], service["checked_at"]) == (
        "world/one",
        "unknown",
        None,
    )
    assert home.json("incidents") == {"schema_version": 1, "incidents": []}
    assert home.json("changes") == {"schema_version": 1, "changes": []}
    assert not home.data.exists()


def test_without_services_the_way_to_configure_some_is_told(home):
    home.config.write_text("")
    assert home("services") == (0, "", "No service is configured. Write a config with: cockpit init\n")


def test_options_of_services_are_never_listed(home):
    assert "options" not in json.dumps(home.json("services"))


def test_an_incident_is_listed_shown_and_exported(home):
    incident = home.incident()
    assert home.json("incidents")["incidents"][0]["title"] == "There is trouble"
    status, listed, said = home("incidents")
    assert (status, said) == (0, "") and "There is trouble" in listed and "critical" in listed
    shown = home.json("show", str(incident))
    assert {"incident", "alerts", "events", "runs", "proposals", "schema_version"} == shown.keys()
    assert "Timeline" in home("show", f"#{incident}")[1]
    assert f"# Incident {incident}: There is trouble" in home("export", str(incident))[1]


def test_what_is_not_there_is_said_in_one_sentence(home):
    home.incident()
    assert home("show", "99") == (1, "", "cockpit: There is no incident 99. List them with: cockpit incidents\n")
    assert home("show", "99", "--proposal")[::2] == (
        1,
        "cockpit: There is no proposal 99. List them with: cockpit changes\n",
    )


@pytest.mark.parametrize("argv", [["show", "x"], ["frobnicate"], ["approve"], ["run", "--json"], ["--chaos", "soon"]])
def test_wrong_usage_has_a_status_of_its_own(home, argv):
    with pytest.raises(SystemExit) as ended:
        home(*argv)
    assert ended.value.code == 2


def test_a_wrong_config_is_named_with_its_line(home):
    home.configure("intervall = 3")
    status, printed, said = home("run", "look_at_world")
    assert (status, printed) == (78, "")
    assert "config.toml, line 4: 'services.world.one.intervall' is no setting. Did you mean 'interval'?" in said
    assert home("services", "--config", str(home.folder / "none"))[0] == 78


def test_commands_that_only_read_refuse_what_is_no_table_and_leave_the_daemons_to_the_doctor(home):
    home.configure("[alertmanger]")
    status, _, said = home("services")
    assert status == 78
    assert "config.toml, line 4: 'alertmanger' is no setting. Did you mean 'alertmanager'?" in said
    home.configure("[alertmanager]\nwatchdog = 3")
    assert home("services")[0] == 0
    status, printed, _ = home("doctor")
    assert status != 0
    assert "config.toml, line 5: 'alertmanager.watchdog' is no setting." in printed
    assert "Did you mean 'watchdog_seconds'?" in printed


@pytest.mark.parametrize("before", [[], ["--chaos", "5s"], ["--log-format", "json"], ["--dry-run"]])
def test_a_command_that_is_none_is_answered_with_all_there_are(home, before):
    with pytest.raises(SystemExit):
        home(*before, "serices", "audit")
    said = home.capture.readouterr().err
    assert all(f"'{name}'" in said for name in ("services", "approve", "audit", "lab"))


def test_a_command_may_stand_after_options_with_values(home):
    assert home("--log-format", "json", "services")[0] == 0


def test_a_damaged_log_is_an_error_of_reading(home):
    home.incident()
    (home.data / "cockpit.db").write_bytes(b"no database" * 1000)
    for extra in home.data.glob("cockpit.db-*"):
        extra.unlink()
    status, printed, said = home("incidents")
    assert (status, printed) == (74, "") and said.count("\n") == 1


def test_the_log_is_verified(home):
    home.incident()
    assert home("audit", "verify")[0] == 0
    with sqlite3.connect(home.data / "cockpit.db") as connection:
        for (name,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            connection.execute(f'drop trigger "{name}"')
        connection.execute("update event set text = 'nothing happened' where id = 1")
    status, printed, _ = home("audit", "verify")
    assert status == 1 and "event:1" in printed
    assert not home.json("audit", "verify")["whole"]


def test_no_attack_reaches_the_terminal(home):
    incident = fill(home)
    shown = ["show", str(incident)]
    for argv in (["incidents"], shown, [*shown, "--sent"], ["export", str(incident)], ["services"]):
        written = on_a_terminal(home, *argv, NO_COLOR="1")
        assert [repr(control) for control in CONTROLS if control in written.replace("\t", "")] == [], argv
        assert "world/one" in written or "mini" in written


def test_no_attack_reaches_whoever_reads_json(home):
    incident = fill(home)
    status, printed, _ = home("show", str(incident), "--json")
    assert status == 0 and printed.isascii() and not any(control in printed for control in CONTROLS)
    texts = [event["text"] for event in json.loads(printed)["events"]]
    assert texts[-len(hostile()) :] == [text.encode("utf-8", "backslashreplace").decode() for text in hostile()]


def test_the_same_check_finds_the_attacks_when_nothing_is_cleaned(home, monkeypatch):
    incident = fill(home)
    monkeypatch.setattr(output, "clean", lambda text, lines=False: text)
    printed = home("show", str(incident))[1]
    assert len([control for control in CONTROLS if control in printed]) > 20


def fill(home: Home) -> int:
    """An incident full of hostile text, stored as it came."""
    incident = home.incident(" ".join(hostile()[:60]).encode("utf-8", "replace").decode())
    with home.store() as store:
        inquire(store, incident)
        for text in hostile():
            store.note("\x1b[31mmallory", "note", text, incident=incident)
    return incident


def inquire(store: Store, incident: int) -> None:
    """An inquiry in which a model wrote hostile text wherever it may."""
    text = " ".join(hostile()[:60]).encode("utf-8", "replace").decode()
    asked = store.inquiries.ask(incident, "world/one", text, text, estimate=None, wait=False)
    assert store.inquiries.begin(asked.id)
    made = ModelCall(0, asked.id, "mini", Tier.FAST, 1.0, 1.0, 1, 1, 0.1, CallOutcome.REFUSED, text, {"said": text})
    store.inquiries.called(made)
    rival = {"cause": text, "ruled_out": False, "reading": text}
    answer = {"text": text, "cause": text, "rivals": [rival], "guesses": [text], "next_look": text}
    store.inquiries.finish(asked.id, InquiryState.INCONCLUSIVE, text, answer)


def test_tables_fit_the_terminal_and_say_what_is_cut(home):
    home.incident("long " * 100)
    written = on_a_terminal(home, "incidents", NO_COLOR="1")
    assert "…" in written and all(len(line) <= 80 for line in written.splitlines())
    assert "long " * 99 in home("incidents")[1]


def test_colours_are_for_terminals_that_want_them(home):
    home.incident()
    assert "\x1b[31mcritical\x1b[0m" in on_a_terminal(home, "incidents")
    for environ in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_a_terminal(home, "incidents", **environ)
    assert "\x1b" not in home("incidents")[1]


def test_wide_text_is_measured_in_cells():
    assert output.width("漢字e\u0301") == 5
    assert output.cut("漢字漢字", 5) == "漢字…"
    assert output.cut("x" * 5000, 10) == "x" * 9 + "…"


def test_an_interrupted_command_has_a_status_of_its_own(home):
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "init"],
        env=home.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr and b"exists" in process.stderr.read(30 + len(str(home.config)))
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    process.communicate()


def test_a_question_nobody_answers_changes_nothing(home):
    before = home.config.read_text()
    done = home.command("init", stdin=subprocess.DEVNULL)
    assert done.returncode == 130 and done.stderr.endswith("\ncockpit: Nobody answered, so nothing was done.\n")
    assert home.config.read_text() == before


def test_a_crash_leaves_one_sentence_and_a_file_without_secrets(home, monkeypatch):
    monkeypatch.setattr(crash, "redactor", Redactor())
    crash.redactor.add("hunter2hunter")
    try:
        raise RuntimeError("\x1b[2J it was hunter2hunter")
    except RuntimeError as error:
        assert crash.report(error) == 1
    said = home.capture.readouterr().err
    file = Path(said.rstrip(".\n").rpartition(" ")[2])
    assert said.count("\n") == 1 and "RuntimeError" in said and "Traceback" not in said
    assert "␛[2J it was ‹secret:1›" in (written := file.read_text()) and "hunter2hunter" not in written
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", ["raise ValueError", "t = threading.Thread(target=int, args='x'); t.start(); t.join()"])
def test_no_traceback_reaches_the_terminal_from_anywhere(home, how):
    program = f"import threading; from cockpit.cli import crash; crash.install(); {how}"
    done = subprocess.run(
        [sys.executable, "-c", program], env=home.environment(), capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr and "The details are in" in done.stderr


def test_settings_are_shown_with_their_origin_and_without_secrets(home):
    home.configure('password = "hunter2hunter"')
    shown = {entry["key"]: entry for entry in home.json("config", "show")["settings"]}
    assert shown["operator"]["value"] == "ada" and shown["operator"]["origin"].endswith("config.toml, line 1")
    assert shown["policy.deadline"]["origin"] == "default"
    assert shown["services.world.one.password"]["value"].startswith("‹secret:")
    assert "hunter2hunter" not in home("config", "show")[1]


MORE = """
[telegram]
token = "12345678:telegram-token-telegram-token-tele"
chat = 7
users = [{id = 7, name = "ada", rights = ["see", "approve"]}]
[http]
tokens = [{name = "prometheus", scopes = ["alert"], token = "http-token-http-token-http-token-12"}]
[models]
ask = true
[models.mini]
model = "openai/gpt-4o-mini"
key = "sk-0123456789abcdef"
"""


def test_every_table_is_shown_and_of_a_secret_only_that_there_is_one(home):
    home.configure(MORE)
    home.config.chmod(0o600)
    shown = {entry["key"]: entry for entry in home.json("config", "show")["settings"]}
    assert shown["telegram.users"]["value"] == [{"id": 7, "name": "ada", "rights": ["approve", "see"]}]
    (token,) = shown["http.tokens"]["value"]
    assert (token["name"], token["scopes"]) == ("prometheus", ["alert"])
    assert shown["models.ask"]["value"] is True and shown["models.ask"]["origin"].startswith(str(home.config))
    assert shown["models.mini.model"]["value"] == "openai/gpt-4o-mini"
    assert shown["models.mini.tier"] == {"key": "models.mini.tier", "value": "fast", "origin": "default"}
    assert {"telegram.token", "models.mini.key"} <= set(shown)
    printed = home("config", "show")[1]
    assert not [word for word in ("telegram-token", "http-token", "sk-0123") if word in printed]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_is_printed_for_a_shell(home, shell):
    status, printed, _ = home("completion", shell)
    assert status == 0 and "incidents" in printed and "unfreeze" in printed
