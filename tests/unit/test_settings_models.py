"""The table `models` is read whole, and what is wrong in it is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit.files import data_file
from cockpit.model import CockpitError, Tier
from cockpit.settings import load, with_options
from cockpit.settings.models import ModelsSettings
from cockpit.text import Redactor
from cockpit.toolkit import Registry
from tests.faults import world

GOOD = """
[models]
month = 2
hide = ["addresses", "names"]

[models.mini]
model = "openai/gpt-4o-mini"
key = "sk-plain-in-the-config"

[models.own]
model = "openai/qwen3"
tier = "local"
base_url = "http://127.0.0.1:8080/v1/"
timeout = 90
"""


def config(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


def read(tmp_path: Path, text: str, **environ: str) -> ModelsSettings | None:
    return load(config(tmp_path, text), environ=environ).models


def test_the_table_is_read_in_its_order_with_its_defaults(tmp_path):
    found = read(tmp_path, GOOD)
    assert found is not None
    assert (found.month, found.day, found.incident, found.calls, found.ask) == (2.0, 0.25, 0.10, 12, False)
    assert found.hide == ("addresses", "names")
    mini, own = found.models
    assert (mini.name, mini.model, mini.tier, mini.timeout, mini.base_url) == (
        "mini",
        "openai/gpt-4o-mini",
        Tier.FAST,
        60.0,
        "",
    )
    assert mini.key is not None and mini.key.fetched() == "sk-plain-in-the-config"
    assert (own.tier, own.base_url, own.timeout, own.key) == (Tier.LOCAL, "http://127.0.0.1:8080/v1", 90.0, None)
    assert "sk-plain" not in repr(found)


@pytest.mark.parametrize("text", ["", "[models]\nmonth = 5\n", "[models]\n"])
def test_without_a_model_there_are_no_models(tmp_path, text):
    assert read(tmp_path, text) is None


def test_the_environment_may_set_what_the_file_does_not(tmp_path):
    found = read(tmp_path, GOOD, COCKPIT_MODELS__MONTH="0.5", COCKPIT_MODELS__MINI__TIER="strong")
    assert found is not None
    assert (found.month, found.models[0].tier) == (0.5, Tier.STRONG)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("[models]\nmonht = 2\n", 2, "'models.monht' is no setting. Did you mean 'month'?"),
        ("[models]\nmonth = -1\n", 2, "'models.month' must be 0 or more"),
        ('[models]\nhide = ["adresses"]\n', 2, "'models.hide' must be one of: addresses, names"),
        ('[models.mini]\nmodel = "a/b"\ntimout = 5\n', 3, "timout' is no setting. Did you mean 'timeout'?"),
        ("[models.mini]\ntimeout = 5\n", 2, "'models.mini' lacks 'model'"),
        ('[models.mini]\nmodel = "a/b"\ntier = "slow"\n', 3, "'models.mini.tier' must be one of: fast, strong, local"),
        ('[models.mini]\nmodel = "a b"\n', 2, "'models.mini.model' must be a model as litellm calls it"),
        ('[models.mini]\nmodel = "a/b"\nbase_url = "nas:80"\n', 3, "base_url' must be an address of the web"),
        ('[models.mini]\nmodel = "a/b"\nbase_url = "http://me:pass@nas/v1"\n', 3, "without a password in it"),
        ('[models.mini]\nmodel = "a/b"\ninput_price = 1\n', 2, "'models.mini' has one price and not the other"),
        ('[models.mini]\nmodel = "a/b"\nkey = "x"\nkey_file = "y"\n', 4, "'models.mini.key' is given twice"),
        ('[models."a b"]\nmodel = "a/b"\n', 2, "is no name that can be used"),
        ("[models]\ncalls = 0\n", 2, "'models.calls' must be 1 or more"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, line, told):
    with pytest.raises(CockpitError) as error:
        read(tmp_path, text)
    assert f"line {line}:" in str(error.value) and told in str(error.value)


def test_a_key_in_a_file_must_be_its_owners_and_is_known_to_the_redactor(tmp_path):
    (tmp_path / "openai.key").write_text("sk-from-a-file-0815\n")
    file = config(tmp_path, GOOD.replace('key = "sk-plain-in-the-config"', 'key_file = "openai.key"'))
    (tmp_path / "openai.key").chmod(0o644)
    with pytest.raises(CockpitError, match="can be read by others"):
        with_options(load(file, environ={}), Registry.of([]), Redactor())
    (tmp_path / "openai.key").chmod(0o600)
    redactor = Redactor()
    with_options(load(file, environ={}), Registry.of([]), redactor)
    assert redactor.redact("key sk-from-a-file-0815") == "key ‹secret:models.mini.key›"


def test_the_example_is_right_once_its_marks_are_taken_away(tmp_path):
    text = data_file("example.toml").read_text()
    table = text[text.index("# [models]") : text.index("# Who is asked on the phone")]
    found = read(tmp_path, "\n".join(line.removeprefix("# ").removeprefix("#") for line in table.splitlines()))
    assert found is not None
    assert [(model.name, model.tier) for model in found.models] == [("mini", Tier.FAST), ("own", Tier.LOCAL)]
    assert (found.month, found.day, found.incident, found.calls, found.idle_minutes) == (1.0, 0.25, 0.10, 12, 10.0)


def test_the_folder_of_notes_stands_beside_the_config_unless_it_is_named(tmp_path):
    assert load(config(tmp_path, ""), environ={"XDG_CONFIG_HOME": "/c"}).notes_folder == Path("/c/cockpit/notes")
    assert load(config(tmp_path, 'notes_folder = "mine"\n'), environ={}).notes_folder == tmp_path / "mine"


def test_a_tool_that_needs_no_yes_has_to_exist(tmp_path: Path) -> None:
    unasked = GOOD.replace("month = 2", 'unasked = ["set_world_value"]')
    settings = load(config(tmp_path, unasked), environ={})
    assert settings.models is not None
    assert settings.models.unasked == ("set_world_value",)
    with_options(settings, world.registry(), Redactor())
    with pytest.raises(CockpitError, match="'set_world_valu' is no tool"):
        with_options(load(config(tmp_path, unasked.replace("value", "valu")), environ={}), world.registry(), Redactor())
