"""Config and environment, validated, with errors that name the line to mend.

A flag goes before the environment (`COCKPIT_POLICY__DEADLINE`), that before the operator's
`config.toml`, that before the machine's in /etc/cockpit, and that before the defaults.
"""

from cockpit.settings.loading import load
from cockpit.settings.options import options_of, with_options
from cockpit.settings.values import PolicySettings, Settings, SettingsError

__all__ = ["PolicySettings", "Settings", "SettingsError", "load", "options_of", "with_options"]
