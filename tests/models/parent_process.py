"""A process that asks a model and waits, for a test that kills it: prints its worker's id and what it loaded."""

from __future__ import annotations

import asyncio
import sys

from cockpit.llm.process import Worker


async def main(url: str, key: str) -> None:
    worker = Worker(idle=600)
    await worker.warm()
    print(worker.pid, *sorted({name.partition(".")[0] for name in sys.modules}), flush=True)
    request = {"model": "openai/small", "messages": [{"role": "user", "content": "Why?"}]}
    await worker.ask({"request": request, "api_key": key, "base_url": url}, 600.0, lambda text: None)


asyncio.run(main(*sys.argv[1:]))
