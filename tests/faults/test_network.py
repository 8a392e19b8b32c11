"""A network that cuts, delays and reorders, between cockpit and those who report to it, and between it and Telegram."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import httpx

from cockpit.model import Proposal, ProposalState
from tests.faults.proxy import Proxy
from tests.integration.http_world import alert, cockpit, webhook
from tests.telegram.bot_api import Shown
from tests.telegram.scene import ADA, Scene

POSTS, AT_ONCE = 300, 16


async def test_every_alert_that_was_answered_is_there_once_however_the_network_behaves(tmp_path: Path) -> None:
    async with cockpit(tmp_path, agent=False) as running:
        with Proxy(running.server.port, seed=10, cuts=0.12, delays=0.3) as proxy:
            tries = await posted(proxy, running.as_("ada"))
        store = running.engine.store
        names = Counter(raised.alert.name for raised in store.reader.alerts())
        assert names == Counter({f"Net{number}": 1 for number in range(POSTS)})
        assert store.check() == []
        repeated = sum(raised.times for raised in store.reader.alerts())
        assert POSTS <= repeated <= sum(tries)
        assert (await running.get("/-/healthy")).status_code == 200
    assert proxy.done["cut"] > POSTS // 20 and proxy.done["delayed"] > POSTS // 5, proxy.done
    assert sum(tries) > POSTS, "some had to be sent again"


async def posted(proxy: Proxy, headers: dict[str, str]) -> list[int]:
    """Post alerts until each is answered 200; how often each was sent."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def post(client: httpx.AsyncClient, number: int) -> int:
        content = webhook(alert(f"Net{number}", instance=f"host{number}"))
        async with turns:
            for attempt in range(1, 100):
                try:
                    answer = await client.post("/api/v1/alerts", json=content)
                except httpx.HTTPError:
                    continue
                if answer.status_code == 200:
                    return attempt
        raise AssertionError(f"alert {number} was never taken")

    address = f"http://127.0.0.1:{proxy.port}"
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=10) as client:
        return await asyncio.gather(*(post(client, number) for number in range(POSTS)))


def test_over_such_a_network_each_question_comes_and_each_decision_counts_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    try:
        with Proxy(scene.api.port, seed=11, cuts=0.08, delays=0.3) as proxy:
            scene.lead_through(proxy.port)
            scene.start()
            for number in range(12):
                proposal = scene.ask(f"value{number:02}")
                scene.press(ADA, "Approve", question(scene, proposal))
                scene.until(lambda p=proposal: scene.state(p.id) is ProposalState.DONE, within=60)
            assert proxy.done["cut"] > 3 and proxy.done["delayed"] > 10, proxy.done
            scene.end()
    finally:
        scene.stop()
    assert scene.effects() == [f"set a value{number:02}" for number in range(12)]
    copies = Counter(shown.versions[0].partition("\n")[0] for shown in scene.api.all("Set a to value"))
    assert max(copies.values()) <= 2, copies


def question(scene: Scene, proposal: Proposal) -> Shown:
    """A proposal's message; where the network swallowed it twice, a person asks for it."""

    def asked() -> Shown | None:
        return next((m for m in scene.api.all(proposal.plan.summary) if "Approve" in m.labels()), None)

    told = f"The message about proposal:{proposal.id} may not have arrived"
    scene.until(lambda: asked() or scene.api.find(told))
    if not asked():
        scene.api.say(ADA, "/status")
    found: Shown = scene.until(asked)
    return found


async def test_a_peer_that_takes_a_connection_and_says_nothing_holds_up_no_other(tmp_path: Path) -> None:
    async with cockpit(tmp_path, agent=False) as running:
        silent = [await asyncio.open_connection("127.0.0.1", running.server.port) for _ in range(50)]
        began = time.monotonic()
        assert (await running.post(webhook(alert()))).status_code == 200
        assert time.monotonic() - began < 5.0
        for _, writer in silent:
            writer.close()
