"""The settings as frozen values, with their defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cockpit.model import Approval, CockpitError, Service

if TYPE_CHECKING:
    from cockpit.settings.daemon import (
        AlertmanagerSettings,
        Deadman,
        Escalation,
        Gitea,
        Heartbeat,
        HttpSettings,
        Maintenance,
        Notify,
        TelegramSettings,
    )
    from cockpit.settings.models import ModelsSettings

Keys: TypeAlias = tuple[str, ...]
"""The way to a setting through the tables, such as ("services", "postgres", "main", "port")."""


class SettingsError(CockpitError):
    """Something in the config is wrong; the message names its place."""


@dataclass(frozen=True)
class Origin:
    """Where a setting was set."""

    place: str
    """A file's path, `$NAME` of an environment variable, or `--name` of a command line option."""
    keys: Keys = ()
    """In a file, what to look for there; empty for any other place."""

    def __str__(self) -> str:
        return f"{self.place}, line {self.line}" if self.keys else self.place

    @property
    def line(self) -> int:
        """The line in the file, looked up when it is asked for; 0 where there is none."""
        from cockpit.settings.lines import line_of

        return line_of(Path(self.place), self.keys) if self.keys else 0

    @property
    def environment(self) -> bool:
        """Whether it was set by an environment variable, which is text whatever was meant."""
        return self.place.startswith("$")

    @property
    def file(self) -> Path | None:
        """The file it was set in, if it was one."""
        return Path(self.place) if self.keys else None


@dataclass(frozen=True)
class PolicySettings:
    """How much is done without asking, and what limits hold."""

    levels: Mapping[str, Approval] = field(default_factory=dict)
    """Levels of approval by tool, where they differ from the tool's own."""
    deadline: float = 300.0
    """Seconds a proposal waits for a decision."""
    changes_per_hour: int = 30
    failures_before_pause: int = 2
    """Failed changes on one target after which it is left alone."""
    pause_seconds: float = 1800.0
    quiet_hours: tuple[str, str] | None = None
    """From and to, local time, such as ("22:00", "07:00"): nothing is changed then without asking."""
    undo_on_failure: bool = True
    """Whether a change that failed its verification is put back at once."""
    dry_run: bool = False
    """Whether changes are planned and shown, and never applied."""


def login() -> str:
    """The name of the account that runs this process."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container may run under a number that has no name
        return str(os.geteuid())


def config_home(environ: Mapping[str, str]) -> Path:
    """The operator's own config folder."""
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "cockpit"


def data_home(environ: Mapping[str, str]) -> Path:
    """Where the change log is kept: systemd's state folder, else the XDG data folder."""
    state = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(state) if state else Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "cockpit"


@dataclass(frozen=True)
class Settings:
    """Everything the operator configured."""

    data_folder: Path = field(default_factory=lambda: data_home(os.environ))
    """Where the change log, its key and its lock are kept."""
    services: tuple[Service, ...] = ()
    policy: PolicySettings = field(default_factory=PolicySettings)
    runbook_folder: Path = field(default_factory=lambda: config_home(os.environ) / "runbooks")
    """The operator's own runbooks."""
    anchors: tuple[Path, ...] = ()
    """Files the head of the change log is written to besides, best on another machine's disk."""
    notify: tuple[Notify, ...] = ()
    escalation: Escalation | None = None
    gitea: Gitea | None = None
    deadman: Deadman | None = None
    heartbeats: tuple[Heartbeat, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    telegram: TelegramSettings | None = None
    http: HttpSettings | None = None
    """Where the daemon listens; None when it does not."""
    alertmanager: AlertmanagerSettings | None = None
    models: ModelsSettings | None = None
    """None while no model is configured: nothing then speaks of models."""
    notes_folder: Path = field(default_factory=lambda: config_home(os.environ) / "notes")
    """The operator's own notes, Markdown, for investigations."""
    operator: str = field(default_factory=login)
    """Who decides; written into the change log."""
    theme: str = ""
    """The screen's theme; empty for its own choice."""
    sources: tuple[Path, ...] = field(default=(), compare=False)
    """The files that were read."""
    origins: Mapping[Keys, Origin] = field(default_factory=dict, compare=False, repr=False)
    """Where each setting that is no default was set."""
