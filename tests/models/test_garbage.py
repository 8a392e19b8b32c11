"""Whatever a model or its server answers, it comes out as a sound answer, or as the reason why there is none."""

from __future__ import annotations

import pytest

from cockpit.llm.conversation import Reply
from cockpit.llm.models import NoModel
from cockpit.text import clean
from tests.models.conftest import LOOK, Desk, model, prompt
from tests.models.garbage import replies
from tests.models.script import Says, Step
from tests.models.scripted import Scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_three_hundred_replies_of_garbage_crash_nothing(desk: Desk) -> None:
    found = list(replies())
    assert len(found) == 300
    await desk.worker.warm()
    before = desk.worker.pid
    with Scripted([]) as server:
        for number, (name, step) in enumerate(found):
            await check(desk, server, name, step, in_json=number % 2 == 0)
    assert desk.worker.pid == before
    assert len(desk.calls) == 300 and desk.store.check() == []
    with Scripted([Says("Here.")]) as server:
        assert (await desk.ask(desk.models(model("mini", server)))).text == "Here."


async def check(desk: Desk, server: Scripted, name: str, step: Step, *, in_json: bool) -> None:
    heard: list[str] = []
    server.play([step])
    asked = prompt("Why?", offers=(LOOK,), **({"type": "object"} if in_json else {}))
    try:
        reply = await desk.ask(desk.models(model("mini", server)), asked, heard=heard.append)
    except NoModel as error:
        assert len(str(error)) < 1500, name
    else:
        sound(reply, name)
    assert all(text == clean(text, lines=True) and len(text) <= 60_000 for text in heard), name
    assert desk.calls[-1].dollars < 1 and desk.calls[-1].dollars >= 0, name


def sound(reply: Reply, name: str) -> None:
    assert reply.text or reply.wanted, name
    assert reply.text == clean(reply.text, lines=True) and len(reply.text) <= 60_000, name
    ids = [wanted.id for wanted in reply.wanted]
    assert len(set(ids)) == len(ids) and all(ids), name
    for wanted in reply.wanted:
        assert wanted.name.isascii() and 0 < len(wanted.name) <= 64, name
        assert isinstance(wanted.arguments, dict) and len(wanted.malformed) <= 200, name
        assert not (wanted.malformed and wanted.arguments), name
