"""Config and environment, validated, with errors that name the line to mend.

A flag goes before the environment (`COCKPIT_POLICY__DEADLINE`), that before the operator's
`config.toml`, that before the machine's in /etc/cockpit, and that before the defaults.
"""

from typing import TYPE_CHECKING

from cockpit.settings.loading import load
from cockpit.settings.values import PolicySettings, Settings, SettingsError

if TYPE_CHECKING:
    from cockpit.settings.options import options_of, with_options

__all__ = ["PolicySettings", "Settings", "SettingsError", "load", "options_of", "with_options"]


def __getattr__(name: str) -> object:
    """What only those need who reach the services; commands that read the log start faster without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cockpit.settings import options

    return getattr(options, name)
