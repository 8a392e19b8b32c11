"""Calls a server through litellm alone, and prints the milliseconds of a quick call, to hold our own share against."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from tests.benchmarks.report import percentile

QUICK = 0.1
"""The share of calls that are quicker: what else runs on the machine then counts for little."""


async def main(url: str, calls: int) -> None:
    os.environ.update({"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"})
    import litellm

    request = json.load(sys.stdin)
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        answer = await litellm.acompletion(
            **request, api_key="none", base_url=url, stream=True, stream_options={"include_usage": True}, max_retries=0
        )
        async for _ in answer:
            pass
        seconds.append(time.perf_counter() - began)
    print(percentile(seconds, QUICK) * 1e3)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
