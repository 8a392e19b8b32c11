"""Caddy in front of a real backend: each fault is seen, explained and mended, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from cockpit.lab import caddy as proxy
from cockpit.lab.lab import Lab
from cockpit.model import Drifted, Level, Refused, Service
from cockpit.toolkit import undo_plan
from tests.integration.readings import Bench
from tools.caddy import caddy
from tools.caddy.client import CaddyWriter
from tools.caddy.config import differences, hidden, revealed

BENCH = Bench(caddy)
FAULTS = {fault.name: fault for fault in proxy.FAULTS}


@pytest.fixture(scope="module")
def lab(lab_of: Callable[..., Lab]) -> Lab:
    return lab_of("backend", "caddy")


@pytest.fixture
def edge(lab: Lab) -> Service:
    return next(service for service in lab.services() if service.name == "caddy/edge")


async def until_well(lab: Lab) -> None:
    await proxy.SERVERS[1].seed(lab)


def test_every_runbook_can_be_read() -> None:
    assert not [broken for broken in BENCH.library.broken if broken.file.name == "caddy.yaml"]


async def test_a_working_proxy_raises_no_alert(edge: Service) -> None:
    health = await BENCH.health(edge)
    assert health.level is Level.UP
    assert health.samples["config_differs"] == 0
    assert await BENCH.alerts(edge) == set()


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_seen_explained_and_mended(name: str, lab: Lab, edge: Service) -> None:
    fault = FAULTS[name]
    assert await fault.well(lab)
    await fault.inject(lab)
    try:
        while await fault.well(lab):
            pass
        alerts = await BENCH.alerts(edge)
        assert alerts
        assert await BENCH.causes(edge, alerts) == {fault.runbook}
        tool, remedy = await BENCH.remedy(edge, fault.runbook)
        assert tool == fault.remedy
        await BENCH.carry_out(edge, remedy)
        await until_well(lab)
        assert await BENCH.alerts(edge) == set()
    finally:
        await fault.clear(lab)
        await until_well(lab)


async def test_a_loaded_config_can_be_put_back(lab: Lab, edge: Service) -> None:
    fault = FAULTS["caddy-broken-config-pushed"]
    await fault.inject(lab)
    try:
        done = await BENCH.planned(edge, "load_caddy_config")
        await BENCH.carry_out(edge, done)
        await BENCH.carry_out(edge, undo_plan(BENCH.registry, done))
        assert (await proxy.get(proxy.site(lab)))[1] == "moved\n"
    finally:
        await fault.clear(lab)
        await until_well(lab)


async def test_loading_the_file_that_already_runs_changes_nothing(edge: Service) -> None:
    assert (await BENCH.planned(edge, "load_caddy_config")).changes == ()


async def test_a_config_that_moved_since_the_plan_is_not_overwritten(lab: Lab, edge: Service) -> None:
    await FAULTS["caddy-broken-config-pushed"].inject(lab)
    try:
        change = (await BENCH.planned(edge, "load_caddy_config")).changes[0]
        await FAULTS["caddy-health-path-wrong"].clear(lab)
        await FAULTS["caddy-health-path-wrong"].inject(lab)
        async with CaddyWriter(edge) as writer:
            with pytest.raises(Drifted):
                await caddy.items[change.item].apply(writer, change)
        assert "/healthz" in json.dumps((await BENCH.ask(edge, "get_caddy_config")).data)
    finally:
        await FAULTS["caddy-broken-config-pushed"].clear(lab)
        await until_well(lab)


async def test_an_upstream_is_replaced_and_put_back(lab: Lab, edge: Service) -> None:
    rows = (await BENCH.ask(edge, "list_caddy_upstreams")).data["rows"]
    ours = f"localhost:{lab.port('backend')}"
    done = await BENCH.planned(edge, "set_caddy_upstream", route=rows[0]["route"], upstream=ours)
    await BENCH.carry_out(edge, done)
    assert (await BENCH.ask(edge, "list_caddy_upstreams")).data["rows"][0]["dial"] == ours
    assert (await BENCH.ask(edge, "compare_caddy_config")).data["upstreams_only_running"] == [ours]
    await BENCH.carry_out(edge, undo_plan(BENCH.registry, done))
    assert (await BENCH.ask(edge, "list_caddy_upstreams")).data["rows"][0]["dial"] == rows[0]["dial"]
    assert not (await BENCH.ask(edge, "compare_caddy_config")).data["differs"]


async def test_an_upstream_where_nothing_listens_is_refused(edge: Service) -> None:
    route = (await BENCH.ask(edge, "list_caddy_upstreams")).data["rows"][0]["route"]
    with pytest.raises(Refused, match="Nothing accepts connections"):
        await BENCH.planned(edge, "set_caddy_upstream", route=route, upstream="127.0.0.1:1")


@pytest.mark.parametrize(
    "hostile",
    [
        "../../load",
        "srv0/routes/0/handle/0/../../..",
        "x; rm -rf /",
        "",
        "%2e%2e/stop",
        "\x1b[2J",
        "srv0?x=1",
        pytest.param("a" * 1000, id="long"),
    ],
)
async def test_a_hostile_name_is_refused_and_nothing_moves(hostile: str, edge: Service) -> None:
    before = (await BENCH.ask(edge, "get_caddy_config")).data
    with pytest.raises(Refused):
        await BENCH.planned(edge, "set_caddy_upstream", route=hostile, upstream="127.0.0.1:1")
    route = (await BENCH.ask(edge, "list_caddy_upstreams")).data["rows"][0]["route"]
    with pytest.raises(Refused):
        await BENCH.planned(edge, "set_caddy_upstream", route=route, upstream=hostile)
    with pytest.raises(Refused):
        await BENCH.planned(edge, "start_caddy_backend", backend=hostile or "/")
    await BENCH.ask(edge, "get_caddy_config", path=hostile)
    assert (await BENCH.ask(edge, "get_caddy_config")).data == before


async def test_a_broken_file_is_neither_loaded_nor_started_nor_restarted(lab: Lab, edge: Service) -> None:
    file = proxy.config_file(lab)
    good = file.read_text()
    file.write_text(good + "\nhttp://broken { nonsense_directive }\n")
    try:
        assert await BENCH.alerts(edge) == {"caddy-file-broken"}
        assert await BENCH.causes(edge, {"caddy-file-broken"}) == {"caddy-file-broken"}
        for tool in ("load_caddy_config", "start_caddy", "restart_caddy"):
            with pytest.raises(Refused, match="no valid config"):
                await BENCH.planned(edge, tool)
    finally:
        file.write_text(good)


async def test_a_file_that_moves_the_admin_api_is_refused(lab: Lab, edge: Service) -> None:
    file = proxy.config_file(lab)
    good = file.read_text()
    file.write_text(good.replace(f"admin 127.0.0.1:{lab.port('caddy-admin')}", "admin localhost:2020"))
    try:
        with pytest.raises(Refused, match="would put the admin API"):
            await BENCH.planned(edge, "load_caddy_config")
    finally:
        file.write_text(good)


async def test_a_restart_is_known_by_the_start_time(lab: Lab, edge: Service) -> None:
    done = await BENCH.planned(edge, "restart_caddy")
    await BENCH.carry_out(edge, done)
    assert not done.changes[0].reversible
    assert done.changes[0].no_undo
    await until_well(lab)


async def test_a_stopped_caddy_and_its_stopped_backend_are_two_causes(lab: Lab, edge: Service) -> None:
    await FAULTS["caddy-stopped"].inject(lab)
    await FAULTS["caddy-backend-down"].inject(lab)
    try:
        assert await BENCH.alerts(edge) == {"caddy-down"}
        assert await BENCH.causes(edge, {"caddy-down"}) == {"caddy-stopped"}
        await BENCH.carry_out(edge, await BENCH.planned(edge, "start_caddy"))
        alerts = await BENCH.alerts(edge)
        assert await BENCH.causes(edge, alerts) == {"caddy-backend-down"}
        await BENCH.carry_out(edge, await BENCH.planned(edge, "start_caddy_backend", backend="shop"))
        await until_well(lab)
    finally:
        await FAULTS["caddy-backend-down"].clear(lab)
        await FAULTS["caddy-stopped"].clear(lab)
        await until_well(lab)


async def test_what_runs_already_is_not_started(edge: Service) -> None:
    assert (await BENCH.planned(edge, "start_caddy")).changes == ()
    assert (await BENCH.planned(edge, "start_caddy_backend", backend="shop")).changes == ()


async def test_a_start_can_be_undone_by_a_stop(lab: Lab, edge: Service) -> None:
    await FAULTS["caddy-backend-down"].inject(lab)
    try:
        done = await BENCH.planned(edge, "start_caddy_backend", backend="shop")
        await BENCH.carry_out(edge, done)
        await BENCH.carry_out(edge, undo_plan(BENCH.registry, done))
        assert lab.pid("backend") is None
    finally:
        await FAULTS["caddy-backend-down"].clear(lab)
        await until_well(lab)


async def test_the_log_tells_a_refused_backend(lab: Lab, edge: Service) -> None:
    await FAULTS["caddy-backend-down"].inject(lab)
    try:
        while not (found := (await BENCH.ask(edge, "analyze_caddy_log", minutes=1.0)).data)["refused"]:
            await proxy.get(proxy.site(lab))
        assert found["last_error"]
        assert "refused" in json.dumps(found["rows"])
    finally:
        await FAULTS["caddy-backend-down"].clear(lab)
        await until_well(lab)


async def test_a_page_without_its_text_is_not_well(edge: Service) -> None:
    health = await BENCH.health(replace(edge, options={**edge.options, "site_text": "no such text"}))
    assert (health.level, health.samples["site_ok"]) == (Level.DEGRADED, 0)


async def test_a_site_without_tls_has_no_certificates_to_check(edge: Service) -> None:
    assert (await BENCH.ask(edge, "check_caddy_certificates")).data["total"] == 0


async def test_a_broken_handshake_is_named(edge: Service) -> None:
    over_tls = replace(edge, options={**edge.options, "site": edge.options["site"].replace("http:", "https:")})
    assert (await BENCH.health(over_tls)).samples["certificate_days"] == 0
    assert (await BENCH.ask(over_tls, "check_caddy_certificates")).data["invalid"] == 1


def test_secrets_are_hidden_and_come_back_only_from_a_config_that_holds_them() -> None:
    config = {"dns": {"api_token": "s3cr3t", "name": "x"}, "headers": {"Authorization": ["Bearer abc"]}, "port": 1}
    shown = hidden(config)
    assert "s3cr3t" not in json.dumps(shown)
    assert "abc" not in json.dumps(shown)
    assert differences(shown, hidden({**config, "dns": {"api_token": "other", "name": "x"}})) == ["/dns/api_token"]
    assert revealed(shown, config) == config
    with pytest.raises(Exception, match="secret"):
        revealed(shown, {"dns": {"api_token": "other"}})
