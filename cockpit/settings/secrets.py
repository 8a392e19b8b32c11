"""Secrets that stand elsewhere: in a file, the environment, or systemd's credentials."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cockpit.settings.values import Origin, SettingsError

FORMS = ("_file", "_env", "_credential")
"""What may be added to a secret option's name to say where its value stands."""
OF_THE_DAEMON = Path("/run/credentials/cockpit.service")
"""What systemd hands the daemon lies here while that runs; its account may read it, and so may a screen beside it."""
LONGEST = 65536
"""Bytes a secret may have."""


def fetch(form: str, where: str, origin: Origin) -> str:
    """The secret that stands in a file, a variable or a systemd credential of that name.

    Raises SettingsError when it is missing, empty, or can be read by others.
    """
    if form == "_env":
        secret = os.environ.get(where, "")
        if not secret:
            raise SettingsError(f"{origin}: the environment has no ${where}.", "Set it, or name a file instead.")
        return secret
    if form == "_credential":
        return _content(_credential(where, origin), origin)
    beside = origin.file.parent if origin.file else Path()
    file = beside / Path(where).expanduser()
    refuse_readable(file, "it is a secret")
    return _content(file, origin)


def refuse_readable(file: Path, why: str) -> None:
    """Raise SettingsError with the command to type when others can read a file, or a stranger owns it."""
    try:
        found = file.stat()
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {error.strerror}.", "Check the path, its owner and mode."
        ) from None
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise SettingsError(f"{file} can be read by others, and {why}.", f"Type: chmod 600 '{file}'")
    if found.st_uid not in (0, os.geteuid()):
        raise SettingsError(
            f"{file} belongs to another account, and {why}.", f"Type: sudo chown {os.geteuid()} '{file}'"
        )


def _credential(name: str, origin: Origin) -> Path:
    named = os.environ.get("CREDENTIALS_DIRECTORY")
    folder = Path(named) if named else OF_THE_DAEMON
    if not named and not os.access(folder, os.X_OK):
        raise SettingsError(
            f"{origin}: systemd gave this process no credentials.",
            f"Add LoadCredential={name}:… to the unit; beside the daemon, be of its account. Or name a file.",
        )
    if "/" in name or name in ("", ".", ".."):
        raise SettingsError(f"{origin}: '{name}' is no name of a credential.", "Write its name, without a path.")
    return folder / name


def _content(file: Path, origin: Origin) -> str:
    if file.exists() and not file.is_file():
        raise SettingsError(f"{origin}: {file} is no regular file.", "Name the file that holds the secret.")
    try:
        with file.open("rb") as source:
            secret = source.read(LONGEST + 1)
    except OSError as error:
        raise SettingsError(
            f"{origin}: {file} cannot be read: {error.strerror}.", "Check the path, its owner and mode."
        ) from None
    text = secret.decode(errors="replace").rstrip("\r\n")
    if not text or len(secret) > LONGEST or "\ufffd" in text:
        raise SettingsError(
            f"{origin}: {file} holds no secret that could be used.", "Write just the secret into it, as text."
        )
    return text
