"""Where the files that are not code lie: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from cockpit.model import CockpitError

PLACES = (Path(__file__).parent / "_data", Path(__file__).parent.parent / "data")


def data_file(name: str) -> Path:
    """The path of a data file or folder, such as `runbooks` or `migrations`. Raises CockpitError when it is missing."""
    for place in PLACES:
        if (place / name).exists():
            return place / name
    raise CockpitError(f"The installation lacks its data file '{name}'.", "Install cockpit again.")
