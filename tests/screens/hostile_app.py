"""Runs the app on a terminal over a store full of hostile text, visits every view, clicks everywhere, and leaves.

python -m tests.screens.hostile_app FOLDER [--without-gates]
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from cockpit.app import CockpitApp
from cockpit.model import Alert, Call, Change, Finding, Health, IncidentStatus, Level, Plan, Severity
from cockpit.model.inquiries import CallOutcome, InquiryState
from cockpit.screens.desk import Desk
from cockpit.store.reader import Reader
from tests.corpus import hostile
from tests.screens import asked as a
from tests.screens import world as w
from tests.screens.recorder import Recorder


def fill(world: w.World) -> None:
    """Put every hostile text where a stranger's text may come to stand."""
    texts = hostile()
    world.watch()
    for service, text in zip(w.SERVICES, texts, strict=False):
        world.store.record_health(service.name, Health(Level.DEGRADED, text, {"a": 1.0}, 0.1), w.NOW - 1)
    for number, text in enumerate(texts):
        world.store.note("monitor", "note", text, service="redis/main")
        if number % 10 == 0:
            incident(world, number, texts)


def incident(world: w.World, number: int, texts: list[str]) -> None:
    """One incident whose every field is hostile."""
    text = texts[number]
    service = w.SERVICES[number // 10 % len(w.SERVICES)].name
    alert = Alert(f"f{number}", service, f"n{number}", Severity.WARNING, text, w.NOW)
    (opened,) = world.store.ingest_alerts([alert])
    call = Call("check_redis_clients", service, {"what": text})
    world.store.record_run(opened, call, Finding(text, {"found": text}), "", w.NOW, 0.1)
    rivals = [{"cause": text, "ruled_out": True, "reading": text}]
    data = {"runbook": text, "confidence": 0.9, "evidence": [], "advice": text, "rivals": rivals}
    world.store.note("analyst", "diagnosis", text, incident=opened, service=service, data=data)
    plan = Plan(text, tuple(change(service, each) for each in texts[number : number + 10]), text)
    world.propose(opened, call, plan, w.Approval.HARD, text, policy=text)
    world.store.advance(opened, IncidentStatus.WAITING, actor="healer", text=text, cause=text)
    inquiries(world, opened, text)
    inquiries(world, None, text)


def inquiries(world: w.World, incident: int | None, text: str) -> None:
    """An inquiry that runs and one that was answered, with this text wherever a model or who asks it may write."""
    log = world.store.inquiries
    running, answered = (log.ask(incident, text, each, text, estimate=None, wait=False).id for each in ("", text))
    for each in (running, answered):
        assert log.begin(each)
        a.call(world, each, "mini", CallOutcome.REFUSED, error=text)
        log.chose(each, Call("check_redis_clients", text, {"what": text}), text)
    log.progress(running, text)
    log.finish(answered, InquiryState.INCONCLUSIVE, text, a.answer_full_of(text))


def change(service: str, text: str) -> Change:
    """A change whose every field is hostile."""
    return Change(
        service=service,
        item="redis-setting",
        key=text,
        before=text,
        after={text[:50]: text},
        steps=(text, text),
        verification=text,
        undo=text,
        why=text,
        observed={text[:50]: text},
    )


async def visit(pilot: Any) -> None:
    """Every view from top to bottom, with clicks all over it, then the end."""
    app = pilot.app
    while app.desk.models is None:
        await pilot.pause(0.05)
    for key in "16" if "--without-gates" in sys.argv else "1234567":
        await pilot.press(key)
        await pilot.pause(0.2)
        for pane in range(len(app.screen.focus_chain)):
            await pilot.press("tab", "pagedown", "G", "j", "g")
            await pilot.click(offset=(3 + pane * 30, 8))
        for y in range(3, 38, 11):
            for x in range(3, 118, 40):
                await pilot.click(offset=(x, y))
    for number, text in enumerate(hostile()):
        if number % 40 == 0:
            app.notify(text, markup=False, timeout=0.2)
            await pilot.pause(0.05)
    await pilot.press("question_mark")
    await pilot.pause(0.3)
    await pilot.press("escape", "7", "G", "enter")
    await pilot.pause(0.5)
    app.exit()


def main() -> None:
    """Fill a store, run the app over it, and say whether it ended as it should."""
    folder = Path(sys.argv[1])
    world = w.build(folder, fill)
    world.store.close()
    engine = Recorder(world, models=a.MODELS)
    app = CockpitApp(Desk(Reader(folder / "cockpit.db"), world.clock), lambda: engine)  # type: ignore[arg-type, return-value]  # records what the screen asks of an engine
    ran: list[str] = []
    app.action_forged = lambda *given: ran.append("forged")  # type: ignore[attr-defined]  # what an attack would call
    if "--without-gates" in sys.argv:
        import widgets.line

        app._filters.pop()
        widgets.line.clean = lambda text, *, lines=False: text  # type: ignore[assignment]  # the broken twin
    try:
        asyncio.run(app.run_async(auto_pilot=visit))
    finally:
        engine.stop()
        app.desk.reader.close()
    print("ended well" if app.return_code == 0 and not ran else f"ended with {app.return_code}, ran {ran}")


if __name__ == "__main__":
    main()
