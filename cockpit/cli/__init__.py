"""The command line; nothing but arguments in and exit codes out."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process, and leave with its exit status."""
    if sys.argv[1:] in (["--version"], ["version"]):
        from cockpit import __version__

        sys.stdout.write(f"cockpit {__version__}\n")
        return
    from cockpit.cli.program import run

    sys.exit(run(sys.argv[1:]))
