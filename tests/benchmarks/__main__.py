"""Run every benchmark, or those named: `python -m tests.benchmarks [daemon] [http] [steady] [start] …`."""

from __future__ import annotations

import importlib
import sys

ALL = ("daemon", "http", "steady", "start", "screen", "store", "incidents", "scrape", "models", "investigations")


def main() -> None:
    for name in sys.argv[1:] or ALL:
        print(f"{name}:")
        importlib.import_module(f"tests.benchmarks.bench_{name}").main()


if __name__ == "__main__":
    main()
