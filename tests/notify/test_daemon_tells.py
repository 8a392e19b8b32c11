"""A daemon as a real process tells people, whatever is killed, and hears the signs of life of others."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from cockpit.model import IncidentStatus
from tests.faults.daemon_world import Place, end, until
from tests.integration.http_world import cockpit
from tests.notify.receiver import Receiver
from tests.notify.test_gitea import TOKEN, Server


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def phone():
    phone = Receiver()
    yield phone
    phone.stop()


def configure(place: Place, text: str) -> None:
    place.configure(text)
    place.config.chmod(0o600)


def settle_by_hand(place: Place) -> None:
    (place.world() / "trouble").unlink()


def test_an_incident_is_told_from_its_opening_over_its_proposal_to_its_end(place: Place, phone: Receiver) -> None:
    configure(place, f'[notify.phone]\nurl = "{phone.apprise}"\ngather = 1')
    with place.daemon(), place.reader() as reader:
        place.trouble()
        proposal = place.waiting(reader)
        until(lambda: any(f"cockpit approve {proposal.id}" in line for line in phone.lines))
        assert place.approve(proposal).returncode == 0
        until(lambda: any("Resolved" in line for line in phone.lines))
    assert all("incident 1" in line for line in phone.lines)
    assert len(phone.requests) <= 4
    place.check()


def test_a_daemon_that_is_killed_while_nobody_listens_tells_all_of_it_once_afterwards(
    place: Place, phone: Receiver
) -> None:
    configure(place, f'[notify.phone]\nurl = "{phone.apprise}"\ngather = 1')
    with place.daemon():
        pass
    phone.stop()
    for _ in range(3):
        process = place.spawn()
        with_trouble(place, process)
        end(process, signal.SIGKILL)
    phone.open()
    with place.daemon(), place.reader() as reader:
        proposal = place.waiting(reader)
        until(lambda: any(f"cockpit approve {proposal.id} " in line for line in phone.lines))
        before = len(phone.requests)
        place.command("deny", str(proposal.id))
        until(lambda: len(phone.requests) > before)
    assert len(phone.lines) == len(set(phone.lines))


def with_trouble(place: Place, process) -> None:
    """Trouble that a daemon saw and put into a proposal."""
    until(lambda: f"Process {process.pid} acts" in place.said())
    place.trouble()
    with place.reader() as reader:
        place.waiting(reader)


def test_issues_and_pings_go_out_and_escalation_reaches_the_next_channel(place: Place, phone: Receiver) -> None:
    gitea, mail, watch = Server(), Receiver(), Receiver()
    configure(
        place,
        f"""
        [notify.phone]
        url = "{phone.apprise}"
        gather = 1
        [notify.mail]
        url = "{mail.apprise}"
        gather = 1
        [escalation]
        order = ["phone", "mail"]
        after_minutes = 0.1
        [gitea]
        url = "{gitea.receiver.url}"
        repository = "ops/homelab"
        token = "{TOKEN}"
        [deadman]
        ping_url = "{watch.url}/ping/abc"
        every = 1
        """,
    )
    with place.daemon(), place.reader() as reader:
        until(lambda: len(watch.requests) >= 2)
        assert {(request.method, request.path) for request in watch.requests} == {("GET", "/ping/abc")}
        place.trouble()
        place.command("deny", str(place.waiting(reader).id))
        until(lambda: gitea.issues)
        assert mail.requests == []
        settle_by_hand(place)
        until(lambda: gitea.issues[0]["state"] == "closed")
        until(lambda: reader.incidents()[0].status is IncidentStatus.RESOLVED)
    assert gitea.wrong == []
    for receiver in (gitea.receiver, mail, watch):
        receiver.stop()


def test_a_proposal_that_nobody_answers_reaches_the_next_channel(place: Place, phone: Receiver) -> None:
    mail = Receiver()
    configure(
        place,
        f"""
        [notify.phone]
        url = "{phone.apprise}"
        [notify.mail]
        url = "{mail.apprise}"
        [escalation]
        order = ["phone", "mail"]
        after_minutes = 0.1
        """,
    )
    with place.daemon(), place.reader() as reader:
        place.trouble()
        place.waiting(reader)
        until(lambda: phone.requests)
        until(lambda: mail.requests)
        assert "Nobody answered" in mail.lines[0]
    mail.stop()


def test_a_heartbeat_that_stays_out_is_an_incident_until_it_comes(place: Place) -> None:
    configure(place, '[heartbeats.backup]\nevery = 1\ngrace = 1\nseverity = "critical"')
    with place.daemon(), place.reader() as reader:
        (incident,) = until(lambda: reader.incidents(unresolved_only=True))
        assert (incident.service, incident.title[:23]) == ("heartbeat/backup", "No heartbeat of backup ")
        until(lambda: reader.incident(incident.id).status is IncidentStatus.ESCALATED)
        assert place.command("heartbeat", "backup").returncode == 0
        until(lambda: reader.incident(incident.id).status is IncidentStatus.RESOLVED)
        assert place.command("heartbeat", "other").returncode == 1


def test_a_window_of_maintenance_opens_no_incident(place: Place) -> None:
    configure(place, '[[maintenance]]\nkinds = ["world"]\nat = "00:00"\nminutes = 1440')
    with place.daemon(), place.reader() as reader:
        place.trouble()
        seen = until(lambda: [each for each in reader.services() if each.health.samples.get("trouble") == 1.0])
        until(lambda: reader.services()[0].checked_at != seen[0].checked_at)
        assert reader.incidents() == []


def test_an_address_that_means_nothing_stops_no_other_channel(place: Place, phone: Receiver) -> None:
    configure(place, f'[notify.bad]\nurl = "nonsense://secretsecretsecret"\n[notify.phone]\nurl = "{phone.apprise}"\n')
    with place.daemon(), place.reader() as reader:
        place.trouble()
        until(lambda: phone.requests)
        told = until(lambda: [each.text for each in reader.events() if "none that Apprise knows" in each.text])
    assert len(told) == 1 and "secretsecret" not in told[0] + place.said()


async def test_a_heartbeat_comes_in_over_http_from_who_may_report_alerts(tmp_path: Path) -> None:
    async with cockpit(tmp_path) as running:
        path = "/api/v1/heartbeats/backup"
        assert (await running.post({}, path=path)).status_code == 404
        running.engine.store.heartbeats.expect(["backup"], 1.0)
        assert (await running.post({}, path=path)).status_code == 200
        assert (await running.get(path, name="prometheus")).status_code == 200
        for answer in (await running.get(path, name="screen"), await running.client.get(path)):
            assert answer.status_code in (401, 403)
        (beat,) = running.engine.reader.beats()
        assert beat.pings == 2 and beat.last_at > 1.0
        hostile = ("..%2f..%2fetc", "%00", "a" * 3000, "%ff%fe", "backup%0d%0aX: y", "' or 1=1 --")
        answers = [await running.get(f"/api/v1/heartbeats/{name}") for name in hostile]
        assert all(400 <= answer.status_code < 500 for answer in answers)
        assert running.engine.reader.beats() == [beat]


async def test_the_dead_man_hears_of_trouble_and_of_nobody(tmp_path: Path) -> None:
    from cockpit.serve.notify.deadman import Deadman, failing

    told: list[str] = []
    stalled = [0.0]

    async def tell(text: str) -> None:
        told.append(text)

    watch = Receiver()
    deadman = Deadman(f"{watch.url}/ping/abc?x=1", 1.0, lambda: stalled[0], tell)
    await deadman.ping()
    stalled[0] = 60.0
    await deadman.ping()
    assert [request.path for request in watch.requests] == ["/ping/abc?x=1", "/ping/abc/fail?x=1"]
    watch.stop()
    for _ in range(3):
        await deadman.ping()
    watch.open()
    await deadman.ping()
    assert told == [
        "The dead-man's ping is not heard: nobody answers it.",
        "The dead-man's ping is heard again.",
    ]
    watch.stop()
    assert failing("https://hc.example.org/ping/abc/") == "https://hc.example.org/ping/abc/fail"


def test_an_agent_that_is_started_again_and_again_without_a_step_does_not_live() -> None:
    from cockpit.serve.notify.deadman import Pulse

    steps: list[float | None] = [None]
    now = [100.0]
    pulse = Pulse(lambda: steps[0], lambda: now[0])
    now[0] = 110.0
    assert pulse() == 10.0
    steps[0] = 109.0
    assert pulse() == 1.0
    now[0], steps[0] = 140.0, None
    assert pulse() == 31.0
