"""What can be changed about a Caddy: its running config, its upstreams, and whether it and its backends run."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping

from cockpit.model import JSON, Approval, Change, CockpitError, Drifted, Plan, Refused, canonical
from cockpit.toolkit import nothing_to_do, plan_of
from tools.caddy.client import CaddyReader, CaddyWriter
from tools.caddy.config import DEFAULT_ADMIN, SERVERS, admin_address, hidden, proxies
from tools.caddy.kind import caddy
from tools.caddy.upstreams import ADDRESS, refusal
from tools.control import ServiceControl, ServiceStatus

RUNNING, STOPPED = "running", "stopped"
PORT = re.compile(r":(\d+)/?$")


async def _read_config(client: CaddyReader, key: JSON) -> JSON:
    return hidden(await client.config())


async def _write_config(client: CaddyWriter, key: JSON, before: JSON, after: JSON) -> None:
    await client.put_config("", before, after)


def _config_steps(key: JSON, before: JSON, after: JSON) -> list[str]:
    digest = hashlib.sha256(canonical(after).encode()).hexdigest()[:12]
    return [f"POST /config/ with a config of {len(canonical(after))} characters, SHA-256 {digest}…"]


running_config = caddy.resource(
    "running config",
    read=_read_config,
    write=_write_config,
    steps=_config_steps,
    verification="GET /config/ returns what was loaded.",
)


async def _read_upstreams(client: CaddyReader, key: JSON) -> JSON:
    found = await client.config()
    for part in str(key).split("/"):
        if isinstance(found, list):
            found = found[int(part)] if part.isdigit() and int(part) < len(found) else None
        else:
            found = found.get(part) if isinstance(found, Mapping) else None
    return hidden(found)


async def _write_upstreams(client: CaddyWriter, key: JSON, before: JSON, after: JSON) -> None:
    await client.put_config(str(key), before, after)


def _upstream_steps(key: JSON, before: JSON, after: JSON) -> list[str]:
    return [f"PATCH /config/{key} with {json.dumps(after)}"]


proxy_upstreams = caddy.resource(
    "proxy upstreams",
    read=_read_upstreams,
    write=_write_upstreams,
    steps=_upstream_steps,
    verification="GET /config/ shows the proxy with these upstreams.",
)


def _part(name: str) -> tuple[str, str] | None:
    """Where the service control of a process stands: Caddy's own for an empty name, else that backend's."""
    return ("backends", name) if name else None


def _process(key: JSON) -> dict[str, str]:
    return {str(field): str(value) for field, value in key.items()} if isinstance(key, Mapping) else {}


async def _read_process(client: CaddyReader, key: JSON) -> JSON:
    return RUNNING if await ServiceStatus(client.service, _part(_process(key)["name"])).running() else STOPPED


async def _write_process(client: CaddyWriter, key: JSON, before: JSON, after: JSON) -> None:
    wanted = _process(key)
    verb = "start" if after == RUNNING else "stop"
    control = ServiceControl(client.service, _part(wanted["name"]))
    if control.step(verb) != wanted[verb]:
        raise Drifted(f"The command to {verb} {control.name} is another one by now.", "Plan it again.")
    await control.run(verb)


def _process_steps(key: JSON, before: JSON, after: JSON) -> list[str]:
    return [_process(key)["start" if after == RUNNING else "stop"]]


process = caddy.resource(
    "process",
    read=_read_process,
    write=_write_process,
    steps=_process_steps,
    verification="The service manager says that it runs, or that it is stopped.",
    timeout=90.0,
)


async def _started(client: CaddyReader, key: JSON) -> JSON:
    return {"started_at": await client.started_at()}


async def _restart(client: CaddyWriter, change: Change) -> None:
    await ServiceControl(client.service).run("restart")


async def _restarted(client: CaddyReader, change: Change) -> bool:
    """Its own start time tells, however late it is asked."""
    before = change.before if isinstance(change.before, Mapping) else {}
    return await client.started_at() > float(str(before.get("started_at", "inf")))


restart = caddy.action(
    "restart",
    read=_started,
    do=_restart,
    check=_restarted,
    steps=lambda key, before, after: [str(key)],
    verification="GET /metrics names a later process_start_time_seconds.",
    no_undo="A restart leaves nothing to put back.",
    timeout=90.0,
)


@caddy.remediation(approval=Approval.HARD, uses=(running_config,))
async def load_caddy_config(client: CaddyReader) -> Plan:
    """Load the config file that ought to run into the running Caddy, without a restart.

    Use it when the running config is not the file's and the file is right. Refuses a file that is no valid
    config, and one that would move the admin API away from where cockpit reaches it.
    """
    wanted = await client.wanted()
    if wanted is None:
        raise Refused("No config file is configured to load.", "Set 'config_file'.")
    if wanted.error:
        raise Refused(f"The file is no valid config: {wanted.error}.", "Mend the file first.")
    file = client.text("config_file")
    _same_admin(client, wanted.config)
    before, after = hidden(await client.config()), hidden(wanted.config)
    if before == after:
        return nothing_to_do("The running config is the file's already.")
    change = running_config.change(
        client.service.name, file, before, after, why="The running config is not the file's."
    )
    return plan_of(
        f"Load {file}", change, risk="Connections stay open; routes that only the running config has are gone."
    )


@caddy.remediation(approval=Approval.HARD, uses=(proxy_upstreams,))
async def set_caddy_upstream(client: CaddyReader, route: str, upstream: str) -> Plan:
    """Send a proxy's requests to other upstreams, in the running config only.

    Use it to move traffic away from a backend that cannot be mended soon. The file stays as it is, so the next
    restart or load brings the old upstreams back.

    Args:
        route: which proxy, as list_caddy_upstreams names it, such as srv0/routes/0/handle/0.
        upstream: one address as host:port, or several with commas between.
    """
    found = {proxy.route: proxy for proxy in proxies(await client.config())}
    if route not in found:
        raise Refused(
            "There is no such proxy in the running config.", f"There are: {', '.join(sorted(found)) or 'none'}."
        )
    addresses = [address.strip() for address in upstream.split(",")]
    for address in addresses:
        if not ADDRESS.fullmatch(address):
            raise Refused("An upstream must be an address such as 127.0.0.1:8080.", "Correct it.")
        if error := await refusal(address):
            raise Refused(f"Nothing accepts connections at {address}: {error}.", "Start it first.")
    key = f"{SERVERS}/{route}/upstreams"
    after: JSON = [{"dial": address} for address in addresses]
    change = proxy_upstreams.change(
        client.service.name, key, await _read_upstreams(client, key), after, why="Asked for."
    )
    return plan_of(
        f"Send {route} to {', '.join(addresses)}",
        change,
        risk="Requests go to the new address at once. The file is not changed: a restart brings the old one back.",
    )


@caddy.remediation(approval=Approval.SOFT, uses=(process,))
async def start_caddy_backend(client: CaddyReader, backend: str) -> Plan:
    """Start an application behind the proxy that is stopped.

    Use it when its upstream refuses connections and the service manager says that it is stopped.

    Args:
        backend: its name under `backends` in the config.
    """
    return await _start(client, backend, f"the backend {backend}", "Its start may load the machine for a moment.")


@caddy.remediation(approval=Approval.SOFT, uses=(process,))
async def start_caddy(client: CaddyReader) -> Plan:
    """Start Caddy when it is stopped; refuses while its file is no valid config, because the start would fail."""
    await _require_file(client)
    return await _start(client, "", "Caddy", "It runs what the file says, not what was loaded through its API before.")


@caddy.remediation(approval=Approval.HARD, uses=(restart,))
async def restart_caddy(client: CaddyReader) -> Plan:
    """Restart Caddy, which then runs the config of its file.

    Use it only where Caddy itself hangs: a restart mends no backend and no config. Refuses while its file is no
    valid config, because it would not come back.
    """
    await _require_file(client)
    step = ServiceStatus(client.service).step("restart")
    change = restart.change(
        client.service.name,
        step,
        await _started(client, step),
        "Caddy has started again",
        why="Asked for.",
        observed={"planned_at": time.time()},
    )
    return plan_of("Restart Caddy", change, risk="Open connections break, and visitors are refused for about a second.")


async def _start(client: CaddyReader, name: str, said: str, risk: str) -> Plan:
    try:
        status = ServiceStatus(client.service, _part(name))
        key = {"name": name, "start": status.step("start"), "stop": status.step("stop")}
    except CockpitError as error:
        raise Refused(error.what, error.fix) from error
    before = await _read_process(client, key)
    if before == RUNNING:
        return nothing_to_do(f"{said} runs already.")
    return plan_of(
        f"Start {said}", process.change(client.service.name, key, before, RUNNING, why="It is stopped."), risk=risk
    )


async def _require_file(client: CaddyReader) -> None:
    wanted = await client.wanted()
    if wanted and wanted.error:
        raise Refused(f"Caddy would not start: its file is no valid config: {wanted.error}.", "Mend the file first.")


def _same_admin(client: CaddyReader, config: JSON) -> None:
    address = admin_address(config)
    ours, theirs = PORT.search(client.admin), PORT.search(address)
    default = DEFAULT_ADMIN.rpartition(":")[2]
    if not address or (ours[1] if ours else default) != (theirs[1] if theirs else default):
        raise Refused(
            f"The file would put the admin API at {address or 'nowhere'}, and cockpit reaches it at {client.admin}.",
            "Correct the admin address in the file, or 'admin' in cockpit's config.",
        )
