"""The certificates a site shows to its visitors."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from cockpit.model import CockpitError
from tools.caddy.client import CaddyReader

DAY = 86_400.0


@dataclass(frozen=True)
class Certificate:
    """What a visitor finds of the certificate at one address."""

    host: str
    port: int
    days: float
    """Until it ends; 0 when a visitor does not accept it, or nothing answers."""
    issuer: str = ""
    error: str = ""
    """Why a visitor does not accept it."""


async def days_left(reader: CaddyReader, url: str, now: float) -> Certificate:
    """The certificate at an https address.

    Args:
        reader: the Caddy; its option `ca_file` says whom to trust.
        url: the address.
        now: seconds since the epoch.
    """
    parts = urlsplit(url)
    return await shown(reader, parts.hostname or "", parts.port or 443, now)


async def shown(reader: CaddyReader, host: str, port: int, now: float) -> Certificate:
    """The certificate for a host at a port, as a visitor checks it."""
    try:
        async with asyncio.timeout(reader.limit):
            _, writer = await asyncio.open_connection(host, port, ssl=await reader.trust(), server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        return Certificate(host, port, 0.0, error=error.verify_message)
    except TimeoutError:
        return Certificate(host, port, 0.0, error="no answer in time")
    except (OSError, ValueError, CockpitError) as error:
        return Certificate(host, port, 0.0, error=str(error))
    found = writer.get_extra_info("peercert")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    ends = ssl.cert_time_to_seconds(found["notAfter"])
    issuer = ", ".join(
        value for part in found["issuer"] for key, value in part if key in ("organizationName", "commonName")
    )
    return Certificate(host, port, (ends - now) / DAY, issuer)
