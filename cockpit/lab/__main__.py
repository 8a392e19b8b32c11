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
    if given.verb in ("stop", "status"):
        return _without_catalogue(Lab(given.folder, ()), given.name, given.verb)
    return _with_catalogue(given.folder, given.name, given.verb)


def _without_catalogue(lab: Lab, name: str, verb: str) -> int:
    # Status is asked every few seconds: it must not load every server's module.
    if verb == "stop":
        asyncio.run(lab.stop(name))
        return _tell(f"{name} is stopped", 0)
    pid = lab.pid(name)
    return _tell(f"{name} runs as process {pid}", 0) if pid else _tell(f"{name} is stopped", STOPPED)


def _with_catalogue(folder: Path, name: str, verb: str) -> int:
    from cockpit.lab.catalogue import servers

    lab = Lab(folder, servers())
    if name not in lab.servers:
        return _tell(f"The lab has no server '{name}'.", 1)
    try:
        asyncio.run(lab.start(name) if verb == "start" else lab.restart(name))
    except CockpitError as error:
        return _tell(str(error), 1)
    return _tell(f"{name} runs as process {lab.pid(name)}", 0)


def _tell(text: str, status: int) -> int:
    sys.stdout.write(text + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
