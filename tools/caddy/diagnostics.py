"""What can be asked of a Caddy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from cockpit.model import JSON, CockpitError, Finding, RunStatus
from cockpit.toolkit import counted
from tools.caddy.certificates import days_left, shown
from tools.caddy.client import CaddyReader
from tools.caddy.config import admin_address, differences, hidden, proxies, routes, servers
from tools.caddy.journal import read_entries, tally
from tools.caddy.kind import caddy
from tools.caddy.upstreams import asked
from tools.control import ServiceStatus
from tools.shapes import number

MOST = 20
"""Rows in a finding."""


@caddy.diagnostic()
async def check_caddy_health(client: CaddyReader) -> Finding:
    """Whether Caddy runs, its admin API answers, its site is served and its file is a valid config.

    Use it first. It asks the service manager, `GET /config/`, the site as a visitor, and `caddy adapt`,
    and answers also when Caddy is stopped.
    """
    page, wanted, process = await asyncio.gather(
        client.visit() if client.site else _none(), client.wanted(), _process(client)
    )
    data: dict[str, JSON] = {"admin_answers": True, "admin_error": "", **process}
    try:
        config = await client.config()
    except CockpitError as error:
        config = None
        data |= {"admin_answers": False, "admin_error": error.what}
    if page:
        data |= {"site_status": page.status, "site_ok": client.well(page), "site_error": page.error}
    if wanted:
        data |= {"file_valid": not wanted.error, "file_error": wanted.error}
        if config is not None and not wanted.error:
            data["config_differs"] = config != wanted.config
    said = f"answers {page.status}" if page and page.status else "does not answer"
    admin = "answers" if data["admin_answers"] else "is silent"
    site = f"The site {said}, the" if page else "The"
    broken = f"; its file is broken: {wanted.error}" if wanted and wanted.error else ""
    return Finding(f"{site} admin API {admin}{broken}.", data)


@caddy.diagnostic()
async def get_caddy_config(client: CaddyReader, path: str = "") -> Finding:
    """The running config, or a part of it, with secrets hidden (`GET /config/`).

    Args:
        path: which part, such as apps/http/servers/srv0; empty for all.
    """
    found: JSON = hidden(await client.config())
    for key in [key for key in path.split("/") if key]:
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            found = None
    if found is None:
        return Finding(f"Nothing stands at '{path}' in the running config.", {"config": {}}, RunStatus.NOTHING)
    return Finding(f"The running config{f' at {path}' if path else ''}.", {"config": found})


@caddy.diagnostic()
async def list_caddy_upstreams(client: CaddyReader) -> Finding:
    """Every upstream with what it answers us directly, and what Caddy counts of it.

    Use it when visitors get 502, 503 or 504. Caddy's own figures (`GET /reverse_proxy/upstreams`) count passive
    failures only and stay 0 while active health checks fail, so each upstream is connected to and asked for
    `/` and for its health path.
    """
    config, state = await asyncio.gather(client.config(), client.upstream_state())
    found = await asked(config, client)
    down = [one for one in found if not one.connects]
    misjudged = [one for one in found if one.misjudged]
    silent = [one for one in found if one.connects and not one.proxy.tls and one.status == 0]
    data: dict[str, JSON] = {
        "total": len(found),
        "refusing": len(down),
        "silent": len(silent),
        "misjudged": len(misjudged),
        "failing": sum(one.status >= 500 for one in found),
        "caddy_fails": sum(int(entry.get("fails") or 0) for entry in state),
        "first_refusing": down[0].dial if down else "",
        "first_refusing_backend": down[0].backend if down else "",
        "first_error": down[0].error if down else "",
        "health_path": misjudged[0].proxy.health_path if misjudged else "",
        "health_status": misjudged[0].health_status if misjudged else 0,
        "rows": [one.row() for one in found],
    }
    if not found:
        return Finding("The running config has no upstream.", data, RunStatus.NOTHING)
    return Finding(f"Upstreams that accept connections: {len(found) - len(down)} of {len(found)}.", data)


@caddy.diagnostic()
async def check_caddy_routes(client: CaddyReader) -> Finding:
    """Servers and routes of the running config, and those that answer every request with an error themselves."""
    config = await client.config()
    found = routes(config)
    errors = [route for route in found if any(status >= 400 for status in route.statuses)]
    data: dict[str, JSON] = {
        "servers": len(servers(config)),
        "routes": len(found),
        "proxies": len(proxies(config)),
        "static_errors": len(errors),
        "rows": [
            {
                "route": route.path,
                "listen": ", ".join(route.listen),
                "hosts": ", ".join(route.hosts),
                "handlers": ", ".join(route.handlers),
                "answers": ", ".join(str(status) for status in route.statuses),
            }
            for route in found[:MOST]
        ],
    }
    own = counted(len(errors), "answers with an error itself", "answer with an error themselves")
    proxied = counted(len(proxies(config)), "proxy", "proxies")
    summary = f"{counted(len(found), 'route')} with {proxied}; {own}."
    return Finding(summary, data, RunStatus.FOUND if found else RunStatus.NOTHING)


@caddy.diagnostic()
async def compare_caddy_config(client: CaddyReader) -> Finding:
    """The running config against the file's (`GET /config/` against `caddy adapt`), and where they differ.

    Use it when a site misbehaves though nobody edited the file, and before any restart: a restart runs the file.
    """
    wanted = await client.wanted()
    if wanted is None:
        raise CockpitError("No config file is configured to compare with.", "Set 'config_file'.")
    config = await client.config()
    paths = [] if wanted.error else differences(config, wanted.config)
    data: dict[str, JSON] = {
        "file_valid": not wanted.error,
        "file_error": wanted.error,
        "differs": bool(paths),
        "count": len(paths),
        "paths": list(paths[:MOST]),
        "first_path": paths[0] if paths else "",
        "where": _where(paths),
        "admin_running": admin_address(config),
        "admin_in_file": "" if wanted.error else admin_address(wanted.config),
        "file_proxies": len(proxies(wanted.config)),
        "running_proxies": len(proxies(config)),
        "upstreams_only_running": sorted(_dials(config) - _dials(wanted.config)),
    }
    if wanted.error:
        return Finding(f"The file is no valid config: {wanted.error}.", data)
    if not paths:
        return Finding("The running config is the file's.", data, RunStatus.NOTHING)
    return Finding(f"The running config differs from the file {_where(paths)}.", data)


def _where(paths: Sequence[str]) -> str:
    if len(paths) == 1:
        return f"at {paths[0]}"
    return f"in {len(paths)} places, first at {paths[0]}" if paths else ""


@caddy.diagnostic()
async def check_caddy_certificates(client: CaddyReader) -> Finding:
    """The certificates of the site and of every host served over TLS, as a visitor checks them."""
    now = time.time()
    wanted = [days_left(client, client.site, now)] if client.site.startswith("https:") else []
    for host, port in _tls_hosts(await client.config())[: MOST - 1]:
        wanted.append(shown(client, host, port, now))
    found = await asyncio.gather(*wanted)
    if not found:
        return Finding("Nothing is served over TLS.", {"total": 0, "invalid": 0, "rows": []}, RunStatus.NOTHING)
    first = min(found, key=lambda one: one.days)
    data: dict[str, JSON] = {
        "total": len(found),
        "invalid": sum(bool(one.error) for one in found),
        "first_host": first.host,
        "first_days": first.days,
        "first_error": first.error,
        "expired": "expired" in first.error,
        "rows": [{"host": one.host, "days": one.days, "issuer": one.issuer, "error": one.error} for one in found],
    }
    said = first.error or f"{counted(round(first.days), 'day')} left"
    return Finding(f"{counted(len(found), 'certificate')}; the first to end is that of {first.host}: {said}.", data)


@caddy.diagnostic(quotes=True)
async def analyze_caddy_log(client: CaddyReader, minutes: float = 15.0) -> Finding:
    """What its log says of the last minutes: requests by status, and errors by what they say.

    Args:
        minutes: how far back to look.
    """
    entries = read_entries(await client.log(), time.time() - minutes * 60)
    found = tally(entries)
    if not entries:
        return Finding(f"The log says nothing of the last {counted(minutes, 'minute')}.", found, RunStatus.NOTHING)
    said = f"{counted(number(found['errors']), 'error')} in {counted(minutes, 'minute')}"
    return Finding(f"{said}; the last: {found['last_error'] or 'none'}.", found)


def _dials(config: JSON) -> set[str]:
    return {dial for proxy in proxies(config) for dial in proxy.upstreams}


async def _none() -> None:
    return None


async def _process(client: CaddyReader) -> dict[str, JSON]:
    """Whether the service manager says that it runs; nothing when no manager is configured or it cannot tell."""
    try:
        return {"process_running": await ServiceStatus(client.service).running()}
    except CockpitError:
        return {}


def _tls_hosts(config: JSON) -> list[tuple[str, int]]:
    found = set()
    for route in routes(config):
        for address in route.listen:
            port = address.rpartition(":")[2]
            if port == "443":
                found |= {(host, 443) for host in route.hosts if "*" not in host}
    return sorted(found)
