"""Runbook files: read, checked, and named with file, line and reason when broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit.agent.runbooks import Library, load
from cockpit.files import data_file
from cockpit.toolkit import Registry

TOOLS = {"look": False, "mend": True}
GOOD = """
kind: world
conditions:
  - id: trouble
    when: samples.trouble == 1.0
    severity: critical
    summary: "There is trouble: ${samples.trouble}"
runbooks:
  - id: mendable
    title: It can be mended
    alerts: [trouble]
    look: {seen: {tool: look, with: {limit: 3}}}
    holds: seen.trouble == 1.0
    rivals:
      - {cause: other, ruled_out: "seen.other == 0.0", reading: "other is ${seen.other}"}
    cause: "It is ${seen.trouble}."
    propose: [{tool: mend, with: {to: "${seen.trouble}"}}]
"""


def library(tmp_path: Path, *texts: str) -> Library:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(text)
    return load([tmp_path], TOOLS)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    found = library(tmp_path, GOOD)
    assert not found.broken
    assert found.conditions["trouble"].severity == "critical"
    assert [book.id for book in found.runbooks_for("world", ["trouble"])] == ["mendable"]
    assert found.runbooks_for("other", ["trouble"]) == []


@pytest.mark.parametrize(
    ("wrong", "right", "line", "reason"),
    [
        ("samples.trouble ==", "samples.trouble == 1.0", 4, "does not parse"),
        ("severity: bad", "severity: critical", 4, "severity 'bad'"),
        ("alarms: [trouble]", "alerts: [trouble]", 9, "has no 'alerts'"),
        ("tool: looked", "tool: look", 9, "names no diagnostic"),
        ("holds: seen.", "holds: seen.trouble == 1.0", 9, "does not parse"),
        ("[{tool: look, with", "[{tool: mend, with", 9, "is no remediation"),
        ("remedy: [{tool: mend", "propose: [{tool: mend", 9, "means nothing"),
        ("ruled_out: '('", 'ruled_out: "seen.other == 0.0"', 9, "does not parse"),
    ],
)
def test_a_broken_entry_is_named_with_its_line_and_the_others_still_load(
    wrong: str, right: str, line: int, reason: str, tmp_path: Path
) -> None:
    assert right in GOOD
    found = library(
        tmp_path,
        GOOD.replace(right, wrong, 1),
        GOOD.replace("mendable", "second").replace("trouble\n", "trouble2\n", 1),
    )
    assert len(found.broken) == 1
    assert found.broken[0].line == line
    assert reason in found.broken[0].reason
    assert "second" in found.runbooks


@pytest.mark.parametrize("text", ["kind: [", "- a list", "runbooks: []", "\x00", "kind: x\n\tbad"])
def test_a_file_that_is_no_runbook_file_is_named(text: str, tmp_path: Path) -> None:
    found = library(tmp_path, text, GOOD)
    assert len(found.broken) == 1
    assert found.broken[0].file.name == "0.yaml"
    assert "mendable" in found.runbooks


def test_an_operator_s_file_replaces_ours_of_the_same_id(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    (ours / "a.yaml").write_text(GOOD)
    (theirs / "a.yaml").write_text(GOOD.replace("It can be mended", "My own way"))
    assert load([ours, theirs, tmp_path / "absent"], TOOLS).runbooks["mendable"].title == "My own way"


def test_the_ones_we_ship_are_whole() -> None:
    tools = {name: tool.writes for name, tool in Registry.discover().tools.items()}
    found = load([data_file("runbooks")], tools)
    assert found.broken == []
    assert len(found.runbooks) >= 30
    answered = {alert for book in found.runbooks.values() for alert in book.alerts}
    assert set(found.conditions) <= answered, "a condition that no runbook answers"
    from_outside = {alert for alert in answered if alert[0].isupper()}  # Alertmanager's names, CamelCase by custom
    assert answered - from_outside <= set(found.conditions), "a runbook for an alert that no condition raises"
