"""An engine on a world that counts its effects, a chat over a Bot API server, and operators in it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cockpit.engine import Engine
from cockpit.model import Call, Proposal, ProposalState, Service
from cockpit.serve.telegram import serve
from cockpit.serve.telegram.pace import Pace
from cockpit.settings import PolicySettings, Settings
from cockpit.settings.daemon import Operator, Right, TelegramSettings, WebhookSettings
from cockpit.settings.tables import Secret
from cockpit.settings.values import Origin
from cockpit.text import Redactor
from tests.faults import world
from tests.integration.test_incident import RUNBOOK
from tests.telegram.bot_api import TOKEN, BotApi, Shown

ADA, BOB, EVE, MALLORY = 1001, 1002, 1003, 6666
"""Ada may do everything, Bob approve what is not critical, Eve only look; Mallory is nobody."""
FAST = Pace(hold=1.0, gather=0.4, settle=0.05, look=0.02, private=0.0, group=0.0, poll=5.0, timeout=3.0,
            longest_pause=0.2, head=3600.0, check=0.2, type_name=20.0)  # fmt: skip
PUBLIC = "https://ops.example.net/telegram"
"""The public address of a webhook; the Bot API server has to be told where it leads to."""
USERS = (
    Operator(ADA, "Ada", frozenset(Right)),
    Operator(BOB, "Bob", frozenset({Right.SEE, Right.APPROVE})),
    Operator(EVE, "Eve", frozenset({Right.SEE})),
)


@contextlib.contextmanager
def scenes(folder: Path, *, faultless: bool) -> Iterator[Callable[..., Scene]]:
    """Makes scenes, and stops them in the end; in a faultless one no request may have been refused."""
    made: list[Scene] = []

    def make(**more: Any) -> Scene:
        made.append(Scene(folder, **more))
        return made[-1]

    yield make
    for scene in made:
        scene.stop()
        assert not faultless or scene.api.problems == []


class Scene:
    """Everything that runs, in a thread of its own; a restart keeps the log and the world."""

    def __init__(
        self, tmp_path: Path, *, critical: bool = False, policy: dict[str, Any] | None = None, pace: Pace = FAST,
        redactor: Redactor | None = None, users: tuple[Operator, ...] = USERS, **telegram: Any,
    ) -> None:  # fmt: skip
        self.folder, self.data = tmp_path / "world", tmp_path / "data"
        for folder in (self.folder, self.data, tmp_path / "runbooks"):
            folder.mkdir(exist_ok=True, mode=0o700)
        (tmp_path / "runbooks" / "world.yaml").write_text(RUNBOOK)
        (self.folder / "value-a").write_text("old")
        (self.folder / "identity-a").write_text("one")
        chat = int(telegram.pop("chat", -77))
        self.api = BotApi(chat)
        self.api.start()
        origin = Origin("the test")
        self.telegram = TelegramSettings(
            Secret("telegram.token", "", TOKEN, origin), chat, users, self.api.url,
            **{"storm_per_minute": 1000, **telegram},
        )  # fmt: skip
        service: Service = replace(world.service(self.folder), critical=critical)
        self.settings = Settings(
            data_folder=self.data, services=(service,), policy=PolicySettings(**(policy or {})),
            runbook_folder=tmp_path / "runbooks", operator="tester", telegram=self.telegram,
        )  # fmt: skip
        self.redactor = redactor or Redactor()
        self.pace = pace
        self.engine: Engine
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.error: BaseException | None = None
        self._pressed: set[tuple[int, str]] = set()

    def lead_through(self, port: int) -> None:
        """Reach the Bot API server over another port from the next start on."""
        self.telegram = replace(self.telegram, base_url=f"http://127.0.0.1:{port}")
        self.settings = replace(self.settings, telegram=self.telegram)

    def with_webhook(self, webhook: WebhookSettings | None) -> TelegramSettings:
        """Have updates brought there from the next start on, or asked for."""
        telegram = replace(self.telegram, webhook=webhook)
        self.settings = replace(self.settings, telegram=telegram)
        return telegram

    def start(self, *, agent: bool = True) -> Scene:
        """Run the engine's agent, if wanted, with Telegram beside it."""
        self.engine = Engine(self.settings, world.registry(), self.redactor)
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready, agent)), daemon=True)
        self._thread.start()
        assert ready.wait(60)
        return self

    async def _run(self, ready: threading.Event, agent: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._serve(agent))
        ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _serve(self, agent: bool) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                if agent:
                    group.create_task(self.engine.run())
                group.create_task(serve(self.engine, self.settings, self.pace))
        except BaseExceptionGroup as error:
            self.error = error
            raise

    def end(self) -> None:
        """End engine and Telegram as the daemon does; the server goes on."""
        if self._loop is not None and self._task is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(60)
            assert not self._thread.is_alive()
            self.engine.close()
        self._loop = None

    def stop(self) -> None:
        self.end()
        self.api.stop()
        assert self.error is None, self.error

    def until(self, what: Callable[[], Any], within: float = 60.0) -> Any:
        """Wait for something to be there; returns it."""
        deadline = time.monotonic() + within
        while not (found := what()):
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.01)
        return found

    def told(self) -> str:
        """What stands in the chat and in the log, for a failure's message."""
        chat = [f"{shown.text[:900]!r} {shown.labels()}" for shown in self.api.all()][-12:]
        log = [f"{event.kind}: {event.text[:200]}" for event in self.engine.reader.events(before=2**62, limit=20)]
        refused = str(self.engine.store.telegram.refusals())
        return "\n".join([*chat, *log, *self.api.problems, refused])

    # what happens

    def trouble(self) -> None:
        (self.folder / "trouble").touch()

    def ask(self, to: str = "new", tool: str = "set_world_value") -> Proposal:
        """Propose something in an operator's name."""
        arguments = {"key": "a", "to": to} if tool == "set_world_value" else {"key": "a"}
        return asyncio.run(self.engine.propose(Call(tool, "world/one", arguments), "because"))

    def question(self, label: str = "Approve") -> Shown:
        """The newest message that has such a button."""
        found: Shown = self.until(lambda: next((m for m in reversed(self.api.all()) if label in m.labels()), None))
        return found

    def press(self, user: int, label: str, shown: Shown | None = None) -> str:
        """Press a button that was not pressed before: after each press it comes anew."""
        shown = shown or self.question(label)
        self.until(lambda: label in shown.labels() and (user, shown.token(label)) not in self._pressed)
        token = shown.token(label)
        self._pressed.add((user, token))
        return self.api.press(user, shown.id, token)

    def state(self, proposal: int = 1) -> ProposalState:
        return self.engine.reader.proposal(proposal).state

    def effects(self) -> list[str]:
        file = self.folder / "effects"
        return file.read_text().splitlines() if file.exists() else []

    def handled(self) -> None:
        """Wait until every update that was sent was taken in."""
        self.until(lambda: self.api.left() == 0 or self._all_seen())

    def _all_seen(self) -> bool:
        with self.api._changed:
            waiting = [each["update_id"] for each in self.api._updates]
        seen = {row["id"] for row in self.engine.reader.rows("select id from telegram_update")}
        return set(waiting) <= seen
