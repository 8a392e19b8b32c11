"""The tool kit: what fails at registration, how arguments are checked, how errors leave a tool."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from cockpit.model import (
    Approval,
    Call,
    CockpitError,
    Finding,
    Health,
    Level,
    Plan,
    Refused,
    Service,
    Unexpected,
    Unreachable,
)
from cockpit.toolkit import Client, Kind, RegistrationError, Registry, inspect, plan, probe, undo_plan
from cockpit.toolkit.schema import checked, schema
from tests.faults import world


class Reader(Client):
    pass


class Writer(Client):
    pass


async def read(reader: Reader, key: object) -> None:
    return None


async def write(writer: Writer, key: object, before: object, after: object) -> None:
    return None


async def do(writer: Writer, change: object) -> None:
    return None


async def check(reader: Reader, change: object) -> bool:
    return True


def steps(key: object, before: object, after: object) -> list[str]:
    return ["type this"]


def kind() -> Kind:
    return Kind("k", "A kind", Reader, Writer)


def test_a_resource_that_lacks_a_part_fails_at_registration() -> None:
    with pytest.raises(RegistrationError, match="verification"):
        kind().resource("r", read=read, write=write, steps=steps, verification="")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(RegistrationError, match="steps"):
        kind().resource("r", read=read, write=write, steps=None, verification="v")  # type: ignore[arg-type]  # wrong on purpose


def test_an_action_needs_an_undo_or_the_reason_why_there_is_none() -> None:
    with pytest.raises(RegistrationError, match="undo"):
        kind().action("a", read=read, do=do, check=check, steps=steps, verification="v")  # type: ignore[arg-type]  # wrong on purpose


def test_what_only_looks_is_never_handed_a_client_that_writes() -> None:
    async def diagnostic(writer: Writer) -> Finding:
        """Looks."""
        return Finding("")

    with pytest.raises(RegistrationError, match="annotated Reader"):
        kind().diagnostic()(diagnostic)
    with pytest.raises(RegistrationError, match="annotated Reader"):
        kind().resource("r", read=write, write=write, steps=steps, verification="v")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(RegistrationError, match="annotated Writer"):
        kind().resource("r", read=read, write=read, steps=steps, verification="v")  # type: ignore[arg-type]  # wrong on purpose


def test_a_tool_needs_a_docstring_and_the_right_result() -> None:
    async def silent(reader: Reader) -> Finding:
        return Finding("")

    async def wrong(reader: Reader) -> int:
        """Counts."""
        return 1

    with pytest.raises(RegistrationError, match="no docstring"):
        kind().diagnostic()(silent)
    with pytest.raises(RegistrationError, match="return Finding"):
        kind().diagnostic()(wrong)


def test_a_remediation_must_name_what_it_changes() -> None:
    async def mend(reader: Reader) -> Plan:
        """Mends."""
        return Plan("")

    with pytest.raises(RegistrationError, match="names nothing"):
        kind().remediation(approval=Approval.HARD, uses=())(mend)
    with pytest.raises(RegistrationError, match="not of this kind"):
        kind().remediation(approval=Approval.HARD, uses=(world.value,))(mend)


def test_arguments_are_described_by_type_and_docstring() -> None:
    found = schema(world.registry().tool("set_world_value"))
    assert found["properties"]["key"] == {
        "description": "which.",
        "maxLength": 1000,
        "title": "Key",
        "type": "string",
    } or (found["properties"]["key"]["description"] == "which.")
    assert found["required"] == ["key", "to"]
    assert found["additionalProperties"] is False


@pytest.mark.parametrize(
    "arguments",
    [{}, {"key": "a"}, {"key": 7, "to": "x"}, {"key": "a", "to": "x", "extra": 1}, {"key": "a" * 2000, "to": ""}],
)
def test_wrong_arguments_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(CockpitError, match="set_world_value"):
        checked(world.registry().tool("set_world_value"), arguments)  # type: ignore[arg-type]  # wrong on purpose


def test_a_diagnostic_cannot_be_planned_nor_a_remediation_run(tmp_path: Path) -> None:
    one = world.service(tmp_path)
    with pytest.raises(CockpitError, match="only looks"):
        asyncio.run(plan(world.registry(), one, Call("look_at_world", one.name)))
    with pytest.raises(CockpitError, match="planned, not run"):
        asyncio.run(inspect(world.registry(), one, Call("do_world_deed", one.name, {"key": "a"})))


def test_a_tool_is_not_run_on_another_kind_of_service() -> None:
    with pytest.raises(CockpitError, match="is for world"):
        asyncio.run(inspect(world.registry(), Service("redis/one"), Call("look_at_world", "redis/one")))


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(CockpitError, match="look_at_world"):
        world.registry().tool("look_at_wrold")


class Hanging(Client):
    async def open(self) -> None:
        await asyncio.sleep(60)


class Raising(Client):
    async def open(self) -> None:
        raise ValueError("surprise")


@pytest.mark.parametrize(("client", "level"), [(Hanging, Level.DOWN), (Raising, Level.UNKNOWN)])
def test_a_probe_never_raises_and_never_hangs(client: type[Client], level: Level) -> None:
    odd = Kind("odd", "Odd", client, Writer)

    async def look(reader: client) -> Health:  # type: ignore[valid-type]  # a type made here
        return Health(Level.UP, "")

    look.__annotations__ = {"reader": client, "return": Health}
    odd.health()(look)
    assert asyncio.run(probe(odd, Service("odd/one", timeout=0.05))).level is level


def test_time_limits_and_surprises_of_a_tool_have_names(tmp_path: Path) -> None:
    for client, error in ((Hanging, Unreachable), (Raising, Unexpected)):
        odd = Kind("odd", "Odd", client, Writer)

        async def look(reader: object) -> Finding:
            """Looks."""
            return Finding("")

        look.__annotations__ = {"reader": client, "return": Finding}
        odd.diagnostic(timeout=0.05)(look)
        with pytest.raises(error):
            asyncio.run(inspect(Registry.of([odd]), Service("odd/one"), Call("look", "odd/one")))


class Swallowing(Client):
    """Its driver takes being cancelled for a sign to go on, as one does while it writes."""

    async def open(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


def test_a_look_that_is_cancelled_ends_whatever_its_driver_does() -> None:
    odd = Kind("odd", "Odd", Swallowing, Writer)

    async def look(reader: Swallowing) -> Health:
        return Health(Level.UP, "")

    look.__annotations__ = {"reader": Swallowing, "return": Health}
    odd.health()(look)

    async def watched_and_cancelled() -> None:
        task = asyncio.create_task(probe(odd, Service("odd/one", timeout=60.0)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(watched_and_cancelled())
    assert asyncio.run(probe(odd, Service("odd/one", timeout=0.05))).level is Level.UP, "a time limit is none"


def test_a_plan_may_touch_only_what_the_tool_names(tmp_path: Path) -> None:
    registry = world.registry()
    tool = registry.tools["set_world_value"]
    registry.tools["set_world_value"] = replace(tool, uses=("deed",))
    with pytest.raises(Refused, match="may not touch"):
        asyncio.run(
            plan(registry, world.service(tmp_path), Call("set_world_value", "world/one", {"key": "a", "to": "x"}))
        )


def test_undo_is_the_reverse_in_reverse_order(tmp_path: Path) -> None:
    one = world.service(tmp_path)
    done = asyncio.run(plan(world.registry(), one, Call("set_two_values", one.name, {"to": "x"})))
    back = undo_plan(world.registry(), done)
    assert [(c.key, c.before, c.after) for c in back.changes] == [("b", "x", None), ("a", "x", None)]


def test_what_has_no_way_back_says_why(tmp_path: Path) -> None:
    one = world.service(tmp_path)
    done = asyncio.run(plan(world.registry(), one, Call("do_world_deed", one.name, {"key": "a"})))
    with pytest.raises(Refused, match="A deed stays done"):
        undo_plan(world.registry(), done)


def test_listing_the_registry_imports_no_driver() -> None:
    code = (
        "import sys; from cockpit.toolkit import Registry; r = Registry.discover(); print(len(r.tools), r.broken);"
        "print([m for m in ('psycopg', 'redis', 'nats', 'httpx', 'psutil', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tools, drivers = done.stdout.splitlines()
    assert int(tools.split()[0]) >= 40
    assert tools.endswith("{}")
    assert drivers == "[]"


def test_every_built_in_remediation_is_complete() -> None:
    for tool in Registry.discover().tools.values():
        assert tool.doc
        if tool.writes:
            assert tool.uses


def test_the_public_door_is_pinned() -> None:
    import cockpit.toolkit

    assert sorted(cockpit.toolkit.__all__) == [
        "Action", "Client", "Kind", "Option", "RegistrationError", "Registry", "Resource", "Tool",
        "counted", "inspect", "nothing_to_do", "plan", "plan_of", "probe", "undo_plan",
    ]  # fmt: skip
