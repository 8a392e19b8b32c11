"""The form of a tool, made from its schema: a service and the arguments, each with its help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

from cockpit.files import data_file
from cockpit.model import JSON, Call
from cockpit.screens.dialogs import entitle
from widgets.choice import Choice
from widgets.document import Sheet
from widgets.line import Ink, line
from widgets.lines import INKS

YES_NO = ("no", "yes")

# A JSON schema is open by nature: its parts are looked at one by one.
Property = Mapping[str, Any]


class Form(ModalScreen[Call]):
    """Asks for the service and the arguments of one tool; enter hands in the call, escape leaves.

    Args:
        tool: the tool's name.
        services: the services it can be used on.
        schema: the JSON schema of its arguments.
    """

    CSS_PATH = data_file("styles/dialogs.tcss")
    COMPONENT_CLASSES: ClassVar[set[str]] = {*INKS}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "back", id="form.back"),
        Binding("enter", "submit", "go", id="form.submit"),
    ]

    def __init__(self, tool: str, services: Sequence[str], schema: Mapping[str, Any]) -> None:
        super().__init__()
        self._tool = tool
        self._services = services
        self._properties: Mapping[str, Property] = schema.get("properties", {})
        self._required: Sequence[str] = schema.get("required", ())

    def compose(self) -> ComposeResult:
        """A field for the service and one for each argument."""
        with VerticalScroll(classes="box -form", can_focus=False):
            yield from self._labelled("service", "which service", Choice(self._services, id="service"))
            for name, field in self._properties.items():
                needed = "" if name in self._required else "may stay empty; "
                text = needed + str(field.get("description") or field.get("title") or "")
                yield from self._labelled(name, text, self._field(name, field))

    def on_mount(self) -> None:
        """Name the tool."""
        entitle(self, self._tool, "tab: next field   enter: go   escape: back")

    def _labelled(self, name: str, text: str, field: Widget) -> Iterator[Widget]:
        label = Sheet(classes="label")
        label.can_focus = False
        label.renew(lambda room: (line((f" {name}", Ink.STRONG), (f"  {text}", Ink.DIM)),))
        yield label
        yield field

    def _field(self, name: str, field: Property) -> Widget:
        default = field.get("default")
        answers = answers_of(field)
        if answers:
            given = YES_NO[bool(default)] if answers == YES_NO else str(default)
            return Choice(answers, given, id=f"field-{name}")
        shown = "" if default is None else str(default)
        return Input(shown, placeholder=str(kind_of(field).get("type", "text")), id=f"field-{name}")

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.action_submit()

    def action_submit(self) -> None:
        """Hand in the call with what has been filled in."""
        arguments: dict[str, JSON] = {}
        for name, field in self._properties.items():
            widget = self.query_one(f"#field-{name}")
            assert isinstance(widget, Input | Choice)
            if isinstance(widget, Choice) or widget.value != "":
                arguments[name] = converted(widget.value, field)
        self.dismiss(Call(self._tool, self.query_one("#service", Choice).value, arguments))


def kind_of(field: Property) -> Property:
    """The part of a property that says its type, past an `or null`."""
    for option in field.get("anyOf", ()):
        if option.get("type") != "null":
            return dict(option)
    return field


def answers_of(field: Property) -> Sequence[str]:
    """The fixed answers of a property; none when it takes free text."""
    kind = kind_of(field)
    if kind.get("type") == "boolean":
        return YES_NO
    return tuple(str(answer) for answer in kind.get("enum", ()))


def converted(text: str, field: Property) -> JSON:
    """What was typed as the type the schema asks for; what does not fit stays text, and is refused with a reason."""
    kind = kind_of(field).get("type")
    if kind == "boolean":
        return text == "yes"
    if kind == "array":
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind in ("integer", "number"):
        try:
            return int(text) if kind == "integer" else float(text)
        except ValueError:
            return text
    return text
