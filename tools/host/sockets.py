"""TCP connections of this machine, and the ports it has left for new ones.

Sources: /proc/net/sockstat, /proc/sys/net/ipv4/ip_local_port_range.
"""

from __future__ import annotations

import re
from pathlib import Path

SOCKETS = Path("/proc/net/sockstat")
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
TCP = re.compile(r"^TCP: inuse (\d+) orphan \d+ tw (\d+)", re.MULTILINE)


def port_range() -> tuple[int, int]:
    """The first and last port for outgoing connections."""
    try:
        first, last = RANGE.read_text().split()
    except OSError:
        return 32768, 60999
    return int(first), int(last)


def ports_used_ratio() -> float:
    """TCP sockets of every kind against the ports for outgoing connections: a bound from above."""
    try:
        found = TCP.search(SOCKETS.read_text())
    except OSError:
        return 0.0
    first, last = port_range()
    return (int(found[1]) + int(found[2])) / (last - first + 1) if found else 0.0
