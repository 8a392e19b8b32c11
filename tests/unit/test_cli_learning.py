"""`cockpit learn`: confirmed, drafted, reviewed, tried and taken; and what was learned is listed with its record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cockpit.model import Call, Finding, IncidentStatus, Role
from cockpit.model.inquiries import InquiryState
from tests.account import MAIN
from tests.unit.cli_world import Home, home_in


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    return home_in(tmp_path, capsys, monkeypatch)


def explained(home: Home, *, worked: bool | None = None) -> int:
    """An incident that a model explained and that is over."""
    number = home.incident()
    with home.store() as store:
        call = Call("look_at_world", "world/one")
        run = store.record_run(number, call, Finding("looked", {"trouble": 1.0, "value": "old"}), "", 0.0, 0.0).id
        inquiry = store.inquiries.ask(number, "world/one", "", Role.ANALYST, estimate=None, wait=False)
        store.inquiries.begin(inquiry.id)
        rival = {"cause": "it is new", "ruled_out": True, "run": run, "field": "value", "value": "old", "reading": ""}
        answer = {
            "cause": "The value is old.",
            "evidence": [{"run": run, "field": "value", "value": "old", "against": "as it is"}],
            "rivals": [rival],
            "next_look": "Set it anew.",
        }
        store.inquiries.finish(inquiry.id, InquiryState.ANSWERED, "The value is old.", answer)
        store.clear_alerts(["world/one:trouble"], 0.0)
        store.advance(number, IncidentStatus.RESOLVED, actor=Role.MONITOR, text="Resolved.", runbook="model:mini")
        if worked is not None:
            store.note("ada", "feedback", "It worked.", incident=number, data={"worked": worked})
    return number


def taken(home: Home) -> list[Path]:
    return sorted((home.config.parent / "runbooks").glob("*.yaml"))


def test_a_confirmed_incident_is_drafted_and_taken_after_review(home: Home) -> None:
    number = explained(home, worked=True)
    status, printed, said = home("learn", str(number))
    assert status == 3
    assert 'holds: "look_at.value == \\"old\\""' in printed
    draft = home.config.parent / "runbooks/drafts" / f"learned-trouble-{number}.yaml"
    assert draft.read_text().rstrip() == printed.rstrip()
    assert str(draft) in said
    assert taken(home) == []
    status, printed, said = home("learn", str(number), "--draft", str(draft))
    assert status == 0, said
    assert "It explains incident 1" in said
    assert [file.name for file in taken(home)] == [f"learned-trouble-{number}.yaml"]
    assert not draft.exists()
    found = home.json("learn", "--list")["runbooks"]
    assert found == [
        {
            "id": f"learned-trouble-{number}",
            "title": "The value is old.",
            "learned_from": number,
            "explained": 0,
            "worked": 0,
            "last_worked": None,
        }
    ]
    assert "never" in home("learn")[1]
    with home.store() as store:
        assert [event.actor for event in store.reader.events() if event.kind == "learned"] == ["ada"]


def test_one_that_nobody_confirmed_is_not_learned_unasked(home: Home) -> None:
    number = explained(home)
    status, _, said = home("learn", str(number))
    assert status == 2
    assert "--confirm" in said
    assert home("learn", str(number), "--confirm")[0] == 3


def test_one_that_did_not_help_needs_a_person_as_well(home: Home) -> None:
    assert home("learn", str(explained(home, worked=False)))[0] == 2


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('== \\"old\\""\n    rivals', '== \\"new\\""\n    rivals', "its condition does not hold"),
        ("tool: look_at_world", "tool: look_away", "names no diagnostic"),
        ("    holds:", "    # ASK: is it?\n    holds:", "1 question is open"),
        ("runbooks:", "books:", "does not hold just one runbook"),
        ("kind: world", "kind: [", "draft.yaml:"),
    ],
)
def test_a_draft_that_does_not_hold_is_not_taken(home: Home, old: str, new: str, problem: str) -> None:
    number = explained(home, worked=True)
    printed = home("learn", str(number))[1]
    assert old in printed
    draft = home.folder / "draft.yaml"
    draft.write_text(printed.replace(old, new, 1))
    status, _, said = home("learn", str(number), "--draft", str(draft))
    assert status == 1
    assert problem in said
    assert taken(home) == []


def test_nothing_is_learned_from_what_was_never_asked(home: Home) -> None:
    number = home.incident()
    assert home("learn", str(number))[0] == 1
    assert home("learn", "99")[0] == 1


def test_at_a_terminal_it_opens_the_editor_until_it_passes(home: Home) -> None:
    number = explained(home, worked=True)
    spoil = home.folder / "editor.py"
    spoil.write_text(
        "import sys, pathlib\n"
        "file, mark = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[0] + '.once')\n"
        "text = file.read_text()\n"
        "file.write_text(text.replace('look_at_world}', 'look_away}') if not mark.exists()"
        " else text.replace('look_away}', 'look_at_world}'))\n"
        "mark.touch()\n"
    )
    ours, theirs = os.openpty()
    environment = {**home.environment(), "EDITOR": f"{sys.executable} {spoil}", "TERM": "dumb"}
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, "learn", str(number)],
        env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        seen = _until(ours, "Type edit to go on")
        os.write(ours, b"edit\n")
        seen += _until(ours, "Type yes to take this runbook:")
        os.write(ours, b"yes\n")
        seen += _until(ours, "next reload or start")
        assert process.wait(30) == 0
    os.close(ours)
    assert "names no diagnostic: look_away" in seen
    assert len(taken(home)) == 1


def _until(terminal: int, wanted: str) -> str:
    """What the terminal shows until something stands there."""
    shown = ""
    while wanted not in shown:
        shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


@pytest.mark.parametrize("argv", [["--draft", "draft.yaml"], ["--confirm"], ["--lab"]])
def test_what_goes_with_an_incident_is_refused_without_one(home, argv):
    status, printed, said = home("learn", *argv)
    assert (status, printed) == (2, "") and "No incident is named to learn from." in said


def test_that_nothing_was_learned_is_said(home):
    assert home("learn")[::2] == (
        0,
        "Nothing was learned yet. Learn from an incident that a model explained with: cockpit learn ID\n",
    )
