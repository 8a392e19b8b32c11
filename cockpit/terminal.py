"""The operator's terminal, which may go away at any moment without a word."""

from __future__ import annotations

import errno
import sys
import termios

from textual.drivers.linux_driver import LinuxDriver


class Terminal(LinuxDriver):
    """Textual's way with a terminal, resumed only after it was suspended.

    A terminal that hangs up sends SIGCONT as well as SIGHUP. Textual would begin to read it once more then, in a
    thread that nobody ends, and the process would spin on a dead terminal for ever.
    """

    _suspended = False

    def suspend_application_mode(self) -> None:
        """Give the terminal back, as for ctrl+z."""
        self._suspended = True
        super().suspend_application_mode()

    def resume_application_mode(self) -> None:
        """Take the terminal again that was given back."""
        if self._suspended:
            self._suspended = False
            super().resume_application_mode()


def gone() -> bool:
    """Whether the terminal hung up without a signal reaching us, as when its window or its SSH connection dies.

    Textual goes on reading from it then, on a whole core, while the agent holds the store's lock unseen.
    """
    try:
        termios.tcgetattr(sys.__stdin__)  # type: ignore[arg-type]  # None, without a terminal, is a TypeError
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    except (TypeError, ValueError, OSError):
        return False
    return False
