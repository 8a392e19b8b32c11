"""The rules hold what they say, and the dashboards are whole."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from cockpit.files import data_file
from tests.integration.metrics_lab import MISSING, VARIABLES, dashboards, rules

ALERTS = [rule["alert"] for rule in rules() if "alert" in rule]
BOARDS = dashboards()

promtool = pytest.mark.skipif("promtool" in MISSING, reason="not installed: promtool")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)


def names(pattern: str) -> list[str]:
    return sorted(file.name for file in data_file("alerts").glob(pattern))


@promtool
def test_the_rules_are_valid() -> None:
    done = run(data_file("alerts"), "check", "rules", *names("*.rules.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_the_rules_do_as_their_tests_say() -> None:
    done = run(data_file("alerts"), "test", "rules", *names("*.test.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
@pytest.mark.parametrize("alert", ALERTS)
def test_no_alert_can_fall_silent_unnoticed(tmp_path: Path, alert: str) -> None:
    written = yaml.safe_load((data_file("alerts") / "cockpit.rules.yaml").read_text())
    (rule,) = (rule for group in written["groups"] for rule in group["rules"] if rule["alert"] == alert)
    # As text alone: promtool reads `0x60` as sixty zeros, YAML as a number.
    tests = yaml.load((data_file("alerts") / "cockpit.test.yaml").read_text(), Loader=yaml.BaseLoader)
    tests["tests"] = [test for test in tests["tests"] if test["alert_rule_test"][0]["alertname"] == alert]
    (tmp_path / "cockpit.test.yaml").write_text(yaml.safe_dump(tests))
    for expression, told in ((rule["expr"], 0), ("vector(0) > 1", 1)):
        rule["expr"] = expression
        (tmp_path / "cockpit.rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
        assert run(tmp_path, "test", "rules", "cockpit.test.yaml").returncode == told


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_tested_firing_and_quiet(alert: str) -> None:
    written = yaml.safe_load((data_file("alerts") / "cockpit.test.yaml").read_text())
    cases = [case for test in written["tests"] for case in test["alert_rule_test"] if case["alertname"] == alert]
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}


def test_each_alert_says_what_to_do_and_how_urgent_it_is() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["priority"] in ("P0", "P1", "P2", "P3")
            assert rule["labels"]["severity"] in ("info", "warning", "critical")
            assert rule["annotations"]["summary"].endswith(".") and rule["annotations"]["description"].endswith(".")


def test_there_are_four_dashboards() -> None:
    assert set(BOARDS) == {"fleet-health", "incidents", "tools", "cost"}
    assert len({board["uid"] for board in BOARDS.values()}) == 4


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_asks_for_its_data_source_and_knows_its_variables(name: str) -> None:
    board = BOARDS[name]
    declared = {variable["name"] for variable in board["templating"]["list"]}
    assert "datasource" in declared
    assert declared - {"datasource"} <= {variable.lstrip("$") for variable in VARIABLES}
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            used = set(re.findall(r"\$(\w+)", target["expr"]))
            assert used <= declared | {"__rate_interval", "__range"}


@pytest.mark.parametrize("name", BOARDS)
def test_its_panels_have_each_a_place_of_their_own(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]
    assert len({panel["id"] for panel in BOARDS[name]["panels"]}) == len(BOARDS[name]["panels"])


def test_tools_are_shown_by_percentile_success_and_type_of_error() -> None:
    asked = " ".join(target["expr"] for panel in BOARDS["tools"]["panels"] for target in panel["targets"])
    for wanted in ("histogram_quantile(0.5,", "histogram_quantile(0.95,", "histogram_quantile(0.99,"):
        assert wanted in asked
    assert 'status="success"' in asked
    assert "by (error_type)" in asked
