"""What the tables about telling, asking and listening hold, as frozen values.

They stand apart from `Settings`, for commands that only read the log start faster without them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.model import Severity

if TYPE_CHECKING:
    from cockpit.settings.tables import Secret


@dataclass(frozen=True)
class Notify:
    """One channel over which people are told: a table `[notify.NAME]`."""

    name: str
    url: Secret
    """Where to, as Apprise writes it: `ntfy://…`, `mailto://…`, `json://…`."""
    min_severity: Severity = Severity.WARNING
    only: tuple[str, ...] = ()
    """Kinds of message that go there; empty for all."""
    quiet_hours: tuple[str, str] | None = None
    """From and to, local time: only what is critical is told then, the rest when they end."""
    zone: str = ""
    """The time zone of the quiet hours, such as `Europe/Berlin`; empty for this machine's."""
    gather: float = 10.0
    """Seconds between two messages at the least: what happens meanwhile comes in one."""


@dataclass(frozen=True)
class Escalation:
    """Who is told next when nobody answers: the table `[escalation]`."""

    order: tuple[str, ...]
    """Channels; one after the first stays silent until it is its turn."""
    after_minutes: float = 10.0


@dataclass(frozen=True)
class Gitea:
    """Where an issue is opened for an incident that needs a person: the table `[gitea]`."""

    url: str
    repository: str
    """Owner and name, such as `ops/homelab`."""
    token: Secret


@dataclass(frozen=True)
class Deadman:
    """Who is told that the agent lives, and misses it when it does not: the table `[deadman]`."""

    ping_url: Secret
    every: float = 60.0
    """Seconds between two pings."""


@dataclass(frozen=True)
class Heartbeat:
    """A sign of life that others send: a table `[heartbeats.NAME]`."""

    name: str
    every: float
    """Seconds between two of them."""
    grace: float = 60.0
    """Seconds one may be late."""
    severity: Severity = Severity.WARNING

    @property
    def service(self) -> str:
        """The service its alerts are about."""
        return f"heartbeat/{self.name}"


@dataclass(frozen=True)
class Maintenance:
    """A time in which services are expected to be down and nobody is told: one of `[[maintenance]]`."""

    name: str
    services: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    start: datetime | None = None
    """For one that happens once; without an offset it is local time in `zone`."""
    end: datetime | None = None
    weekdays: tuple[int, ...] = ()
    """For one that comes again: the days on which it starts, Monday is 0; empty for each."""
    at: str = ""
    """The time of day at which it starts."""
    minutes: float = 0.0
    """Minutes that pass until it ends, also where clocks are set forward or back meanwhile."""
    zone: str = ""


@dataclass(frozen=True)
class Token:
    """A bearer token of the HTTP interface."""

    name: str
    """Who holds it; written into the change log."""
    scopes: tuple[str, ...]
    """Of `read`, `alert` and `approve`."""
    token: Secret
    value: str = field(default="", repr=False)
    """The token itself, once it was fetched."""


@dataclass(frozen=True)
class HttpSettings:
    """Where the daemon listens, and what it bears."""

    host: str = "127.0.0.1"
    port: int = 8322
    tokens: tuple[Token, ...] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    body_limit_kb: int = 8192
    """Largest body of a request, in KiB; Alertmanager does not send again what was refused as too large."""
    connections: int = 256
    """Open connections at the most."""
    requests_per_second: int = 10_000
    """Requests of one address at the most."""


@dataclass(frozen=True)
class Matcher:
    """One condition on a label of an alert; a label that is missing counts as empty."""

    label: str
    pattern: re.Pattern[str]
    """What the whole value must match."""
    negated: bool = False

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the alert with these labels meets it."""
        return (self.pattern.fullmatch(labels.get(self.label, "")) is None) is self.negated


@dataclass(frozen=True)
class AlertmanagerSettings:
    """What to make of the alerts that Alertmanager and Prometheus send."""

    watchdog_seconds: float = 0.0
    """Seconds within which the alert `Watchdog` is expected again; 0 when it is not expected."""
    services: Mapping[str, tuple[Matcher, ...]] = field(default_factory=dict)
    """By the name of a service, what the labels of its alerts must meet."""


class Right(StrEnum):
    """What somebody may do over Telegram."""

    SEE = "see"
    APPROVE = "approve"
    """Decide about changes, undo, silence, freeze."""
    CRITICAL = "approve critical"
    """Approve changes to critical services as well."""


@dataclass(frozen=True)
class Operator:
    """Somebody on Telegram's allowlist: one of `telegram.users`."""

    id: int
    """Their number in Telegram; names there can be taken by anyone."""
    name: str
    """Who decided, in the change log."""
    rights: frozenset[Right] = frozenset({Right.SEE})


@dataclass(frozen=True)
class WebhookSettings:
    """Where Telegram brings updates to, instead of being asked for them."""

    url: str
    """The public address that Telegram calls."""
    host: str = "127.0.0.1"
    port: int = 8443
    """Where we listen: behind a proxy that ends TLS, or with a certificate of our own."""
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class TelegramSettings:
    """The bot, its one chat, and who may do what there: the table `[telegram]`."""

    token: Secret
    chat: int = 0
    """The one chat the bot talks in: a user's own number, or a group's; 0 until somebody is enrolled."""
    users: tuple[Operator, ...] = ()
    base_url: str = "https://api.telegram.org"
    quiet_hours: tuple[str, str] | None = None
    """From and to, local time: only what is critical is told then, the rest when they end."""
    storm_per_minute: int = 10
    """New incidents a minute beyond which they come as one summary."""
    two_people_for_critical: bool = False
    """Whether changes to critical services need two different people who approve over Telegram."""
    webhook: WebhookSettings | None = None
    """Without one, Telegram is asked for updates, and nothing has to be open."""
