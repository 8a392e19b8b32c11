"""Caddy in front of a real backend: each fault is seen, explained and mended, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cockpit.agent.expressions import fill, holds
from cockpit.agent.runbooks import Library, load
from cockpit.lab import caddy as proxy
from cockpit.lab.lab import Lab
from cockpit.model import Call, Drifted, Finding, Level, Plan, Refused, Service, Unreachable
from cockpit.toolkit import Registry, inspect, plan, probe, undo_plan
from tools.caddy import caddy
from tools.caddy.client import CaddyReader, CaddyWriter
from tools.caddy.config import differences, hidden, revealed

REGISTRY = Registry.of([caddy])
FAULTS = {fault.name: fault for fault in proxy.FAULTS}


@pytest.fixture(scope="module")
def lab(lab_of: Callable[..., Lab]) -> Lab:
    return lab_of("backend", "caddy")


@pytest.fixture
def edge(lab: Lab) -> Service:
    return next(service for service in lab.services() if service.name == "caddy/edge")


@pytest.fixture(scope="module")
def library() -> Library:
    found = load([Path("data/runbooks")], {name: tool.writes for name, tool in REGISTRY.tools.items()})
    assert not [broken for broken in found.broken if broken.file.name == "caddy.yaml"]
    return found


async def ask(service: Service, tool: str, **arguments: object) -> Finding:
    return await inspect(REGISTRY, service, Call(tool, service.name, arguments))


async def planned(service: Service, tool: str, **arguments: object) -> Plan:
    return await plan(REGISTRY, service, Call(tool, service.name, arguments))


async def carry_out(service: Service, change_plan: Plan) -> None:
    for change in change_plan.changes:
        item = caddy.items[change.item]
        async with CaddyReader(service) as reader:
            assert not await item.holds(reader, change)
        async with CaddyWriter(service) as writer:
            await item.apply(writer, change)
        async with CaddyReader(service) as reader:
            assert await item.holds(reader, change)


async def raised(service: Service, library: Library) -> set[str]:
    """The conditions that hold for what the probe sees now."""
    health = await probe(caddy, service)
    seen = {"level": health.level.value, "summary": health.summary, "samples": dict(health.samples)}
    found = {one.id for one in library.conditions_for("caddy") if holds(one.when, seen)}
    for name in found:
        assert fill(library.conditions[name].summary, seen)
    return found


async def concluded(service: Service, library: Library, alerts: set[str]) -> set[str]:
    """The runbooks whose cause holds and whose rivals are all ruled out."""
    found = set()
    for book in library.runbooks_for("caddy", alerts):
        try:
            seen = {look.name: (await ask(service, look.tool, **look.arguments)).data for look in book.looks}
        except Unreachable:
            continue
        if holds(book.holds, seen) and all(holds(rival.ruled_out, seen) for rival in book.rivals):
            assert fill(book.cause, seen)
            assert fill(book.advice, seen) or book.remedies
            for rival in book.rivals:
                assert fill(rival.reading, seen)
            found.add(book.id)
    return found


async def until_well(lab: Lab) -> None:
    await proxy.SERVERS[1].seed(lab)


async def test_a_working_proxy_raises_no_alert(edge: Service, library: Library) -> None:
    health = await probe(caddy, edge)
    assert health.level is Level.UP
    assert set(health.samples) <= set(caddy.samples)
    assert health.samples["config_differs"] == 0
    assert await raised(edge, library) == set()


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_seen_explained_and_mended(name: str, lab: Lab, edge: Service, library: Library) -> None:
    fault = FAULTS[name]
    assert await fault.well(lab)
    await fault.inject(lab)
    try:
        while await fault.well(lab):
            pass
        alerts = await raised(edge, library)
        assert alerts
        assert await concluded(edge, library, alerts) == {fault.runbook}
        book = library.runbooks[fault.runbook]
        assert book.remedies[0].tool == fault.remedy
        seen = {look.name: (await ask(edge, look.tool, **look.arguments)).data for look in book.looks}
        arguments = {key: fill(str(value), seen) for key, value in book.remedies[0].arguments.items()}
        await carry_out(edge, await planned(edge, fault.remedy, **arguments))
        await until_well(lab)
        assert await raised(edge, library) == set()
    finally:
        await fault.clear(lab)
        await until_well(lab)


async def test_a_loaded_config_can_be_put_back(lab: Lab, edge: Service) -> None:
    fault = FAULTS["caddy-broken-config-pushed"]
    await fault.inject(lab)
    try:
        done = await planned(edge, "load_caddy_config")
        await carry_out(edge, done)
        await carry_out(edge, undo_plan(REGISTRY, done))
        assert (await proxy.get(proxy.site(lab)))[1] == "moved\n"
    finally:
        await fault.clear(lab)
        await until_well(lab)


async def test_loading_the_file_that_already_runs_changes_nothing(edge: Service) -> None:
    assert (await planned(edge, "load_caddy_config")).changes == ()


async def test_a_config_that_moved_since_the_plan_is_not_overwritten(lab: Lab, edge: Service) -> None:
    await FAULTS["caddy-broken-config-pushed"].inject(lab)
    try:
        change = (await planned(edge, "load_caddy_config")).changes[0]
        await FAULTS["caddy-health-path-wrong"].clear(lab)
        await FAULTS["caddy-health-path-wrong"].inject(lab)
        async with CaddyWriter(edge) as writer:
            with pytest.raises(Drifted):
                await caddy.items[change.item].apply(writer, change)
        assert "/healthz" in json.dumps((await ask(edge, "get_caddy_config")).data)
    finally:
        await FAULTS["caddy-broken-config-pushed"].clear(lab)
        await until_well(lab)


async def test_an_upstream_is_replaced_and_put_back(lab: Lab, edge: Service) -> None:
    rows = (await ask(edge, "list_caddy_upstreams")).data["rows"]
    ours = f"localhost:{lab.port('backend')}"
    done = await planned(edge, "set_caddy_upstream", route=rows[0]["route"], upstream=ours)
    await carry_out(edge, done)
    assert (await ask(edge, "list_caddy_upstreams")).data["rows"][0]["dial"] == ours
    assert (await ask(edge, "compare_caddy_config")).data["upstreams_only_running"] == [ours]
    await carry_out(edge, undo_plan(REGISTRY, done))
    assert (await ask(edge, "list_caddy_upstreams")).data["rows"][0]["dial"] == rows[0]["dial"]
    assert not (await ask(edge, "compare_caddy_config")).data["differs"]


async def test_an_upstream_where_nothing_listens_is_refused(edge: Service) -> None:
    route = (await ask(edge, "list_caddy_upstreams")).data["rows"][0]["route"]
    with pytest.raises(Refused, match="Nothing accepts connections"):
        await planned(edge, "set_caddy_upstream", route=route, upstream="127.0.0.1:1")


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
        "a" * 1000,
    ],
)
async def test_a_hostile_name_is_refused_and_nothing_moves(hostile: str, edge: Service) -> None:
    before = (await ask(edge, "get_caddy_config")).data
    with pytest.raises(Refused):
        await planned(edge, "set_caddy_upstream", route=hostile, upstream="127.0.0.1:1")
    route = (await ask(edge, "list_caddy_upstreams")).data["rows"][0]["route"]
    with pytest.raises(Refused):
        await planned(edge, "set_caddy_upstream", route=route, upstream=hostile)
    with pytest.raises(Refused):
        await planned(edge, "start_caddy_backend", backend=hostile or "/")
    await ask(edge, "get_caddy_config", path=hostile)
    assert (await ask(edge, "get_caddy_config")).data == before


async def test_a_broken_file_is_neither_loaded_nor_started_nor_restarted(
    lab: Lab, edge: Service, library: Library
) -> None:
    file = proxy.config_file(lab)
    good = file.read_text()
    file.write_text(good + "\nhttp://broken { nonsense_directive }\n")
    try:
        assert await raised(edge, library) == {"caddy-file-broken"}
        assert await concluded(edge, library, {"caddy-file-broken"}) == {"caddy-file-broken"}
        for tool in ("load_caddy_config", "start_caddy", "restart_caddy"):
            with pytest.raises(Refused, match="no valid config"):
                await planned(edge, tool)
    finally:
        file.write_text(good)


async def test_a_file_that_moves_the_admin_api_is_refused(lab: Lab, edge: Service) -> None:
    file = proxy.config_file(lab)
    good = file.read_text()
    file.write_text(good.replace(f"admin 127.0.0.1:{lab.port('caddy-admin')}", "admin localhost:2020"))
    try:
        with pytest.raises(Refused, match="would put the admin API"):
            await planned(edge, "load_caddy_config")
    finally:
        file.write_text(good)


async def test_a_restart_is_known_by_the_start_time(lab: Lab, edge: Service) -> None:
    done = await planned(edge, "restart_caddy")
    await carry_out(edge, done)
    assert not done.changes[0].reversible
    assert done.changes[0].no_undo
    await until_well(lab)


async def test_a_stopped_caddy_and_its_stopped_backend_are_two_causes(
    lab: Lab, edge: Service, library: Library
) -> None:
    await FAULTS["caddy-stopped"].inject(lab)
    await FAULTS["caddy-backend-down"].inject(lab)
    try:
        assert await raised(edge, library) == {"caddy-down"}
        assert await concluded(edge, library, {"caddy-down"}) == {"caddy-stopped"}
        await carry_out(edge, await planned(edge, "start_caddy"))
        alerts = await raised(edge, library)
        assert await concluded(edge, library, alerts) == {"caddy-backend-down"}
        await carry_out(edge, await planned(edge, "start_caddy_backend", backend="shop"))
        await until_well(lab)
    finally:
        await FAULTS["caddy-backend-down"].clear(lab)
        await FAULTS["caddy-stopped"].clear(lab)
        await until_well(lab)


async def test_what_runs_already_is_not_started(edge: Service) -> None:
    assert (await planned(edge, "start_caddy")).changes == ()
    assert (await planned(edge, "start_caddy_backend", backend="shop")).changes == ()


async def test_a_start_can_be_undone_by_a_stop(lab: Lab, edge: Service) -> None:
    await FAULTS["caddy-backend-down"].inject(lab)
    try:
        done = await planned(edge, "start_caddy_backend", backend="shop")
        await carry_out(edge, done)
        await carry_out(edge, undo_plan(REGISTRY, done))
        assert lab.pid("backend") is None
    finally:
        await FAULTS["caddy-backend-down"].clear(lab)
        await until_well(lab)


async def test_the_log_tells_a_refused_backend(lab: Lab, edge: Service) -> None:
    await FAULTS["caddy-backend-down"].inject(lab)
    try:
        while (await ask(edge, "analyze_caddy_log", minutes=1.0)).data["refused"] == 0:
            await proxy.get(proxy.site(lab))
    finally:
        await FAULTS["caddy-backend-down"].clear(lab)
        await until_well(lab)


async def test_a_page_without_its_text_is_not_well(edge: Service) -> None:
    health = await probe(caddy, replace(edge, options={**edge.options, "site_text": "no such text"}))
    assert (health.level, health.samples["site_ok"]) == (Level.DEGRADED, 0)


async def test_a_site_without_tls_has_no_certificates_to_check(edge: Service) -> None:
    assert (await ask(edge, "check_caddy_certificates")).data["total"] == 0


async def test_a_broken_handshake_is_named(edge: Service) -> None:
    over_tls = replace(edge, options={**edge.options, "site": edge.options["site"].replace("http:", "https:")})
    assert (await probe(caddy, over_tls)).samples["certificate_days"] == 0
    assert (await ask(over_tls, "check_caddy_certificates")).data["invalid"] == 1


def test_secrets_are_hidden_and_come_back_only_from_a_config_that_holds_them() -> None:
    config = {"dns": {"api_token": "s3cr3t", "name": "x"}, "headers": {"Authorization": ["Bearer abc"]}, "port": 1}
    shown = hidden(config)
    assert "s3cr3t" not in json.dumps(shown)
    assert "abc" not in json.dumps(shown)
    assert differences(shown, hidden({**config, "dns": {"api_token": "other", "name": "x"}})) == ["/dns/api_token"]
    assert revealed(shown, config) == config
    with pytest.raises(Exception, match="secret"):
        revealed(shown, {"dns": {"api_token": "other"}})
