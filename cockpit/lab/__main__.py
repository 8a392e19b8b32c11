"""The lab's door for other processes: `python -m cockpit.lab control FOLDER NAME start|stop|restart|status`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from cockpit.lab.lab import Lab
from cockpit.model import CockpitError

STOPPED = 3
"""The exit status of `status` when it does not run, as init scripts have it."""


def main(argv: list[str]) -> int:
    """Carry out one service control command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m cockpit.lab")
    parser.add_argument("door", choices=("control",))
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("verb", choices=("start", "stop", "restart", "status"))
    given = parser.parse_args(argv)
    if not given.folder.is_dir():
        return _tell(f"There is no lab in {given.folder}.", 1)
    try:
        return asyncio.run(_control(given.folder, given.name, given.verb))
    except CockpitError as error:
        return _tell(str(error), 1)


async def _control(folder: Path, name: str, verb: str) -> int:
    # Status is asked every few seconds: it must not load any server's module.
    lab = Lab(folder, ()) if verb in ("stop", "status") else Lab.with_server(folder, name)
    if verb == "start":
        await lab.start(name)
    elif verb == "stop":
        await lab.stop(name)
    elif verb == "restart":
        await lab.restart(name)
    pid = lab.pid(name)
    if pid is None:
        return _tell(f"{name} is stopped", STOPPED if verb == "status" else 0)
    return _tell(f"{name} runs as process {pid}", 0)


def _tell(text: str, status: int) -> int:
    sys.stdout.write(text + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
