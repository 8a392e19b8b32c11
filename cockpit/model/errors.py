"""What an operator can mend: every error says what is wrong, and how to mend it."""

from __future__ import annotations


class CockpitError(Exception):
    """Something an operator can mend: what is wrong, and how to mend it."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(f"{what} {fix}".strip())
        self.what = what
        self.fix = fix


class ServiceError(CockpitError):
    """A service could not be asked or did not do as asked."""


class Unreachable(ServiceError):
    """Nothing answers at its address, or not in time."""


class Denied(ServiceError):
    """It answered, and refused the credentials or the right."""


class Unexpected(ServiceError):
    """It answered something else than its documentation says."""


class Refused(CockpitError):
    """A remediation looked and will not plan the change; the message says why."""


class Drifted(CockpitError):
    """The target is no longer as it was when the change was shown."""
