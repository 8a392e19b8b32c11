"""Whether a learned runbook holds: on the runs it was learned from, on those of other incidents, and in the lab."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cockpit.agent.analyst import Analyst, call_of, judge, key
from cockpit.agent.drafting import ASK
from cockpit.agent.expressions import ExpressionError
from cockpit.agent.learning import Lesson, alike
from cockpit.agent.monitor import Monitor
from cockpit.agent.runbooks import CONFIDENT, Library, Runbook, load
from cockpit.model import JSON, CockpitError, Diagnosis, Incident, ProposalState, Run, Service
from cockpit.safety.policy import same_call
from cockpit.store.reader import Reader
from cockpit.store.store import Store
from cockpit.text import counted
from cockpit.toolkit import Registry, plan

if TYPE_CHECKING:
    from cockpit.lab.lab import Lab
    from cockpit.lab.parts import Fault

SEEN_WITHIN = 60.0
"""Seconds within which a fault of the lab has to be seen and explained."""
JUDGED = 5
"""How often the runbook may look before it does not conclude."""


@dataclass(frozen=True)
class Trial:
    """What came of trying a runbook."""

    problems: tuple[str, ...]
    """Why it may not be taken; empty when it may."""
    told: tuple[str, ...] = ()
    """What was tried."""


def read_draft(file: Path, registry: Registry) -> Runbook:
    """The one runbook in a file. Raises CockpitError when it is wrong, or a question in it is not answered."""
    text = file.read_text(encoding="utf-8")
    asks = [line.strip() for line in text.splitlines() if line.strip().startswith(ASK)]
    if asks:
        raise CockpitError(
            f"{counted(len(asks), 'question is', 'questions are')} open in {file}: {asks[0].removeprefix(ASK).strip()}",
            "Answer each in the lines below it, and remove its comment.",
        )
    with TemporaryDirectory() as folder:
        (Path(folder) / "draft.yaml").write_text(text, encoding="utf-8")
        library = load([Path(folder)], {name: tool.writes for name, tool in registry.tools.items()})
    if library.broken:
        raise CockpitError(f"{file}:{library.broken[0].line}: {library.broken[0].reason}", "Correct it.")
    if len(library.runbooks) != 1 or library.conditions:
        raise CockpitError(f"{file} does not hold just one runbook.", "Keep the one that was learned.")
    return next(iter(library.runbooks.values()))


def replay(book: Runbook, lesson: Lesson, reader: Reader) -> Trial:
    """Judge the stored runs: it has to explain its own incident, and none whose cause was another."""
    problems, told = [], []
    own = _judged(book, lesson.incident, reader.runs(lesson.incident.id))
    if isinstance(own, str):
        problems.append(f"On its own incident {lesson.incident.id}: {own}")
    elif lesson.remedy and not any(same_call(call, lesson.remedy) for call in own.calls):
        problems.append(f"It does not propose what mended incident {lesson.incident.id}: {lesson.remedy.tool}.")
    else:
        told.append(f"It explains incident {lesson.incident.id}, with confidence {own.confidence:g}.")
    tried = 0
    for other in alike(reader, lesson.incident):
        if not set(book.alerts) & {raised.alert.name for raised in reader.alerts(incident=other.id)}:
            continue
        found = _judged(book, other, reader.runs(other.id))
        tried += not isinstance(found, str) or "was not run" not in found
        if isinstance(found, Diagnosis) and not _same_cure(other, lesson, reader):
            problems.append(
                f"It would explain incident {other.id} as well, whose cause was: {other.cause or 'another'}"
            )
    others = counted(tried, "other incident of these alerts has", "other incidents of these alerts have")
    told.append(f"{others} the runs to try it on.")
    return Trial(tuple(problems), tuple(told))


def _judged(book: Runbook, incident: Incident, runs: Sequence[Run]) -> Diagnosis | str:
    """A sure diagnosis of stored runs, or why there is none."""
    service = Service(incident.service)
    variables: dict[str, JSON] = {"alert": book.alerts[0], "service": service.name}
    by_call = {key(run.call): run for run in runs if run.call.service == service.name}
    try:
        missing = [look.tool for look in book.looks if key(call_of(service, look, variables)) not in by_call]
        if missing:
            return f"{missing[0]} was not run so."
        found = judge(incident, service, book, variables, by_call)
    except (ExpressionError, KeyError) as error:
        return str(error)
    if found is None:
        return "its condition does not hold."
    if found.confidence < CONFIDENT:
        standing = next(rival.name for rival in found.rivals if not rival.ruled_out)
        return f"a rival is not ruled out: {standing}"
    return found


def _same_cure(other: Incident, lesson: Lesson, reader: Reader) -> bool:
    """Whether the same call ended the other incident, so that its cause may well be the same."""
    done = reader.proposals(state=ProposalState.DONE, incident=other.id)
    return lesson.remedy is not None and any(each.call.tool == lesson.remedy.tool for each in done)


def lab_faults(book: Runbook, faults: Iterable[Fault]) -> list[Fault]:
    """The ways in which the lab can break so that this runbook ought to explain it."""
    tools = {remedy.tool for remedy in book.remedies}
    return [fault for fault in faults if fault.service.startswith(f"{book.kind}/") and fault.remedy in tools]


async def in_lab(book: Runbook, fault: Fault, registry: Registry, conditions: Library) -> Trial:
    """Break the lab that way: the runbook alone has to explain it, and what it proposes has to be possible."""
    async with _lab(fault) as lab:
        services = {service.name: service for service in lab.services()}
        with TemporaryDirectory() as folder, Store.open(Path(folder) / "cockpit.db") as store:
            store.watch(list(services.values()))
            library = Library(conditions.conditions, {book.id: book})
            monitor = Monitor(registry, store, services, library, lambda: None)
            analyst = Analyst(registry, store, services, library)
            await fault.inject(lab)
            try:
                found = await _explained(book, fault, monitor, analyst)
                if isinstance(found, str):
                    return Trial((f"In the lab, {fault.name}: {found}",))
                if found.calls:
                    await plan(registry, services[fault.service], found.calls[0])
            except CockpitError as error:
                return Trial((f"In the lab, {fault.name}: {error}",))
            finally:
                await fault.clear(lab)
    return Trial((), (f"In the lab it explains {fault.name}: {found.cause}",))


async def _explained(book: Runbook, fault: Fault, monitor: Monitor, analyst: Analyst) -> Diagnosis | str:
    """The runbook's diagnosis once an alert of its own fires, or what happened instead."""
    until, judged = time.monotonic() + SEEN_WITHIN, 0
    while time.monotonic() < until and judged < JUDGED:
        await monitor.look(fault.service)
        for incident in analyst.store.reader.incidents(unresolved_only=True):
            alerts = {raised.alert.name for raised in analyst.store.reader.alerts(incident=incident.id)}
            if incident.service == fault.service and alerts & set(book.alerts):
                found = await analyst.investigate(incident)
                sure = [each for each in found if each.confidence >= CONFIDENT]
                if sure:
                    return sure[0]
                judged += 1
        await asyncio.sleep(1.0)
    return "it does not conclude." if judged else "none of its alerts fires."


@asynccontextmanager
async def _lab(fault: Fault) -> AsyncIterator[Lab]:
    """A lab of the servers that stand in the module of a fault."""
    from cockpit.lab.catalogue import servers
    from cockpit.lab.lab import Lab

    module = fault.inject.__module__
    lab = Lab.create([server for server in servers() if server.prepare.__module__ == module])
    try:
        await lab.up()
        yield lab
    finally:
        await lab.down()
