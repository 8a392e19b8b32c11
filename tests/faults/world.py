"""A kind of service whose world is a folder: every effect on it is counted, whoever causes it.

`effects` is opened O_APPEND and takes one line for each write that reached the world, so a
test can tell how often a change really happened, whatever the journal says. The files `slow`
and `block` hold seconds that a write takes, and that a probe blocks the whole process for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

from cockpit.model import JSON, Approval, Change, Finding, Health, Level, Plan, Refused, Service
from cockpit.toolkit import Client, Kind, Option, plan_of, programs
from cockpit.toolkit.items import Action, Do, Resource
from cockpit.toolkit.registry import Registry
from tools import command


class WorldReader(Client):
    """Reads the folder."""

    @property
    def folder(self) -> Path:
        return Path(self.text("folder"))

    def value(self, key: str) -> str | None:
        file = self.folder / f"value-{key}"
        return file.read_text() if file.exists() else None

    def deeds(self, key: str) -> int:
        return self.effects().count(f"deed {key}")

    def effects(self) -> list[str]:
        file = self.folder / "effects"
        return file.read_text().splitlines() if file.exists() else []

    def trouble(self) -> str:
        file = self.folder / "trouble"
        return (file.read_text() if file.exists() else "") or "trouble"

    def seconds(self, name: str) -> float:
        file = self.folder / name
        return float(file.read_text()) if file.exists() else 0.0

    def identity(self, key: str) -> str | None:
        file = self.folder / f"identity-{key}"
        return file.read_text() if file.exists() else None


class WorldWriter(WorldReader):
    """Writes the folder, and counts each write."""

    def effect(self, line: str) -> None:
        with open(self.folder / "effects", "a") as log:
            log.write(line + "\n")
            log.flush()
            os.fsync(log.fileno())

    def deed(self, key: str) -> None:
        self.effect(f"deed {key}")

    def set(self, key: str, value: str | None) -> None:
        file = self.folder / f"value-{key}"
        if value is None:
            file.unlink(missing_ok=True)
        else:
            file.write_text(value)
        self.effect(f"set {key} {value}")


world = Kind("world", "A folder", WorldReader, WorldWriter, (Option("folder", str, "Where it is.", required=True),))


@world.health(trouble="1 when something is wrong")
async def probe(reader: WorldReader) -> Health:
    """Whether the folder holds a file named trouble."""
    trouble, what = (reader.folder / "trouble").exists(), reader.trouble()
    if seconds := reader.seconds("block"):
        time.sleep(seconds)  # as a driver that is not async would hold up the whole loop
    return Health(Level.DEGRADED if trouble else Level.UP, what if trouble else "well", {"trouble": float(trouble)})


@world.diagnostic()
async def look_at_world(reader: WorldReader) -> Finding:
    """What the world holds."""
    return Finding("looked", {"trouble": float((reader.folder / "trouble").exists()), "value": reader.value("a") or ""})


async def _read_value(reader: WorldReader, key: JSON) -> JSON:
    return reader.value(str(key))


async def _write_value(writer: WorldWriter, key: JSON, before: JSON, after: JSON) -> None:
    await asyncio.sleep(writer.seconds("slow"))
    writer.set(str(key), None if after is None else str(after))
    (writer.folder / "trouble").unlink(missing_ok=True)


async def _read_identity(reader: WorldReader, key: JSON) -> JSON:
    return reader.identity(str(key))


async def _do(writer: WorldWriter, change: Change) -> None:
    await asyncio.sleep(writer.seconds("slow"))
    writer.deed(str(change.key))
    (writer.folder / "trouble").unlink(missing_ok=True)


async def _order(writer: WorldWriter, change: Change) -> None:
    """Do it by a program that takes its time, as a restart does."""
    script = 'echo $$ > "$0/child"; sleep "$1"; echo "deed $2" >> "$0/effects"'
    argv = ["sh", "-c", script, str(writer.folder), str(writer.seconds("slow")), str(change.key)]
    with programs.noted_in(None) if (writer.folder / "unnoted").exists() else contextlib.nullcontext():
        await command.execute(argv, seconds=60.0)


async def _done(reader: WorldReader, change: Change) -> bool:
    return reader.deeds(str(change.key)) > int(str(change.observed["deeds"]))


def value_of(kind: Kind) -> Resource:
    """A value that such a folder holds, for a kind to change."""
    return kind.resource(
        "value",
        read=_read_value,
        write=_write_value,
        steps=lambda key, before, after: [f"set {key} {after}"],
        verification="It reads as set.",
        patience=0.3,
    )


def deed_of(kind: Kind, name: str = "deed", verb: str = "do", do: Do = _do) -> Action:
    """A deed that is counted in such a folder, for a kind to do."""
    return kind.action(
        name,
        read=_read_identity,
        do=do,
        check=_done,
        steps=lambda key, before, after: [f"{verb} {key}"],
        verification="One more deed is counted.",
        no_undo="A deed stays done.",
        patience=0.3,
    )


def value_plan(value: Resource, reader: WorldReader, key: str, to: str) -> Plan:
    """Set one value."""
    return plan_of(f"Set {key} to {to}", _setting(value, reader, key, to), risk="none")


def deed_plan(deed: Action, reader: WorldReader, key: str, summary: str) -> Plan:
    """One deed."""
    observed = {"deeds": reader.deeds(key)}
    change = deed.change(reader.service.name, key, reader.identity(key), "done", why="asked", observed=observed)
    return plan_of(summary, change, risk="none")


def _setting(value: Resource, reader: WorldReader, key: str, to: str) -> Change:
    return value.change(reader.service.name, key, reader.value(key), to, why="asked")


value, deed, order = value_of(world), deed_of(world), deed_of(world, "order", "order", _order)


@world.remediation(approval=Approval.HARD, uses=(value,))
async def set_world_value(reader: WorldReader, key: str, to: str) -> Plan:
    """Set a value.

    Args:
        key: which.
        to: the new value.
    """
    if (reader.folder / "refuse").exists():
        raise Refused("The world refuses.")
    return value_plan(value, reader, key, to)


@world.remediation(approval=Approval.HARD, uses=(value,))
async def set_two_values(reader: WorldReader, to: str) -> Plan:
    """Set the values a and b.

    Args:
        to: the new value.
    """
    return plan_of("Set both", *(_setting(value, reader, key, to) for key in ("a", "b")), risk="none")


@world.remediation(approval=Approval.HARD, uses=(deed,))
async def do_world_deed(reader: WorldReader, key: str) -> Plan:
    """Do a deed that cannot be undone.

    Args:
        key: which.
    """
    return deed_plan(deed, reader, key, f"Do {key}")


@world.remediation(approval=Approval.HARD, uses=(order,))
async def order_world_deed(reader: WorldReader, key: str) -> Plan:
    """Have a program do a deed.

    Args:
        key: which.
    """
    return deed_plan(order, reader, key, f"Order {key}")


def registry() -> Registry:
    """A registry of this kind alone."""
    return Registry.of([world])


def service(folder: Path, name: str = "world/one") -> Service:
    """The service of a world in that folder."""
    return Service(name, {"folder": str(folder)}, interval=0.2, timeout=2.0)
