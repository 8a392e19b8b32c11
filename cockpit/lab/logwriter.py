"""The lab's application that writes a log: `python -m cockpit.lab.logwriter FOLDER QUOTA_BYTES`.

It writes a line twice a second. While a file `debug` lies beside its pid file it has debug
logging on: it fills its folder up to the quota at once, and goes on slowly from then on
whenever there is room. The quota is its own, so that the machine's disk never fills.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path

CHUNK = 256
"""Debug lines written at once while it fills the folder."""


def used(folder: Path) -> int:
    """The bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def write(folder: Path, home: Path, quota: int) -> None:
    """Write the log for ever.

    Args:
        folder: where the log stands.
        home: where the pid file and the `debug` switch are.
        quota: bytes that the folder may hold.
    """
    (home / "app.pid").write_text(f"{os.getpid()}\n")
    burst = True
    for number in itertools.count():
        debug = (home / "debug").exists()
        lines = b"".join(_line(number * CHUNK + one, debug) for one in range(CHUNK if debug and burst else 1))
        if used(folder) + len(lines) > quota:
            burst = False
            sys.stderr.write("app.log: No space left on device\n")
        else:
            with (folder / "app.log").open("ab") as log:
                log.write(lines)
        burst = burst or not debug
        if not (debug and burst):
            time.sleep(0.5)


def _line(number: int, debug: bool) -> bytes:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if debug:
        return f"{stamp} DEBUG cart {number * 2654435761 % 2**32:08x} priced in 3 ms, stock 17, session kept\n".encode()
    return f"{stamp} INFO order {number} shipped\n".encode()


if __name__ == "__main__":
    write(Path(sys.argv[1]) / "disk", Path(sys.argv[1]) / "app", int(sys.argv[2]))
