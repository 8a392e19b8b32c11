"""What a crash leaves: one sentence on the terminal, and the traceback in a file, cleaned and redacted."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from pathlib import Path
from types import TracebackType

from cockpit.cli import exits
from cockpit.text import Redactor, clean

redactor = Redactor()
"""Knows every secret that this process has loaded."""


def install() -> None:
    """Let no traceback reach the terminal, from whichever thread or finaliser it comes."""
    sys.excepthook = _tell
    threading.excepthook = lambda hook: _tell(hook.exc_type, hook.exc_value, hook.exc_traceback)
    sys.unraisablehook = lambda hook: _tell(hook.exc_type, hook.exc_value, hook.exc_traceback)


def report(error: BaseException) -> int:
    """Write the crash down, tell where, and return the exit status."""
    _tell(type(error), error, error.__traceback__)
    return exits.FAILED


def log_file() -> Path:
    """Where a crash of now is written: systemd's log folder, else the XDG state folder."""
    folder = os.environ.get("LOGS_DIRECTORY", "").partition(":")[0]
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "cockpit"
    return (Path(folder) if folder else home) / time.strftime(f"crash-%Y%m%d-%H%M%S-{os.getpid()}.log")


def _tell(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    text = clean(redactor.redact("".join(traceback.format_exception(kind, error, trace))), lines=True)
    try:
        where = f"The details are in {_written(text)}."
    except OSError as failure:
        where = f"The details could not be written ({failure.strerror})."
    sys.stderr.write(f"cockpit met an error of its own ({kind.__name__}). {clean(where)}\n")


def _written(text: str) -> Path:
    file = log_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"cockpit {' '.join(sys.argv[1:2])}\n{text}\n")
    return file
