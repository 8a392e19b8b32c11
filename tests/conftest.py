"""What holds for every test."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in whatever a script starts in the background; processes that tests start and interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
