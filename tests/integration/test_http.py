"""The HTTP interface over a real server: alerts in, readings out."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import httpx
import pytest

from cockpit.files import data_file
from cockpit.model import CockpitError, IncidentStatus, Role, Service
from cockpit.serve.http.server import Server
from cockpit.serve.http.signs import UNREPEATED, Ends, Watchdog
from cockpit.settings.daemon import AlertmanagerSettings, HttpSettings, Matcher
from cockpit.store.intake import Cleared
from tests.integration.http_world import alert, cockpit, self_signed, until, webhook


def in_(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


async def test_an_alert_that_was_answered_is_in_the_log(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        response = await running.post(webhook(alert(instance="nas:9100")))
        assert (response.status_code, response.json()) == (200, {"schema_version": 1, "accepted": 1})
        (incident,) = running.engine.reader.incidents()
        assert (incident.service, incident.title) == ("alertmanager/DiskFull", "DiskFull on nas:9100")


async def test_the_same_alert_again_is_counted_and_makes_no_event(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        await running.post(webhook(alert()))
        before = running.engine.reader.last_event()
        for _ in range(5):
            await running.post(webhook(alert()))
        (raised,) = running.engine.reader.alerts()
        assert (raised.times, running.engine.reader.last_event()) == (6, before)


async def test_the_same_labels_are_the_same_alert_whoever_posts_them(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        await running.post(webhook(alert(instance="nas:9100")))
        listed = {"labels": {"severity": "warning", "instance": "nas:9100", "alertname": "DiskFull"}}
        await running.post([listed], path="/api/v2/alerts")
        assert [raised.times for raised in running.engine.reader.alerts()] == [2]


async def test_an_alert_about_a_stranger_waits_for_a_person_and_ends_when_it_is_resolved(tmp_path):
    async with cockpit(tmp_path) as running:
        await running.post(webhook(alert()))
        reader = running.engine.reader
        await until(lambda: reader.incident(1).status is IncidentStatus.ESCALATED)
        await running.post(webhook(alert(status="resolved")))
        await until(lambda: reader.incident(1).status is IncidentStatus.RESOLVED)


async def test_firing_and_resolved_alerts_of_one_group_are_both_taken_in(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        await running.post(webhook(alert("A", instance="1"), alert("A", instance="2")))
        await running.post(webhook(alert("A", status="resolved", instance="1"), alert("A", instance="2")))
        found = {raised.alert.labels["instance"]: raised.firing for raised in running.engine.reader.alerts()}
        assert found == {"1": False, "2": True}


async def test_a_severer_report_raises_the_incident(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        await running.post(webhook({**alert(), "fingerprint": "feed"}))
        await running.post(webhook({**alert(severity="critical"), "fingerprint": "feed"}))
        assert running.engine.reader.incident(1).severity == "critical"
        assert len(running.engine.reader.alerts()) == 1


async def test_a_list_of_alerts_says_by_its_end_what_is_over(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        labels = {"alertname": "Slow", "instance": "web:80"}
        await running.post([{"labels": labels, "endsAt": in_(240)}], path="/api/v2/alerts")
        assert running.engine.reader.alerts()[0].firing
        await running.post([{"labels": labels, "endsAt": in_(-1)}], path="/api/v2/alerts")
        assert not running.engine.reader.alerts()[0].firing


async def test_a_listed_alert_that_nobody_repeats_ends_at_the_time_it_named(tmp_path):
    added: list[object] = []
    now = 0.0

    async def add(reports):
        added.extend(reports)

    async with cockpit(tmp_path, agent=False) as running:
        ends = Ends(running.engine.reader, add, clock=lambda: now)
        ends.expect({"alertmanager:x": 1240.0}, now=1000.0)
        now = 239.0
        await ends.look()
        assert added == []
        now = 241.0
        await ends.look()
        await ends.look()
        assert [type(each) for each in added] == [Cleared]


async def test_listed_alerts_of_before_a_restart_have_to_be_repeated(tmp_path):
    now = 0.0
    async with cockpit(tmp_path, agent=False) as running:
        await running.post([{"labels": {"alertname": "Slow"}, "endsAt": in_(9999)}], path="/api/v2/alerts")

        async def add(reports):
            running.engine.store.take_in(reports)

        ends = Ends(running.engine.reader, add, clock=lambda: now)
        now = UNREPEATED + 1
        await ends.look()
        assert running.engine.reader.alerts(firing_only=True) == []


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"cockpit_service": "redis/cache"}, "redis/cache"),
        ({"service": "redis/cache"}, "redis/cache"),
        ({"service": "redis/other"}, "alertmanager/DiskFull"),
        ({"team": "web"}, "caddy/front"),
        ({"instance": "10.0.0.5:6379"}, "redis/cache"),
        ({"instance": "http://front.example.net:2019/metrics"}, "caddy/front"),
        ({"instance": "10.0.0.5:9121", "job": "redis"}, "redis/cache"),
        ({"instance": "10.0.0.5:9121", "job": "mysql"}, "alertmanager/DiskFull"),
        ({"instance": "nas:9100", "job": "node"}, "host/nas"),
        ({"instance": "127.0.0.1:9100", "job": "node"}, "alertmanager/DiskFull"),
        ({"instance": "[::1]:99999999"}, "alertmanager/DiskFull"),
    ],
)
async def test_an_alert_finds_its_service(labels, service):
    from cockpit.serve.http.owners import Owners

    services = {
        "redis/cache": Service("redis/cache", {"host": "10.0.0.5", "port": 6379}),
        "caddy/front": Service("caddy/front", {"admin": "http://front.example.net:2019"}),
        "host/nas": Service("host/nas"),
    }
    import re

    owners = Owners(services, {"caddy/front": (Matcher("team", re.compile("web|shop")),)})
    assert owners.of({"alertname": "DiskFull", **labels}) == service


async def test_the_watchdog_opens_no_incident_and_its_absence_does():
    now, added = 0.0, []

    async def add(reports):
        added.extend(reports)

    class Nothing:
        def alerts(self, *, firing_only: bool) -> list[object]:
            return []

    watchdog = Watchdog(Nothing(), add, 100.0, clock=lambda: now)
    await watchdog.look()
    now = 99.0
    await watchdog.seen()
    now = 198.0
    await watchdog.look()
    assert added == []
    now = 200.0
    await watchdog.look()
    await watchdog.look()
    assert [each.name for each in added] == ["AlertmanagerSilent"]
    await watchdog.seen()
    assert isinstance(added[-1], Cleared) and len(added) == 2


async def test_a_watchdog_that_is_posted_is_accepted_without_a_trace_in_the_log(tmp_path):
    async with cockpit(tmp_path, agent=False, alertmanager=AlertmanagerSettings(300.0)) as running:
        response = await running.post(webhook(alert("Watchdog")))
        assert response.json()["accepted"] == 1
        assert running.engine.reader.alerts() == []


async def test_grafanas_look_alike_is_taken_and_other_versions_are_not(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        grafana = {**webhook(alert()), "version": "1", "orgId": 1, "title": "[FIRING:1]", "state": "alerting"}
        assert (await running.post(grafana)).status_code == 200
        assert (await running.post({**webhook(alert()), "version": "5"})).status_code == 400


@pytest.mark.parametrize("path", ["status", "services", "incidents", "changes", "proposals", "tools", "incidents/1"])
async def test_everything_can_be_read_and_asked_for_by_head(tmp_path, path):
    async with cockpit(tmp_path, agent=False) as running:
        await running.post(webhook(alert()))
        response = await running.get(f"/api/v1/{path}", "screen")
        assert response.status_code == 200
        assert response.json()["schema_version"] == 1
        head = await running.client.head(f"/api/v1/{path}", headers=running.as_("screen"))
        assert (head.status_code, head.content) == (200, b"")


async def test_what_a_stranger_wrote_leaves_cleaned(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        await running.post(webhook(alert("Evil\x1b]52;c;AAAA\x07", instance="\u202ex\ud800")))
        (raised,) = (await running.get("/api/v1/incidents/1")).json()["alerts"]
        assert raised["alert"]["name"] == "Evil␛]52;c;AAAA␇"
        assert raised["alert"]["labels"]["instance"] == "\\u202ex\\ud800"


async def test_what_does_not_exist_is_said_so_with_what_to_do(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        for path in ("/api/v1/incidents/99", "/api/v1/incidents/x", "/nothing", "/api/v1/incidents/-1"):
            response = await running.get(path)
            assert response.status_code == 404
            assert set(response.json()) == {"schema_version", "error", "fix"}
        response = await running.post({}, path="/api/v1/status")
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "limit=1&limit=2", "limit=٣"])
async def test_a_wrong_query_is_refused(tmp_path, query):
    async with cockpit(tmp_path, agent=False) as running:
        assert (await running.get(f"/api/v1/proposals?{query}")).status_code == 400


async def test_it_is_healthy_without_a_token_and_ready_only_where_it_acts(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        assert (await running.client.get("/-/healthy")).json() == {"schema_version": 1, "healthy": True}
        assert (await running.client.get("/-/ready")).status_code == 200
        async with cockpit(tmp_path, agent=False) as second:
            response = await second.client.get("/-/ready")
            assert response.status_code == 503 and "Another process" in response.json()["error"]


async def test_metrics_are_read_with_the_right_to_read(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        assert (await running.client.get("/metrics")).status_code == 401
        assert "cockpit_" in (await running.get("/metrics", "screen")).text


async def test_the_description_agrees_with_the_routes(tmp_path):
    described = json.loads(data_file("openapi.json").read_text())
    async with cockpit(tmp_path, agent=False) as running:
        routes = {(route.method.lower(), route.resource.canonical) for route in running.server.app().router.routes()}
        assert (await running.client.get("/api/v1/openapi.json")).json() == described
    assert routes == {(method, path) for path, methods in described["paths"].items() for method in methods}


async def test_a_person_decides_when_the_monitor_finds_trouble_too(tmp_path):
    """An alert from elsewhere about a service of ours joins what its own conditions found."""
    async with cockpit(tmp_path, agent=False) as running:
        await running.post(webhook(alert("WorldTrouble", cockpit_service="world/one")))
        assert running.engine.reader.incident(1).service == "world/one"
        assert running.engine.reader.events(incident=1)[0].actor == Role.MONITOR


async def test_over_tls_it_is_the_same_and_without_it_nothing_is_said(tmp_path):
    async with cockpit(tmp_path, agent=False, tls=self_signed(tmp_path)) as running:
        assert (await running.post(webhook(alert()))).status_code == 200
        async with httpx.AsyncClient() as plain:
            with pytest.raises(httpx.TransportError):
                await plain.get(f"http://127.0.0.1:{running.server.port}/-/healthy")


async def test_a_certificate_that_cannot_be_used_is_refused_with_the_reason(tmp_path):
    (tmp_path / "c.pem").write_text("no certificate")
    with pytest.raises(CockpitError, match="cannot be used"):
        async with cockpit(tmp_path, agent=False, tls=(tmp_path / "c.pem", tmp_path / "c.pem")):
            pass


async def test_an_address_that_is_taken_is_refused_with_the_reason(tmp_path):
    async with cockpit(tmp_path, agent=False) as running:
        second = Server(running.engine, HttpSettings(port=running.server.port), AlertmanagerSettings())
        with pytest.raises(CockpitError, match="Nothing can listen on"):
            await second.run()
