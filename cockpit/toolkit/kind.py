"""A kind of service, and the decorators that register its probe, diagnostics and remediations."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cockpit.model import Approval, CockpitError, Finding, Health, Plan
from cockpit.toolkit.client import Client
from cockpit.toolkit.items import Action, Check, Do, Opposite, Read, Resource, Steps, Write

ToolFunction: TypeAlias = Callable[..., Awaitable[Any]]

RESERVED = ("target", "why")
"""What a model gives with every tool it asks for: the service, and its reason. No tool has arguments of these names."""


class RegistrationError(CockpitError):
    """A tool module declares something that is incomplete; found when it is imported."""


@dataclass(frozen=True)
class Option:
    """One key that a service of a kind may have in the config."""

    name: str
    type: type
    help: str
    default: Any = None
    required: bool = False
    secret: bool = False
    """A secret may also be given as `<name>_file`, `<name>_env` or `<name>_credential`."""


@dataclass(frozen=True)
class Tool:
    """A function that the agent or a person may call."""

    name: str
    kind: str
    writes: bool
    """True for a remediation, which plans changes; False for a diagnostic, which reads."""
    function: ToolFunction
    approval: Approval = Approval.NONE
    uses: tuple[str, ...] = ()
    """Names of the resources and actions that its plans may change."""
    timeout: float = 20.0
    """Seconds that one look or one plan may take."""
    quotes: bool = False
    """Whether its result hands on what others wrote, such as lines of a log: no evidence that suffices by itself."""

    @property
    def doc(self) -> str:
        """The whole docstring."""
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """The docstring's first line."""
        return self.doc.partition("\n")[0]


@dataclass
class Kind:
    """A kind of service: how to reach one, how to probe it, and what can be done with it.

    Args:
        name: the first half of a service's name, as in `postgres/main`.
        summary: one line for the catalogue.
        reader: the client that cannot write.
        writer: the client that can; the executor alone opens it.
        options: the keys a service of this kind may have in the config.
    """

    name: str
    summary: str
    reader: type[Client]
    writer: type[Client]
    options: tuple[Option, ...] = ()
    tools: dict[str, Tool] = field(default_factory=dict)
    items: dict[str, Resource | Action] = field(default_factory=dict)
    prober: ToolFunction | None = None
    samples: dict[str, str] = field(default_factory=dict)
    """What the probe's named samples mean, with their unit."""

    def health(self, **samples: str) -> Callable[[ToolFunction], ToolFunction]:
        """Register the probe; `samples` name what it measures, each with a line of help."""

        def register(function: ToolFunction) -> ToolFunction:
            self._check_signature(function, self.reader, Health)
            self.prober = function
            self.samples = samples
            return function

        return register

    def diagnostic(self, *, timeout: float = 20.0, quotes: bool = False) -> Callable[[ToolFunction], ToolFunction]:
        """Register a function that looks and returns a Finding; it is handed the reader.

        Args:
            timeout: seconds that one look may take.
            quotes: whether its result hands on what others wrote, such as lines of a log.
        """

        def register(function: ToolFunction) -> ToolFunction:
            self._check_signature(function, self.reader, Finding)
            self._add(Tool(function.__name__, self.name, False, function, timeout=timeout, quotes=quotes))
            return function

        return register

    def resource(
        self,
        name: str,
        *,
        read: Read,
        write: Write,
        steps: Steps,
        verification: str,
        timeout: float = 30.0,
        patience: float = 10.0,
    ) -> Resource:
        """Register a thing with a state that can be read, written and put back."""
        self._check_client(read, self.reader)
        self._check_client(write, self.writer)
        self._need(name, {"verification": verification, "steps": steps})
        item = Resource(self.name, name, read, write, steps, verification, timeout, patience)
        self._add_item(item)
        return item

    def action(
        self,
        name: str,
        *,
        read: Read,
        do: Do,
        check: Check,
        steps: Steps,
        verification: str,
        no_undo: str = "",
        opposite: Opposite | None = None,
        undo: str = "",
        timeout: float = 30.0,
        patience: float = 10.0,
    ) -> Action:
        """Register a deed; it needs either its opposite (with `undo` in words) or `no_undo`."""
        self._check_client(read, self.reader)
        self._check_client(check, self.reader)
        self._check_client(do, self.writer)
        self._need(
            name, {"verification": verification, "steps": steps, "undo or no_undo": no_undo or (opposite and undo)}
        )
        if no_undo and opposite:
            raise RegistrationError(f"{self.name}: '{name}' has both an opposite and a reason for having none.")
        item = Action(self.name, name, read, do, check, steps, verification, no_undo, opposite, undo, timeout, patience)
        self._add_item(item)
        return item

    def remediation(
        self, *, approval: Approval, uses: tuple[Resource | Action, ...], timeout: float = 20.0
    ) -> Callable[[ToolFunction], ToolFunction]:
        """Register a function that plans changes of `uses` and returns a Plan; it is handed the reader."""

        def register(function: ToolFunction) -> ToolFunction:
            self._check_signature(function, self.reader, Plan)
            if not uses:
                raise RegistrationError(
                    f"{self.name}: remediation '{function.__name__}' names nothing that it changes."
                )
            for item in uses:
                if self.items.get(item.name) is not item:
                    raise RegistrationError(
                        f"{self.name}: '{item.name}', used by '{function.__name__}', is not of this kind."
                    )
            names = tuple(item.name for item in uses)
            self._add(Tool(function.__name__, self.name, True, function, approval, names, timeout))
            return function

        return register

    def _add(self, tool: Tool) -> None:
        if not tool.doc:
            raise RegistrationError(
                f"{self.name}: tool '{tool.name}' has no docstring, which operators and models read."
            )
        if tool.name in self.tools:
            raise RegistrationError(f"{self.name}: tool '{tool.name}' is registered twice.")
        for name in set(RESERVED) & set(inspect.signature(tool.function).parameters):
            raise RegistrationError(f"{self.name}: '{tool.name}' has an argument '{name}', a name that is taken.")
        self.tools[tool.name] = tool

    def _add_item(self, item: Resource | Action) -> None:
        if item.name in self.items:
            raise RegistrationError(f"{self.name}: '{item.name}' is registered twice.")
        self.items[item.name] = item

    def _need(self, name: str, parts: dict[str, object]) -> None:
        for part, value in parts.items():
            if not value:
                raise RegistrationError(f"{self.name}: '{name}' has no {part}.")

    def _check_signature(self, function: ToolFunction, client: type[Client], returns: type) -> None:
        self._check_client(function, client)
        if _hints(function).get("return") is not returns:
            raise RegistrationError(
                f"{self.name}: '{function.__name__}' must be annotated to return {returns.__name__}."
            )

    def _check_client(self, function: Callable[..., Any], client: type[Client]) -> None:
        """The first parameter must be annotated with exactly the client it may be handed."""
        if not inspect.iscoroutinefunction(function):
            raise RegistrationError(f"{self.name}: '{function.__name__}' must be an async function.")
        first = next(iter(inspect.signature(function).parameters), None)
        if first is None or _hints(function).get(first) is not client:
            raise RegistrationError(
                f"{self.name}: the first parameter of '{function.__name__}' must be annotated {client.__name__}."
            )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    # `JSON` is an alias in words: its parts are looked up where it is used, so they are named here.
    return typing.get_type_hints(function, localns={"Mapping": Mapping, "Sequence": Sequence})
