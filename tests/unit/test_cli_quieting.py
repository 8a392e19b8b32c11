"""The command line mutes, lists mutes, and gives signs of life."""

from __future__ import annotations

import time

import pytest

from tests.unit.cli_world import Home, home_in


@pytest.fixture
def home(tmp_path, capsys, monkeypatch) -> Home:
    return home_in(tmp_path, capsys, monkeypatch)


def test_a_service_is_muted_for_some_time_and_heard_again(home):
    assert home("mute", "world/one", "2h", "--why", "moving it")[::2] == (0, "world/one is muted for 2 h.\n")
    (mute,) = home.json("mutes")["mutes"]
    assert (mute["matcher"], mute["by"], mute["why"]) == ("world/one", "ada", "moving it")
    assert abs(mute["ends_at"] - time.time() - 7200) < 60
    assert "moving it" in home("mutes")[1]
    assert home("unmute", "world/one")[0] == 0
    assert home("unmute", "world/one")[0] == 1
    assert home("mutes")[::2] == (0, "Nothing is muted.\n")


def test_a_mute_until_healthy_needs_no_time(home):
    assert home("mute", "world/one", "--until-healthy")[2] == "world/one is muted until it is healthy.\n"
    assert home("mute", "world/one")[::2] == (
        2,
        "cockpit: A mute has to end some time. Add a time such as 2h, or --until-healthy.\n",
    )


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("world/onne", "Did you mean 'world/one'?"),
        ("kind:wrld", "Did you mean 'kind:world'?"),
        ("tag:web", "There is no 'tag:web' to mute."),
    ],
)
def test_what_is_not_there_cannot_be_muted(home, what, said):
    status, _, told = home("mute", what, "1h")
    assert status == 2 and said in told
    assert home.json("mutes")["mutes"] == []


def test_a_service_that_only_others_know_can_be_muted_while_its_incident_is_open(home):
    assert home("mute", "alertmanager/DiskFull", "1h")[0] == 2
    with home.store() as store:
        from cockpit.model import Alert, Severity

        store.ingest_alerts([Alert("x", "alertmanager/DiskFull", "DiskFull", Severity.WARNING, "full", time.time())])
    assert home("mute", "alertmanager/DiskFull", "1h")[0] == 0


def test_a_change_of_a_muted_service_waits_for_a_person(home):
    home.configure('[policy.levels]\nset_world_value = "none"')
    home("mute", "world/one", "1h")
    proposal = home.proposal()
    assert (proposal["approval"], proposal["policy"]) == ("hard", "world/one is muted by ada.")


def test_a_heartbeat_is_taken_in_when_the_agent_waits_for_it(home):
    assert home("heartbeat", "backup")[0] == 1
    with home.store() as store:
        store.heartbeats.expect(["backup"], time.time() - 100)
    assert home("heartbeat", "backup") == (0, "", "")
    with home.store() as store:
        (beat,) = store.reader.beats()
    assert beat.pings == 1 and time.time() - beat.last_at < 50
