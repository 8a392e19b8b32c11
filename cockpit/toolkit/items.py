"""What can be changed: resources with a state to put back, and actions without one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from cockpit.model import JSON, Approval, Change, Plan, canonical

# `Any` stands for the kind's own client class: the registration checks that it is that
# class, which the type system cannot say of a function kept as a value.
Read: TypeAlias = Callable[[Any, JSON], Awaitable[JSON]]
Write: TypeAlias = Callable[[Any, JSON, JSON, JSON], Awaitable[None]]
Do: TypeAlias = Callable[[Any, Change], Awaitable[None]]
Check: TypeAlias = Callable[[Any, Change], Awaitable[bool]]
Steps: TypeAlias = Callable[[JSON, JSON, JSON], Sequence[str]]
Opposite: TypeAlias = Callable[[Change], Change]


@dataclass(frozen=True)
class Resource:
    """A thing with a state that can be read, written and put back: a setting, a config, a file."""

    kind: str
    name: str
    read: Read
    """`read(reader, key)`: only what we own, sorted, without timestamps; None means absent."""
    write: Write
    """`write(writer, key, before, after)`: make it `after`; raises a ServiceError."""
    steps: Steps
    """`steps(key, before, after)`: what an operator would type or send instead."""
    verification: str
    """What is read afterwards."""
    timeout: float = 30.0
    """Seconds that the write may take."""
    patience: float = 10.0
    """Seconds within which it must read as written."""

    def change(
        self,
        service: str,
        key: JSON,
        before: JSON,
        after: JSON,
        *,
        why: str,
        observed: Mapping[str, JSON] | None = None,
    ) -> Change:
        """The change of this resource from `before` to `after`."""
        return Change(
            service=service,
            item=self.name,
            key=key,
            before=before,
            after=after,
            steps=tuple(self.steps(key, before, after)),
            verification=self.verification,
            undo="; ".join(step.removesuffix(";") for step in self.steps(key, after, before)),
            why=why,
            observed=observed or {},
        )

    async def holds(self, reader: Any, change: Change) -> bool:
        """Whether the target reads as the change wanted it."""
        return same(await self.read(reader, change.key), change.after)

    async def apply(self, writer: Any, change: Change) -> None:
        """Write the change. Only the executor calls this."""
        await self.write(writer, change.key, change.before, change.after)

    def reverse(self, change: Change) -> Change | None:
        """The change that puts the old value back."""
        return self.change(
            change.service, change.key, change.after, change.before, why="Puts back what was there before."
        )


@dataclass(frozen=True)
class Action:
    """A deed that leaves no state to put back: a restart, a vacuum, ending a session."""

    kind: str
    name: str
    read: Read
    """`read(reader, key)`: what must still hold when it is done, such as a table's identity."""
    do: Do
    """`do(writer, change)`: do it; raises a ServiceError."""
    check: Check
    """`check(reader, change)`: whether it was done, seen from the target, however late it is asked."""
    steps: Steps
    verification: str
    no_undo: str = ""
    """Why there is no way back; or else `opposite` is given."""
    opposite: Opposite | None = None
    """`opposite(change)`: the change that puts it back, after `change` was applied."""
    undo: str = ""
    """How `opposite` puts it back, in words."""
    timeout: float = 30.0
    patience: float = 10.0

    def change(
        self,
        service: str,
        key: JSON,
        before: JSON,
        after: JSON,
        *,
        why: str,
        observed: Mapping[str, JSON] | None = None,
    ) -> Change:
        """The change that does this to `key`; `after` describes the outcome."""
        return Change(
            service=service,
            item=self.name,
            key=key,
            before=before,
            after=after,
            steps=tuple(self.steps(key, before, after)),
            verification=self.verification,
            undo=self.undo,
            no_undo=self.no_undo,
            why=why,
            observed=observed or {},
        )

    async def holds(self, reader: Any, change: Change) -> bool:
        """Whether the target shows that it was done."""
        return await self.check(reader, change)

    async def apply(self, writer: Any, change: Change) -> None:
        """Do it. Only the executor calls this."""
        await self.do(writer, change)

    def reverse(self, change: Change) -> Change | None:
        """The change that puts it back, or None where there is no way back."""
        return self.opposite(change) if self.opposite else None


def same(left: JSON, right: JSON) -> bool:
    """Whether two plain values are equal after a round trip through JSON."""
    return canonical(left) == canonical(right)


def plan_of(summary: str, *changes: Change, risk: str, approval: Approval | None = None) -> Plan:
    """A plan of the changes that change something; where before equals after, nothing is done."""
    kept = tuple(change for change in changes if not same(change.before, change.after))
    return Plan(summary=summary, changes=kept, risk=risk, approval=approval)


def nothing_to_do(why: str) -> Plan:
    """The plan of a remediation that found nothing to change."""
    return Plan(summary=why)
