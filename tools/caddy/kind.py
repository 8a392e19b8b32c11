"""The kind `caddy`: a Caddy web server or reverse proxy, and its probe."""

from __future__ import annotations

import asyncio
import time

from cockpit.model import JSON, CockpitError, Health, Level
from cockpit.toolkit import Kind, Option
from tools.caddy.certificates import days_left
from tools.caddy.client import Answer, CaddyReader, CaddyWriter
from tools.caddy.files import Adapted
from tools.caddy.upstreams import connected
from tools.control import OPTIONS

caddy = Kind(
    "caddy",
    "The Caddy web server and reverse proxy.",
    CaddyReader,
    CaddyWriter,
    (
        Option("admin", str, "Address of the admin API.", "http://localhost:2019"),
        Option("site", str, "A page that is asked for as a visitor would, such as https://shop.example.net/."),
        Option("site_text", str, "A text that page must contain.", ""),
        Option("config_file", str, "The Caddyfile or JSON file that ought to run."),
        Option("log_file", str, "Its log in JSON lines: runtime errors, access log or both."),
        Option("ca_file", str, "Certificates to trust when the site is asked, if not the system's."),
        Option("binary", str, "The program caddy, for checking the file.", "caddy"),
        Option(
            "backends", dict, "Applications behind it by name: 'upstream' as Caddy dials it, and 'unit' or 'control'."
        ),
        *OPTIONS,
    ),
)


@caddy.health(
    site_status="HTTP status a visitor gets, 0 when nothing answers",
    site_ok="1 when the visitor gets the page that is expected, else 0",
    site_seconds="seconds until the visitor has the page",
    admin_answers="1 when the admin API answers, else 0",
    upstreams="upstream addresses in the running config",
    upstreams_refusing="of these, how many accept no connection from us",
    config_differs="1 when the running config is not the file's, else 0",
    file_broken="1 when the file is no valid config, else 0",
    certificate_days="days until the site's certificate ends, 0 when it is not valid",
)
async def check(client: CaddyReader) -> Health:
    """Ask for the site as a visitor, for the running config, and for every upstream ourselves."""
    page, config, wanted = await asyncio.gather(_site(client), _running(client), client.wanted())
    samples: dict[str, float] = {"admin_answers": float(config is not None)}
    if page:
        samples |= {"site_status": page.status, "site_seconds": page.seconds, "site_ok": float(client.well(page))}
    if client.site.startswith("https:"):
        samples["certificate_days"] = max(0.0, (await days_left(client, client.site, time.time())).days)
    if wanted:
        samples["file_broken"] = float(bool(wanted.error))
    if config is not None:
        upstreams = await connected(config, client)
        samples["upstreams"] = len(upstreams)
        samples["upstreams_refusing"] = sum(not one.connects for one in upstreams)
        if wanted and not wanted.error:
            samples["config_differs"] = float(config != wanted.config)
    return Health(_level(page, config, samples), _summary(page, samples, client, wanted), samples)


async def _site(client: CaddyReader) -> Answer | None:
    return await client.visit() if client.site else None


async def _running(client: CaddyReader) -> JSON:
    try:
        return await client.config()
    except CockpitError:
        return None


def _level(page: Answer | None, config: JSON, samples: dict[str, float]) -> Level:
    if page is None:
        return Level.DOWN if config is None else Level.UP
    if page.status == 0:
        return Level.DOWN
    return Level.UP if samples["site_ok"] and config is not None else Level.DEGRADED


def _summary(page: Answer | None, samples: dict[str, float], client: CaddyReader, wanted: Adapted | None) -> str:
    if page is None:
        return "The admin API answers." if samples["admin_answers"] else f"Nothing answers at {client.admin}."
    if page.status == 0:
        return f"Nothing answers at {client.site}: {page.error}."
    said = f"The site answers {page.status} in {page.seconds * 1000:.0f} ms"
    if samples.get("upstreams_refusing"):
        return (
            f"{said}; upstreams that refuse connections: "
            f"{samples['upstreams_refusing']:.0f} of {samples['upstreams']:.0f}."
        )
    if not samples["site_ok"] and page.status < 400:
        return f"{said}, but without the text '{client.text('site_text')}'."
    if not samples["admin_answers"]:
        return f"{said}, but the admin API is silent."
    return f"{said}; the config file is broken." if wanted and wanted.error else f"{said}."
