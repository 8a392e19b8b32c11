"""Exit statuses, and which error has which."""

from __future__ import annotations

from cockpit.model import CockpitError, Denied, Unreachable

OK = 0
FAILED = 1
USAGE = 2
PENDING = 3
DENIED = 4
IO = 74
TEMPORARY = 75
PERMISSION = 77
CONFIG = 78
INTERRUPTED = 130

EPILOG = """\
exit status:
  0 done   1 failed, or not in order   2 wrong usage   3 waits for a decision or an outcome   4 denied
  74 cannot read or write   75 try again later   77 no permission   78 wrong config   130 interrupted
"""

BUSY, LOCKED = 5, 6
PERM, READONLY, CANTOPEN, AUTH = 3, 8, 14, 23
"""Primary result codes of SQLite, as `StoreError.code` has them in its lowest byte."""


class UsageError(CockpitError):
    """The command line asks for something that cannot be meant."""


def status_of(error: CockpitError) -> int:
    """The exit status that tells a script what kind of error it was."""
    from cockpit.settings import SettingsError
    from cockpit.store.connection import StoreError

    if isinstance(error, StoreError):
        code = error.code & 0xFF
        if code in (BUSY, LOCKED):
            return TEMPORARY
        return PERMISSION if code in (PERM, READONLY, CANTOPEN, AUTH) else IO
    for kind, status in ((SettingsError, CONFIG), (UsageError, USAGE), (Unreachable, TEMPORARY), (Denied, PERMISSION)):
        if isinstance(error, kind):
            return status
    return FAILED
