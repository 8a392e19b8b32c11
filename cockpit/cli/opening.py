"""Opens what a command needs, and no more: settings, the log for reading or writing, the registry, an engine."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.settings import Settings, load

if TYPE_CHECKING:
    from cockpit.engine import Engine
    from cockpit.store.reader import Reader
    from cockpit.store.store import Store
    from cockpit.toolkit import Registry


def settings_of(arguments: Namespace, *, whole: bool = True) -> Settings:
    """The settings this command works with; not `whole` for one that only reads the log. Raises SettingsError."""
    flags: dict[str, bool] = {"policy.dry_run": True} if getattr(arguments, "dry", False) else {}
    return load(getattr(arguments, "config", None), flags=flags, whole=whole)


def log_of(settings: Settings) -> Path:
    """The change log's file."""
    return settings.data_folder / "cockpit.db"


@contextmanager
def reading(settings: Settings) -> Iterator[Reader | None]:
    """The log, read-only; None when nothing was ever recorded. Raises CockpitError when it cannot be read."""
    if not log_of(settings).exists():
        yield None
        return
    from cockpit.store.reader import Reader

    with Reader(log_of(settings)) as reader:
        yield reader


@contextmanager
def writing(settings: Settings) -> Iterator[Store]:
    """The log, for a decision or the freeze switch. Raises CockpitError when it cannot be written."""
    from cockpit.cli.crash import redactor
    from cockpit.store.store import Store

    with Store.open(log_of(settings), scrub=redactor.scrub, anchors=settings.anchors) as store:
        yield store


def ready(settings: Settings) -> tuple[Settings, Registry]:
    """The settings with every service's options and secrets in place, and the tools. Raises SettingsError."""
    from cockpit.cli.crash import redactor
    from cockpit.settings import with_options
    from cockpit.toolkit import Registry

    registry = Registry.discover()
    return with_options(settings, registry, redactor), registry


@contextmanager
def engine(settings: Settings, *, act: bool = False) -> Iterator[Engine]:
    """An engine on the operator's store, which leaves the lock to a screen or daemon unless it has to act itself."""
    from cockpit.cli.crash import redactor
    from cockpit.engine import Engine

    complete, registry = ready(settings)
    with Engine(complete, registry, redactor, act=act) as running:
        yield running
