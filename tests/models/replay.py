"""Replay recorded investigations and print what differs: `python -m tests.models.replay [--accept] [NAME …]`.

With `--record FOLDER INQUIRY NAME` a recording is made of an inquiry in the log of that folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path
from typing import Any

from cockpit.llm.process import Worker
from cockpit.store.reader import Reader
from tests.models.recording import FOLDER, record, replay


def main(argv: list[str]) -> int:
    """Replay, record or accept; returns 1 when something differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.models.replay")
    parser.add_argument("names", nargs="*", help="recordings; all of them by default")
    parser.add_argument("--accept", action="store_true", help="take what they come to now as what is expected")
    parser.add_argument("--record", nargs=3, metavar=("FOLDER", "INQUIRY", "NAME"))
    given = parser.parse_args(argv)
    if given.record:
        folder, inquiry, name = given.record
        with Reader(Path(folder) / "cockpit.db") as reader:
            save(name, record(reader, int(inquiry), name))
        given.names, given.accept = [name], True
    return asyncio.run(_replayed(given.names or [file.stem for file in sorted(FOLDER.glob("*.json"))], given.accept))


async def _replayed(names: list[str], accept: bool) -> int:
    worker, differing = Worker(600.0), 0
    try:
        for name in names:
            recording = load(name)
            found = await replay(recording, worker)
            if accept:
                save(name, {**recording, "expected": found})
                continue
            lines = list(differences(recording["expected"], found))
            differing += bool(lines)
            print(
                f"{name}: {'differs' if lines else 'the same'}, {found['first_prompt_tokens']} tokens, {found['state']}"
            )
            print("\n".join(lines), end="\n" if lines else "")
    finally:
        await worker.close()
    return int(differing > 0)


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """What is said, asked and concluded otherwise than it was."""
    for name in expected:
        before, after = (_lines(side.get(name)) for side in (expected, found))
        yield from unified_diff(before, after, f"{name} as recorded", f"{name} now", lineterm="", n=1)


def load(name: str) -> dict[str, Any]:
    """A recording by its name."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def save(name: str, recording: Mapping[str, Any]) -> None:
    """Write a recording."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(recording, indent=1, ensure_ascii=False) + "\n")


def _lines(value: Any) -> list[str]:
    if isinstance(value, list):
        return [line for each in value for line in str(each).splitlines()]
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True).splitlines()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
