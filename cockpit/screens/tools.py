"""The tools: the catalogue, running a diagnostic, and dry-running a remediation."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model import Call, CockpitError
from cockpit.screens import intents
from cockpit.screens.desk import Desk
from cockpit.screens.pair import Pair, no_choice
from cockpit.screens.view import Show
from widgets.line import Ink, line
from widgets.result import failure_lines, finding_lines, planned_lines
from widgets.rows import Rows
from widgets.tools import Entry, tool_lines
from widgets.tools import Tools as ToolList


class Tools(Pair):
    """The catalogue of tools, and a way to call each."""

    NAME = "Tools"
    HELP = (
        "Every tool there is. Enter asks for its arguments; a diagnostic is run, a remediation only planned. / filters."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "propose", "propose", tooltip="propose what was planned last", id="tools.propose")
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._planned: Call | None = None
        self._result_of: str = ""

    def list(self) -> Rows:
        """The catalogue."""
        return ToolList(id="list")

    def read(self) -> Show:
        """The catalogue and the chosen tool's text; the result of a call stays until another tool is chosen."""
        tools = self._entries()
        names = [tool.name for tool in tools]
        key = self.wanted(names)
        chosen = next((tool for tool in tools if tool.name == key), None)
        write = partial(tool_lines, chosen) if chosen else no_choice

        def show() -> None:
            self.query_one(ToolList).show(tools)
            if key != self._result_of:
                self._result_of = ""
                self.detail(key, str(key or "Tool"), write)

        return show

    def _entries(self) -> Sequence[Entry]:
        engine = self.desk.engine
        if engine is None:
            return ()
        on: dict[str, list[str]] = {}
        for service in engine.services.values():
            on.setdefault(service.kind, []).append(service.name)
        return sorted(
            (
                Entry(t.name, t.kind, t.writes, t.approval, t.summary, t.doc, tuple(on.get(t.kind, ())))
                for t in engine.registry.tools.values()
            ),
            key=lambda tool: (tool.kind, tool.writes, tool.name),
        )

    def open(self, key: Hashable) -> None:
        """Ask for the arguments of a tool."""
        try:
            self._ask(str(key))
        except CockpitError as error:
            self.notify(str(error), severity="error", markup=False)

    def _ask(self, name: str) -> None:
        from cockpit.screens.form import Form
        from cockpit.toolkit.schema import schema

        engine = self.desk.acting()
        tool = engine.registry.tool(name)
        services = [service.name for service in engine.services.values() if service.kind == tool.kind]
        if not services:
            raise CockpitError(f"No {tool.kind} service is configured.", "Add one to the config.")
        self.app.push_screen(Form(name, services, schema(tool)), self._call)

    def _call(self, call: Call | None) -> None:
        if call is not None:
            self._result_of = call.tool
            self.detail(call, call.tool, lambda room: (line((f" {call.tool} on {call.service} …", Ink.DIM)),))
            self.run_worker(self._run(call), group="call", exclusive=True, exit_on_error=False)

    async def _run(self, call: Call) -> None:
        """Run the diagnostic or plan the remediation, and show what came of it."""
        self._planned = None
        try:
            engine = self.desk.acting()
            if engine.registry.tool(call.tool).writes:
                plan = await engine.dry_run(call)
                self._planned = call if plan.changes else None
                write = partial(planned_lines, call, plan)
            else:
                write = partial(finding_lines, call, await engine.inspect(call))
        except CockpitError as error:
            write = partial(failure_lines, call, str(error))
        self.detail(None, call.tool, write)
        self.query_one("#detail").focus()

    def action_propose(self) -> None:
        """Propose what was planned last; it then waits in the overview like any other."""
        if self._planned is None:
            self.notify("Plan a remediation first: enter on one, then p.", markup=False)
            return
        self.run_worker(self._propose(self._planned), group="call", exit_on_error=False)

    async def _propose(self, call: Call) -> None:
        try:
            self.notify(await intents.propose(self.desk, call), markup=False)
        except CockpitError as error:
            self.notify(str(error), severity="error", markup=False)
