"""A service's options are checked against its kind, and its secrets stay secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit.model import CockpitError
from cockpit.settings import Settings, load, with_options
from cockpit.text import Redactor
from cockpit.toolkit import Client, Kind, Option, Registry

shelf = Kind(
    "shelf",
    "A shelf",
    Client,
    Client,
    (
        Option("address", str, "Where it stands.", required=True),
        Option("port", int, "Its port.", default=7),
        Option("patience", float, "Seconds.", default=1.5),
        Option("url", str, "Its address as a URL."),
        Option("password", str, "The password.", secret=True),
        Option("control", dict, "Commands."),
    ),
)
REGISTRY = Registry.of([shelf])
SECRET = "correct horse 99"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.touch(mode=0o600)
    return file


def loaded(config: Path, text: str, redactor: Redactor | None = None, **environ: str) -> Settings:
    config.write_text(f'[services.shelf.a]\naddress = "here"\n{text}\n')
    environ = {"XDG_CONFIG_HOME": "/nowhere", **environ}
    return with_options(load(config, environ=environ), REGISTRY, redactor or Redactor())


def refusal(config: Path, text: str, **environ: str) -> str:
    with pytest.raises(CockpitError) as caught:
        loaded(config, text, **environ)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def secret_file(tmp_path: Path, mode: int = 0o600) -> Path:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    file.chmod(mode)
    return file


def test_options_are_completed_with_defaults(config):
    service = loaded(config, "patience = 2").services[0]
    assert service.options == {"address": "here", "port": 7, "patience": 2.0}


def test_an_unknown_option_is_named_with_its_line_and_the_nearest(config):
    message = refusal(config, "prot = 8")
    assert "config.toml, line 3: 'services.shelf.a.prot' is no setting. Did you mean 'port'?" in message
    assert "Did you mean 'depends_on'?" in refusal(config, 'depend_on = ["x"]')


def test_an_option_of_the_wrong_type_is_named(config):
    assert "'services.shelf.a.port' must be a whole number, and is a text." in refusal(config, 'port = "8"')


def test_a_missing_option_is_named_with_what_it_is_for(config):
    config.write_text("[services.shelf.a]\n")
    with pytest.raises(CockpitError, match=r"line 1: shelf/a lacks 'address': Where it stands\. Add it: address = …"):
        with_options(load(config, environ={}), REGISTRY, Redactor())


def test_an_unknown_kind_is_named_with_the_nearest(config):
    config.write_text("[services.shelv.a]\n")
    with pytest.raises(CockpitError, match=r"line 1: 'shelv' is no kind of service\. Did you mean 'shelf'\?"):
        with_options(load(config, environ={}), REGISTRY, Redactor())


def test_a_policy_for_an_unknown_tool_is_refused(config):
    assert "line 5: 'fly' is no tool." in refusal(config, '[policy.levels]\nfly = "hard"'.replace("[", "\n[", 1))


def test_a_variable_is_read_as_the_options_type(config):
    service = loaded(config, "", COCKPIT_SERVICES__SHELF__A__PORT="9").services[0]
    assert service.options["port"] == 9


def test_a_secret_comes_from_any_of_its_places(config, tmp_path, monkeypatch):
    monkeypatch.setenv("SHELF_PASSWORD", SECRET)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    secret_file(tmp_path)
    for text in (
        f'password = "{SECRET}"',
        'password_file = "secret"',
        'password_env = "SHELF_PASSWORD"',
        'password_credential = "secret"',
    ):
        redactor = Redactor()
        service = loaded(config, text, redactor).services[0]
        assert service.options["password"] == SECRET
        assert not any(name.startswith("password_") for name in service.options)
        assert redactor.redact(f"it is {SECRET}") == "it is ‹secret:shelf/a.password›"


def test_a_screen_beside_the_daemon_finds_the_credentials_that_systemd_gave_the_daemon(config, tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setattr("cockpit.settings.secrets.OF_THE_DAEMON", tmp_path)
    secret_file(tmp_path)
    assert loaded(config, 'password_credential = "secret"').services[0].options["password"] == SECRET
    assert "none cannot be read" in refusal(config, 'password_credential = "none"')


def test_a_password_inside_an_address_is_told_to_the_redactor(config):
    redactor = Redactor()
    loaded(config, 'url = "http://bob:hunter2hunter@shelf.lan/"', redactor)
    assert "hunter2hunter" not in redactor.redact("bob has hunter2hunter")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o777])
def test_a_config_with_a_secret_that_others_can_read_is_refused(config, mode):
    config.chmod(mode)
    message = refusal(config, f'password = "{SECRET}"')
    said = ("changed", "chmod go-w") if mode & 0o022 else ("read", "chmod 600")
    assert f"can be {said[0]} by others" in message and f"{said[1]} '{config}'" in message


def test_a_config_without_a_secret_may_be_read_by_others(config):
    config.chmod(0o644)
    assert loaded(config, "port = 8").services[0].options["port"] == 8


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_secret_file_that_others_can_read_is_refused(config, tmp_path, mode):
    file = secret_file(tmp_path, mode)
    assert f"Type: chmod 600 '{file}'" in refusal(config, 'password_file = "secret"')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('password_file = "none"', "cannot be read: No such file"),
        ('password_file = "."', "can be read by others"),
        ('password_env = "NO_SUCH_VARIABLE"', "the environment has no $NO_SUCH_VARIABLE"),
        ('password_credential = "x"', "systemd gave this process no credentials"),
        ('password = "a"\npassword_env = "B"', "'services.shelf.a.password' is given twice"),
        ("password = 12345678", "must be a text, and is a whole number"),
    ],
)
def test_a_secret_that_cannot_be_had_is_named(config, tmp_path, monkeypatch, text, said):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    tmp_path.chmod(0o755)
    assert said in refusal(config, text)


def test_a_credential_is_a_name_and_no_path(config, tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "is no name of a credential" in refusal(config, 'password_credential = "../secret"')


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00", b"x" * 70_000])
def test_a_secret_file_without_a_usable_secret_is_refused(config, tmp_path, content):
    secret_file(tmp_path).write_bytes(content)
    assert "holds no secret that could be used" in refusal(config, 'password_file = "secret"')
