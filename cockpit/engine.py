"""The one place where the parts are put together, for the screen, the daemon, the command line and the tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from cockpit.agent.analyst import Analyst
from cockpit.agent.healer import Healer
from cockpit.agent.heartbeats import Heartbeats
from cockpit.agent.loop import Agent
from cockpit.agent.monitor import Monitor
from cockpit.agent.runbooks import Library, load
from cockpit.agent.silences import Silences
from cockpit.files import data_file
from cockpit.lock import take
from cockpit.model import (
    Call,
    CockpitError,
    Decision,
    Finding,
    Plan,
    Proposal,
    Service,
    ServiceError,
    Verdict,
)
from cockpit.safety.deadlines import Deadlines
from cockpit.safety.executor import Executor
from cockpit.settings import Settings
from cockpit.store.connection import StoreError
from cockpit.store.reader import Reader
from cockpit.store.store import Store
from cockpit.text import Redactor
from cockpit.toolkit import Registry, inspect, plan

if TYPE_CHECKING:
    from cockpit.agent.asking import Asking
    from cockpit.lab.menu import Faults
    from cockpit.llm.models import Models
    from cockpit.model.inquiries import Inquiry

AGAIN_AFTER = 2.0
"""Seconds after which the agent begins again when the store refused it."""


class Engine:
    """Everything an operator can see and ask for, on one store.

    One engine acts on a store at a time: the one that holds its lock runs the agent. Any
    other is attached: it shows the same and may decide, and the agent carries it out.

    Args:
        settings: what the operator configured, with every service's options in place.
        registry: the kinds of service and their tools.
        redactor: takes secrets out of all that is stored.
        lab: the faults of the demo's lab.
        act: whether to run the agent where nobody else does.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        redactor: Redactor,
        *,
        lab: Faults | None = None,
        act: bool = True,
    ) -> None:
        self.lab = lab
        self.store = Store.open(settings.data_folder / "cockpit.db", scrub=redactor.scrub, anchors=settings.anchors)
        self._lock = take(settings) if act else None
        self._trouble = (0.0, "")
        self._stop: Callable[[], object] | None = None
        self._stopped = threading.Event()
        self._running: Agent | None = None
        self._deadlines = Deadlines()
        self._redactor = redactor
        self._arrange(settings, registry, _library(settings, registry))

    def _arrange(self, settings: Settings, registry: Registry, library: Library) -> None:
        self.settings = settings
        self.registry = registry
        self.library = library
        self.operator = settings.operator
        self.services: dict[str, Service] = {service.name: service for service in settings.services}
        self.silences = Silences(self.store, self.services, settings.maintenance)
        self.executor = Executor(
            settings.policy, registry, self.store, self.services, self._deadlines, muted=self.silences.why
        )
        unasked = settings.models.unasked if settings.models else ()
        self.healer = Healer(registry, self.store, self.services, self.executor, unasked=unasked)
        if self.acts:
            self.store.watch(settings.services)

    def reload(self, settings: Settings, registry: Registry) -> None:
        """Go on with other settings and the runbooks as they are now; only while `run` does not run.

        Raises CockpitError, with everything as it was, when a runbook is wrong or the log would lie elsewhere.
        """
        library = _library(settings, registry)
        if library.broken:
            raise CockpitError(f"A runbook is wrong: {library.broken[0]}", "Correct it, then reload again.")
        kept = self.settings.data_folder, self.settings.anchors
        if (settings.data_folder, settings.anchors) != kept:
            raise CockpitError("The log's folder or its anchors were changed.", "Start cockpit again for that.")
        self._arrange(settings, registry, library)

    @property
    def reader(self) -> Reader:
        """The store, read-only."""
        return self.store.reader

    @property
    def acts(self) -> bool:
        """Whether this engine runs the agent; otherwise another process does."""
        return self._lock is not None

    @property
    def mode(self) -> str:
        """`live`, `demo`, `attached` or `dry run`."""
        if self.settings.policy.dry_run:
            return "dry run"
        if not self.acts:
            return "attached"
        return "demo" if self.lab else "live"

    async def run(self) -> None:
        """Run the agent until `stop`, or until cancelled; an attached engine only waits."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop = partial(loop.call_soon_threadsafe, stop.set)
        if self._stopped.is_set():
            return
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
        if self.acts:
            tasks.append(asyncio.create_task(self._act()))
        if self.acts and self.lab and self.lab.every is not None:
            tasks.append(asyncio.create_task(self.lab.chaos()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._running = None
        for task in done:
            task.result()

    async def _act(self) -> None:
        """Run the agent; what ends it, such as a log that is locked or full, is told, and it begins again.

        Raises StoreError when the log must not be written any more by this process.
        """
        lasting: StoreError | None = None
        models = self._models()
        try:
            while lasting is None:
                try:
                    self._running = self._agent(models)
                    await self._running.run()
                except* CockpitError as group:
                    self._trouble = (time.monotonic(), _first_of(group))
                    lasting = _lasting(group)
                await asyncio.sleep(0.0 if lasting else AGAIN_AFTER)
        finally:
            if models:
                await models.close()
        raise lasting

    @property
    def trouble(self) -> str:
        """What ended the agent a moment ago, in one sentence; empty while it runs."""
        at, text = self._trouble
        return text if text and time.monotonic() - at < 5 * AGAIN_AFTER else ""

    @property
    def stepped_at(self) -> float | None:
        """When the agent that runs last took a step, by the monotonic clock; None before its first, or without one."""
        return self._running.stepped_at if self._running else None

    @property
    def stalled(self) -> float:
        """Seconds since the agent last took a step; 0 while none runs, or it still settles what a crash left."""
        if self._running is None or self._running.stepped_at is None:
            return 0.0
        return time.monotonic() - self._running.stepped_at

    def stop(self) -> None:
        """End `run`, from any thread."""
        self._stopped.set()
        if self._stop:
            with contextlib.suppress(RuntimeError):  # the loop it ran in has ended already
                self._stop()

    def close(self) -> None:
        """Close the store and give the lock back."""
        self.store.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _models(self) -> Models | None:
        """Who may be asked what no runbook explains; nothing of it is loaded while none is configured."""
        if self.settings.models is None:
            return None
        from cockpit.llm.models import Models
        from cockpit.llm.veil import names_of

        return Models(self.settings.models, self.store, self._redactor, names=names_of(self.settings))

    def _asking(self, models: Models | None, analyst: Analyst) -> Asking | None:
        if models is None or self.settings.models is None:
            return None
        from cockpit.agent.asking import Asking
        from cockpit.agent.investigator import Investigator

        return Asking(Investigator(analyst, self.healer, models, self.settings.models, self.settings.notes_folder))

    def _agent(self, models: Models | None) -> Agent:
        changed = asyncio.Event()
        monitor = Monitor(self.registry, self.store, self.services, self.library, changed.set, silences=self.silences)
        heartbeats = Heartbeats(self.store, self.settings.heartbeats, changed.set)
        analyst = Analyst(self.registry, self.store, self.services, self.library)
        for broken in self.library.broken:
            self.store.note("monitor", "note", f"A runbook is left out: {broken}")
        asking = self._asking(models, analyst)
        return Agent(
            self.store, self.services, monitor, analyst, self.healer, self.executor, changed, heartbeats, asking
        )

    async def decide(
        self,
        proposal: int,
        digest: str,
        verdict: Verdict,
        *,
        channel: str,
        reason: str = "",
        name: str = "",
        by: str = "",
    ) -> Decision:
        """Approve or deny a proposal, as shown with that digest.

        Args:
            proposal: its id.
            digest: the whole digest that was on show.
            verdict: approved or denied.
            channel: `keypress`, `command line` or `http`.
            reason: why, in the operator's words; may be empty.
            name: the target's name, typed, where the proposal asks for it.
            by: who decides, where that is not the operator of this process.

        Raises CockpitError when it was decided already, has expired, or shows another digest.
        """
        wanted = self.store.reader.proposal(proposal)
        if verdict is Verdict.APPROVED and wanted.needs_name and name != wanted.call.service:
            raise CockpitError(
                f"Proposal {proposal} cannot be undone and {wanted.call.service} is critical.",
                "Type the name of the service to approve it.",
            )
        return await asyncio.to_thread(
            self.store.decide,
            proposal,
            digest,
            verdict,
            by=by or self.operator,
            channel=channel,
            at=time.time(),
            reason=reason,
        )

    async def inspect(self, call: Call) -> Finding:
        """Run a diagnostic now; the run is kept, also one that the service fails. Raises CockpitError."""
        service = self._service(call.service)
        started, clock = time.time(), time.monotonic()
        keep = partial(self.store.record_run, None, call)
        try:
            finding = await inspect(self.registry, service, call)
        except ServiceError as error:
            failed, seconds = type(error).__name__, time.monotonic() - clock
            await asyncio.to_thread(partial(keep, None, str(error), started, seconds, error_type=failed))
            raise
        await asyncio.to_thread(keep, finding, "", started, time.monotonic() - clock)
        return finding

    async def dry_run(self, call: Call) -> Plan:
        """What a remediation would change now; nothing is written. Raises CockpitError."""
        return await plan(self.registry, self._service(call.service), call)

    async def propose(self, call: Call, reason: str) -> Proposal:
        """Propose a remediation in the operator's name. Raises CockpitError."""
        return await self.healer.request(call, by=self.operator, reason=reason)

    async def undo(self, proposal: int) -> Proposal:
        """Propose to put back what a proposal did. Raises Refused where there is no way back."""
        done = self.store.reader.proposal(proposal)
        return await asyncio.to_thread(self.healer.undo, done, by=self.operator)

    async def ask(self, question: str, *, incident: int | None = None, service: str = "") -> Inquiry:
        """Ask a model something, about an incident, a service or anything; whoever acts on the store works on it.

        It waits for a yes where the settings say so. Raises CockpitError when no model is configured, or there is
        no such incident or service.
        """
        if self.settings.models is None:
            raise CockpitError("No model is configured.", "Add a table [models.NAME] to the config.")
        if not question.strip():
            raise CockpitError("There is no question.", "Write what you want to know.")
        about = self.store.reader.incident(incident).service if incident else service and self._service(service).name
        ask = partial(self.store.inquiries.ask, incident, about, question.strip(), self.operator)
        return await asyncio.to_thread(partial(ask, estimate=None, wait=self.settings.models.ask))

    async def answer(self, inquiry: int) -> None:
        """Answer one question here, without the agent: nothing is probed meanwhile, and nothing changed.

        An engine that does not act leaves it to the one that does.
        """
        models = self._models() if self.acts else None
        asking = self._asking(models, Analyst(self.registry, self.store, self.services, self.library))
        if models is None or asking is None:
            return
        try:
            await asking.see_through(inquiry)
        finally:
            await models.close()

    async def allow(self, inquiry: int) -> None:
        """Let a model be asked that waits for a yes. Raises CockpitError when it does not wait."""
        await asyncio.to_thread(self.store.inquiries.allow, inquiry, self.operator)

    async def decline(self, inquiry: int) -> None:
        """Let no model be asked. Raises CockpitError when it is further on."""
        await asyncio.to_thread(self.store.inquiries.decline, inquiry, self.operator)

    async def freeze(self, on: bool) -> None:
        """Stop all changes, or allow them again; looking goes on."""
        await asyncio.to_thread(self.store.freeze, self.operator if on else None)

    async def looked(self) -> float | None:
        """When the operator last looked; the look that asks is written down."""
        last = self.store.reader.state(f"looked:{self.operator}")
        await asyncio.to_thread(self.store.remember, f"looked:{self.operator}", time.time())
        return float(last) if isinstance(last, int | float) else None

    def _service(self, name: str) -> Service:
        if name not in self.services:
            raise CockpitError(f"There is no service '{name}'.", f"Configured: {', '.join(sorted(self.services))}.")
        return self.services[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.close()


def _first_of(group: BaseExceptionGroup[CockpitError]) -> str:
    """The first error inside a group, however deep it stands."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


def _library(settings: Settings, registry: Registry) -> Library:
    return load(
        [data_file("runbooks"), settings.runbook_folder],
        {name: tool.writes for name, tool in registry.tools.items()},
    )


def _lasting(group: BaseExceptionGroup[CockpitError]) -> StoreError | None:
    """The error after which the log must not be written again, if one of them is such."""
    for error in group.exceptions:
        found = _lasting(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, StoreError) and found.lasting:
            return found
    return None
