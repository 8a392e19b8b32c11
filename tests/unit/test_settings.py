"""Settings come from the right place, and a wrong one is named with its line and how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit.files import data_file
from cockpit.model import Approval, CockpitError
from cockpit.settings import load
from cockpit.settings.values import Origin


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "config" / "cockpit").mkdir(parents=True)
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_DATA_HOME": str(tmp_path / "data")}


def write(home: dict[str, str], text: str) -> Path:
    file = Path(home["XDG_CONFIG_HOME"]) / "cockpit" / "config.toml"
    file.write_text(text)
    return file


def refusal(home: dict[str, str], text: str = "", **environ: str) -> str:
    if text:
        write(home, text)
    with pytest.raises(CockpitError) as caught:
        load(environ={**home, **environ})
    return str(caught.value)


def test_without_any_config_there_are_defaults_and_no_services(home, tmp_path):
    settings = load(environ=home)
    assert settings.services == ()
    assert settings.data_folder == tmp_path / "data/cockpit"
    assert settings.policy.deadline == 300
    assert settings.sources == ()


def test_systemds_state_folder_goes_before_the_xdg_data_folder(home):
    assert load(environ={**home, "STATE_DIRECTORY": "/var/lib/cockpit:/x"}).data_folder == Path("/var/lib/cockpit")


def test_a_service_has_its_common_keys_and_its_kinds_options_apart(home):
    write(
        home,
        """
        [services.postgres.main]
        port = 5433
        critical = true
        interval = 5
        tags = ["db"]
        depends_on = ["host/local"]
        control.restart = ["pg_ctl", "restart"]
        [services.host.local]
        """,
    )
    main, local = load(environ=home).services
    assert (main.name, main.kind, main.critical, main.interval, main.tags) == (
        "postgres/main",
        "postgres",
        True,
        5.0,
        ("db",),
    )
    assert main.options == {"port": 5433, "control": {"restart": ["pg_ctl", "restart"]}}
    assert main.depends_on == ("host/local",)
    assert (local.name, local.options) == ("host/local", {})


def test_the_flag_goes_before_the_environment_and_that_before_the_file(home):
    write(home, 'operator = "file"\ntheme = "file"\n[policy]\ndeadline = 1')
    environ = {**home, "COCKPIT_POLICY__DEADLINE": "2", "COCKPIT_THEME": "environment"}
    settings = load(environ=environ, flags={"policy.deadline": 3})
    assert (settings.policy.deadline, settings.theme, settings.operator) == (3.0, "environment", "file")
    assert settings.origins["policy", "deadline"] == Origin("--deadline")
    assert settings.origins["theme",] == Origin("$COCKPIT_THEME")
    assert str(settings.origins["operator",]).endswith("config.toml, line 1")


def test_the_operators_file_goes_before_the_machines_key_by_key(home, tmp_path, monkeypatch):
    machine = tmp_path / "etc.toml"
    machine.write_text('operator = "root"\n[services.redis.cache]\nport = 1\nhost = "a"\n[services.host.local]\n')
    monkeypatch.setattr("cockpit.settings.sources.SYSTEM", machine)
    write(home, "[services.redis.cache]\nport = 2\n")
    settings = load(environ=home)
    assert settings.operator == "root"
    assert {service.name: service.options for service in settings.services} == {
        "redis/cache": {"port": 2, "host": "a"},
        "host/local": {},
    }
    assert len(settings.sources) == 2


def test_a_file_named_by_the_operator_stands_alone(home, tmp_path):
    write(home, 'operator = "other"')
    (tmp_path / "own.toml").write_text('theme = "light"')
    settings = load(tmp_path / "own.toml", environ=home)
    assert settings.theme == "light" and settings.operator != "other"
    with pytest.raises(CockpitError, match=r"There is no config file .*none.toml.*cockpit init"):
        load(tmp_path / "none.toml", environ=home)


def test_paths_are_relative_to_their_file(home):
    file = write(home, 'data_folder = "here"\nanchors = ["/mnt/head", "head"]')
    settings = load(environ=home)
    assert settings.data_folder == file.parent / "here"
    assert settings.anchors == (Path("/mnt/head"), file.parent / "head")


def test_the_policy_is_read(home):
    write(
        home,
        """
        [policy]
        quiet_hours = ["22:00", "07:30"]
        changes_per_hour = 4
        undo_on_failure = false
        [policy.levels]
        vacuum_postgres_table = "forbidden"
        """,
    )
    policy = load(environ=home).policy
    assert policy.quiet_hours == ("22:00", "07:30")
    assert (policy.changes_per_hour, policy.undo_on_failure) == (4, False)
    assert policy.levels == {"vacuum_postgres_table": Approval.FORBIDDEN}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('\noperater = "x"', 2, "'operater' is no setting. Did you mean 'operator'?"),
        ("[policy]\n\ndedline = 3", 3, "'policy.dedline' is no setting. Did you mean 'deadline'?"),
        (
            '[policy]\ndeadline = "soon"',
            2,
            "'policy.deadline' must be a number, and is a text. Write it like: deadline = 2.5",
        ),
        ("[policy]\ndeadline = true", 2, "'policy.deadline' must be a number, and is true or false."),
        ("[policy]\ndeadline = 0", 2, "'policy.deadline' must be 1 or more, and is 0."),
        ("[policy]\nchanges_per_hour = 2.5", 2, "must be a whole number, and is a number."),
        ('[policy]\nquiet_hours = ["22", "7"]', 2, "'policy.quiet_hours' must be two times of day."),
        ('[policy.levels]\nx = "maybe"', 2, "must be one of: none, soft, hard, forbidden."),
        ("policy = 3", 1, "'policy' must be a table."),
        ("anchors = [1]", 1, "'anchors' must be a list of texts, and is a list."),
        ("operator = 2026-01-01", 1, "'operator' must be a text, and is a date or time."),
        ("[services.postgres]\nport = 5432", 2, "'services.postgres.port' is no service."),
        ('[services.postgres."a b"]', 1, "is no name for a service."),
        (
            "[services.host.a]\n[services.host.b]\ninterval = 0",
            3,
            "'services.host.b.interval' must be more than 0, and is 0.",
        ),
        (
            "[services.host.a]\ncritical = 1",
            2,
            "'services.host.a.critical' must be true or false, and is a whole number.",
        ),
        ('[services.host.a]\ntags = "x"', 2, "'services.host.a.tags' must be a list of texts, and is a text."),
        ('[services.host.a]\ndepends_on = ["host/b"]', 2, "'host/b' is no service. Did you mean 'host/a'?"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_line_and_what_is_right(home, text, line, said):
    message = refusal(home, text)
    assert f"config.toml, line {line}: " in message
    assert said in message


def test_a_circle_of_dependencies_is_refused(home):
    message = refusal(
        home, '[services.host]\na.depends_on = ["host/b"]\nb.depends_on = ["host/c"]\nc.depends_on = ["host/a"]'
    )
    assert "in a circle: host/a → host/b → host/c → host/a" in message


def test_a_diamond_of_dependencies_is_no_circle(home):
    write(home, '[services.host]\na.depends_on = ["host/b", "host/c"]\nb.depends_on = ["host/c"]\n[services.host.c]')
    assert len(load(environ=home).services) == 3


def test_what_is_no_toml_is_named_with_its_line(home):
    assert "is not TOML" in (message := refusal(home, "a = 1\nb = = 2")) and "line 2" in message


def test_a_wrong_variable_is_named(home):
    assert refusal(home, COCKPIT_POLICY__DEDLINE="3").startswith(
        "$COCKPIT_POLICY__DEDLINE: 'policy.dedline' is no setting."
    )
    assert refusal(home, COCKPIT_POLICY__DEADLINE="soon").startswith(
        "$COCKPIT_POLICY__DEADLINE: 'policy.deadline' must be"
    )


def test_variables_are_read_as_what_they_are_for(home):
    environ = {**home, "COCKPIT_OPERATOR": "7", "COCKPIT_POLICY__DRY_RUN": "true", "COCKPIT_ANCHORS": "/a, /b"}
    settings = load(environ=environ)
    assert (settings.operator, settings.policy.dry_run, settings.anchors) == ("7", True, (Path("/a"), Path("/b")))


def test_the_example_is_a_valid_config(home):
    settings = load(data_file("example.toml"), environ=home)
    assert [service.name for service in settings.services] == ["host/local"]


def test_every_line_of_the_example_is_valid_once_its_comment_sign_is_taken_away(home, tmp_path):
    lines = data_file("example.toml").read_text().splitlines()
    live = [line.removeprefix("# ") if "= " in line or line.startswith(("[", "# [")) else "" for line in lines]
    (tmp_path / "all.toml").write_text("\n".join(line for line in live if not line.startswith("#")))
    settings = load(tmp_path / "all.toml", environ=home)
    assert {"postgres/main", "redis/cache", "caddy/front"} <= {service.name for service in settings.services}
