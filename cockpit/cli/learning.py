"""Learns a runbook from an incident that a model explained and a person confirmed."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

from cockpit.agent.drafting import Draft
from cockpit.agent.learning import Lesson, lesson, said_to_work
from cockpit.agent.runbooks import Library, Runbook, load
from cockpit.agent.trial import Trial, in_lab, lab_faults, read_draft, replay
from cockpit.cli import output
from cockpit.cli.exits import FAILED, OK, PENDING, UsageError
from cockpit.cli.opening import reading, settings_of, writing
from cockpit.files import data_file
from cockpit.lab.parts import Fault
from cockpit.model import CockpitError
from cockpit.settings import Settings
from cockpit.store.reader import Reader
from cockpit.toolkit import Registry
from widgets.figures import moment

EDITORS = ("VISUAL", "EDITOR")


def learn(arguments: Namespace) -> int:
    """Draft a runbook from an incident, have it reviewed and tried, and take it; or list what was learned."""
    if arguments.id is None and (arguments.draft or arguments.confirm or arguments.lab is not None):
        raise UsageError("No incident is named to learn from.", "Type: cockpit learn ID")
    settings, registry = settings_of(arguments), Registry.discover()
    if arguments.list or arguments.id is None:
        return _list(settings, registry, json=arguments.json)
    with reading(settings) as reader:
        if reader is None:
            raise CockpitError("Nothing was ever recorded.", "Start the agent with: cockpit")
        learned = lesson(reader, arguments.id)
        _confirmed(reader, learned, confirm=arguments.confirm)
        file = arguments.draft or _drafted(settings, learned, registry)
        if arguments.draft is None and not sys.stdin.isatty():
            output.line(file.read_text(encoding="utf-8").rstrip())
            output.talk(f"Review {file}, answer what it asks, then: cockpit learn {arguments.id} --draft {file}")
            return PENDING
        return _taken(settings, registry, reader, learned, file, arguments)


def _taken(
    settings: Settings, registry: Registry, reader: Reader, learned: Lesson, file: Path, arguments: Namespace
) -> int:
    """Have the draft edited until it passes, or its author gives up; then put it among the runbooks."""
    edited = arguments.draft is not None
    while True:
        if not edited:
            _edit(file)
        try:
            book = read_draft(file, registry)
            trial = _tried(book, replay(book, learned, reader), registry, arguments)
        except CockpitError as error:
            trial = Trial((str(error),))
        for text in trial.told:
            output.talk(text)
        for problem in trial.problems:
            output.talk(f"Not taken: {problem}")
        if not trial.problems:
            return _accept(settings, book, learned, file)
        if edited or output.ask("Type edit to go on with it, anything else to leave it:") != "edit":
            output.talk(f"The draft stays in {file}.")
            return FAILED


def _accept(settings: Settings, book: Runbook, learned: Lesson, file: Path) -> int:
    if sys.stdin.isatty() and output.ask("Type yes to take this runbook:") != "yes":
        output.talk(f"The draft stays in {file}.")
        return FAILED
    settings.runbook_folder.mkdir(parents=True, exist_ok=True)
    target = settings.runbook_folder / f"{book.id}.yaml"
    if target.exists() and target.resolve() != file.resolve():
        raise CockpitError(f"There is a runbook in {target} already.", "Give this one another id, or remove that one.")
    target.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    if file.parent == _drafts(settings):
        file.unlink()
    with writing(settings) as store:
        text = f"Runbook '{book.id}' is learned from incident {learned.incident.id}."
        store.note(settings.operator, "learned", text, incident=learned.incident.id, data={"runbook": book.id})
    output.line(f"Runbook '{book.id}' is in {target}. A cockpit that runs takes it at its next reload or start.")
    return OK


def _tried(book: Runbook, trial: Trial, registry: Registry, arguments: Namespace) -> Trial:
    """The trial, with the lab's added where that was asked for and is possible."""
    if trial.problems or arguments.lab is None:
        return trial
    from cockpit.lab.catalogue import faults

    known = faults()
    fitting: list[Fault] = [known[arguments.lab]] if arguments.lab in known else lab_faults(book, known.values())
    if arguments.lab and arguments.lab not in known:
        raise UsageError(f"The lab has no fault '{arguments.lab}'.", "List them with: cockpit lab faults")
    if not fitting:
        return Trial((), (*trial.told, "The lab cannot break that way; it was not tried there."))
    output.talk(f"Starting the lab, to break it by {fitting[0].name} …")
    shipped = load([data_file("runbooks")], {name: tool.writes for name, tool in registry.tools.items()})
    result = asyncio.run(in_lab(book, fitting[0], registry, shipped))
    return Trial(result.problems, (*trial.told, *result.told))


def _confirmed(reader: Reader, learned: Lesson, *, confirm: bool) -> None:
    """Raise CockpitError unless a person says, or has said, that the cause was right and what was done worked."""
    number, said = learned.incident.id, said_to_work(reader, learned.incident.id)
    if said or confirm:
        return
    cause = f"Incident {number}, {learned.incident.service}: {learned.answer.cause}"
    if not sys.stdin.isatty():
        raise UsageError(f"Nobody confirmed the cause of incident {number}.", "If it was right, add --confirm.")
    output.talk(cause)
    if said is False:
        output.talk("A person said that it did not help.")
    if output.ask("Was that the cause, and did it help? Type yes:") != "yes":
        raise CockpitError(f"Incident {number} is not confirmed.", "Nothing was learned.")


def _drafted(settings: Settings, learned: Lesson, registry: Registry) -> Path:
    """The draft in a file of its own, beside the runbooks and not among them."""
    draft = Draft(learned, registry)
    _drafts(settings).mkdir(parents=True, exist_ok=True)
    file = _drafts(settings) / f"{draft.id}.yaml"
    if not file.exists():
        file.write_text(draft.text(), encoding="utf-8")
    return file


def _drafts(settings: Settings) -> Path:
    return settings.runbook_folder / "drafts"


def _edit(file: Path) -> None:
    """Let the operator edit a file with what they are used to."""
    editor = next((os.environ[name] for name in EDITORS if os.environ.get(name)), "vi")
    try:
        subprocess.run([*shlex.split(editor), str(file)], check=False)  # noqa: S603  the operator's own editor
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise CockpitError(f"The editor '{editor}' does not start: {why}.", "Set EDITOR.") from None


def _list(settings: Settings, registry: Registry, *, json: bool) -> int:
    """List the learned runbooks, with how often each explained and worked, and when it last did."""
    library: Library = load([settings.runbook_folder], {name: tool.writes for name, tool in registry.tools.items()})
    books = [book for book in library.runbooks.values() if book.learned]
    with reading(settings) as reader:
        records = reader.asked.runbooks(book.id for book in books) if reader else {}
    if json:
        output.as_json(
            runbooks=[
                {
                    "id": book.id,
                    "title": book.title,
                    "learned_from": book.learned,
                    "explained": records[book.id].explained if book.id in records else 0,
                    "worked": records[book.id].worked if book.id in records else 0,
                    "last_worked": records[book.id].last if book.id in records else None,
                }
                for book in books
            ]
        )
        return OK
    now = time.time()
    rows = []
    for book in books:
        record = records.get(book.id)
        last = moment(record.last, now) if record and record.last else "never"
        rows.append((book.id, book.learned, record.explained if record else 0, record.worked if record else 0, last))
    output.table(("runbook", "from incident", "explained", "worked", "last worked"), rows)
    if not books:
        output.talk("Nothing was learned yet. Learn from an incident that a model explained with: cockpit learn ID")
    for broken in library.broken:
        output.talk(f"Left out: {broken}")
    return OK
