"""The operator's terminal, which may go away at any moment without a word."""

from __future__ import annotations

import codecs
import errno
import os
import selectors
import sys
import termios
from typing import TYPE_CHECKING

from textual.constants import ESCAPE_DELAY
from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.app import App

READ = 4096
"""Bytes that are read at once."""


class Terminal(LinuxDriver):
    """Textual's way with a terminal, that sleeps while nothing is typed, and resumes only what was suspended.

    A terminal that hangs up sends SIGCONT as well as SIGHUP. Textual would begin to read it once more then, in a
    thread that nobody ends, and the process would spin on a dead terminal for ever.
    """

    def __init__(
        self, app: App[None], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._ending, self._end = os.pipe()

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

    def disable_input(self) -> None:
        """Read no more."""
        if self._key_thread is not None and self._key_thread.is_alive():
            os.write(self._end, b".")
        super().disable_input()

    def run_input_thread(self) -> None:
        """Read what is typed, until the input is disabled.

        Textual's own loop looks ten times a second whether it is, and wakes an idle processor each time.
        """
        from textual._xterm_parser import XTermParser  # as Textual does, when a terminal is there

        parser = XTermParser(self._debug)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        wait: float | None = None
        with selectors.SelectSelector() as selector:
            for each in (self.fileno, self._ending):
                selector.register(each, selectors.EVENT_READ)
            while self._ending not in (ready := [key.fd for key, _ in selector.select(wait)]):
                typed = self._read() if ready else b""
                if ready and not typed:
                    selector.unregister(self.fileno)  # it hung up
                text = decoder.decode(typed)
                for event in (*(parser.feed(text) if text else ()), *parser.tick()):
                    self.process_message(event)
                wait = ESCAPE_DELAY if typed else None  # then an escape that nothing follows is the key of that name
        os.read(self._ending, 1)

    def _read(self) -> bytes:
        try:
            return os.read(self.fileno, READ)
        except OSError:
            return b""


def gone() -> bool:
    """Whether the terminal hung up without a signal reaching us, as when its window or its SSH connection dies.

    Nothing would end the process then, and the agent would hold the store's lock unseen.
    """
    try:
        termios.tcgetattr(sys.__stdin__)  # type: ignore[arg-type]  # None, without a terminal, is a TypeError
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    except (TypeError, ValueError, OSError):
        return False
    return False
