"""The yardstick: a bare aiohttp server that commits what it is sent in groups and checks nothing."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys

from aiohttp import web


class Bare:
    def __init__(self, path: str) -> None:
        self._log = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._log.execute("pragma journal_mode = wal")
        self._log.execute("pragma synchronous = full")
        self._log.execute("create table post (id integer primary key, fingerprint text, body text)")
        self._waiting: list[tuple[str, str, asyncio.Future[None]]] = []
        self._news = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.text()
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((json.loads(body)["alerts"][0]["fingerprint"], body, done))
        self._news.set()
        await done
        return web.json_response({"accepted": 1})

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._commit, batch)
            for _, _, done in batch:
                done.set_result(None)

    def _commit(self, batch: list[tuple[str, str, asyncio.Future[None]]]) -> None:
        self._log.execute("begin immediate")
        self._log.executemany("insert into post (fingerprint, body) values (?, ?)", [each[:2] for each in batch])
        self._log.execute("commit")


async def main() -> None:
    bare = Bare(sys.argv[1])
    app = web.Application()
    app.router.add_post("/api/v1/alerts", bare.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await bare.run()


if __name__ == "__main__":
    asyncio.run(main())
