"""The command line looks, proposes and decides, on a service that counts every effect."""

from __future__ import annotations

import pytest

from tests.unit.cli_world import Home, home_in


@pytest.fixture
def home(tmp_path, capsys, monkeypatch) -> Home:
    return home_in(tmp_path, capsys, monkeypatch)


def effects(home: Home) -> list[str]:
    file = home.world / "effects"
    return file.read_text().splitlines() if file.exists() else []


def test_a_diagnostic_prints_its_readings_and_is_kept(home):
    assert home("run", "look_at_world") == (0, "looked\n  trouble: 0.0\n  value: old\n", "")
    assert home.json("run", "look_at_world")["finding"]["data"] == {"trouble": 0.0, "value": "old"}
    with home.store() as store:
        assert [store.reader.run(id).summary for id in (1, 2)] == ["looked", "looked"]


def test_a_dry_run_shows_the_change_and_proposes_nothing(home):
    status, printed, _ = home("run", "set_world_value", "key=a", "to=new", "--dry-run")
    assert status == 0 and "- old" in printed and "+ new" in printed and "set a old" in printed
    assert home.json("run", "set_world_value", "key=a", "to=new", "--dry-run")["plan"]["changes"][0]["after"] == "new"
    assert effects(home) == [] and home.json("changes")["changes"] == []


def test_a_remediation_waits_for_a_decision(home):
    status, printed, said = home("run", "set_world_value", "key=a", "to=new", "--reason", "I want it")
    assert status == 3 and "+ new" in printed and "cockpit approve 1 --digest" in said
    (change,) = home.json("changes")["changes"]
    assert (change["state"], change["reason"], effects(home)) == ("pending", "I want it", [])


def test_an_approved_change_is_carried_out_once_and_can_be_undone(home):
    proposal = home.proposal()
    assert home("approve", "1", "--digest", proposal["digest"][:12])[::2] == (
        0,
        "Proposal 1 is done. Applied and verified.\n",
    )
    assert effects(home) == ["set a new"]
    assert home("undo", "1")[0] == 3
    undo = home.json("show", "2", "--proposal")["proposal"]
    assert undo["undoes"] == 1
    assert home("approve", "2", "--digest", undo["digest"])[0] == 0
    assert effects(home) == ["set a new", "set a old"]
    assert home("audit", "verify")[0] == 0


def test_approving_again_does_nothing(home):
    proposal = home.proposal()
    home("approve", "1", "--digest", proposal["digest"])
    assert home("approve", "1", "--digest", proposal["digest"])[0] == 0
    assert effects(home) == ["set a new"]


def test_another_digest_approves_nothing(home):
    home.proposal()
    status, _, said = home("approve", "1", "--digest", "0" * 64)
    assert status == 1 and "is not the plan with the digest" in said
    assert home("approve", "1", "--digest", "0")[0] == 2
    assert effects(home) == []


def test_nothing_is_approved_unseen_where_nobody_can_be_asked(home):
    home.proposal()
    done = home.command("approve", "1", input="yes\n")
    assert done.returncode == 2 and "--digest" in done.stderr
    assert effects(home) == []


def test_a_denied_proposal_is_never_carried_out(home):
    proposal = home.proposal()
    assert home("deny", "1", "--reason", "not now")[0] == 0
    assert home("approve", "1", "--digest", proposal["digest"])[0] == 4
    assert effects(home) == []
    assert home.json("changes")["changes"][0]["decision"]["reason"] == "not now"


def test_a_frozen_cockpit_carries_nothing_out(home):
    proposal = home.proposal()
    assert home("freeze")[0] == 0
    status, _, said = home("approve", "1", "--digest", proposal["digest"])
    assert status == 1 and "frozen by ada" in said and effects(home) == []
    assert home("unfreeze")[0] == 0
    again = home.proposal()
    assert home("approve", str(again["id"]), "--digest", again["digest"])[0] == 0


def test_what_cannot_be_undone_on_a_critical_service_needs_its_name(home):
    home.configure("critical = true")
    proposal = home.proposal("do_world_deed", "key=a")
    assert home("approve", "1", "--digest", proposal["digest"])[0] == 1
    assert effects(home) == []
    assert home("approve", "1", "--digest", proposal["digest"], "--name", "world/one")[0] == 0
    assert effects(home) == ["deed a"]


def test_a_config_that_forbids_changes_shows_them_only(home):
    home.configure("[policy]\ndry_run = true")
    status, printed, _ = home("run", "set_world_value", "key=a", "to=new")
    assert status == 0 and "+ new" in printed
    assert home.json("changes")["changes"] == []


def test_a_remediation_that_refuses_says_why(home):
    (home.world / "refuse").touch()
    assert home("run", "set_world_value", "key=a", "to=new") == (1, "", "cockpit: The world refuses.\n")


@pytest.mark.parametrize(
    ("argv", "status", "said"),
    [
        (["look_at_wrld"], 1, "Did you mean 'look_at_world'?"),
        (["set_world_value", "key=a"], 1, "'to': Field required."),
        (["set_world_value", "key=a", "key=b"], 2, "Write each once"),
        (["set_world_value", "a"], 2, "as key=value"),
        (["set_world_value", "key=[a"], 2, "is no JSON"),
        (["set_world_value", "key=a", "to=b", "colour=c"], 1, "Its arguments are: key, to."),
        (["look_at_world", "--service", "world/two"], 2, "Add --service with one of: world/one."),
        (["vacuum_postgres_table"], 2, "No service of the kind postgres is configured."),
    ],
)
def test_a_call_that_cannot_be_meant_is_explained(home, argv, status, said):
    ended, printed, told = home("run", *argv)
    assert (ended, printed) == (status, "") and said in told


def test_with_several_services_of_a_kind_one_has_to_be_named(home):
    home.configure(f'[services.world.two]\nfolder = "{home.world}"')
    assert "Add --service with one of: world/one, world/two." in home("run", "look_at_world")[2]
    assert home("run", "look_at_world", "--service", "world/two")[0] == 0


def test_tools_are_listed_and_explained(home):
    listed = {tool["name"]: tool for tool in home.json("tools")["tools"]}
    assert listed["set_world_value"]["approval"] == "hard" and "vacuum_postgres_table" not in listed
    assert "vacuum_postgres_table" in home("tools", "--all")[1]
    status, printed, _ = home("tools", "set_world_value")
    assert status == 0 and "Set a value." in printed and "key=string, needed" in printed
    assert home.json("tools", "set_world_value")["tool"]["schema"]["required"] == ["key", "to"]
    assert "folder (str, needed): Where it is." in home("tools", "--kinds")[1]
    assert home("tools", "set_wrld_value")[0] == 1
