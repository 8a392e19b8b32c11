"""The help of a view: what its panes are for, and every key that works there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode

from cockpit.screens.view import View
from widgets.line import Ink, Line, block, column, line
from widgets.lines import Lines
from widgets.proposal import ProposalPane

MOVING = (
    ("j k ↓ ↑", "next, previous row or line"),
    ("g G", "first, last"),
    ("ctrl+d ctrl+u", "a page down, up"),
    ("tab shift+tab", "next, previous pane"),
    ("enter", "open what is under the cursor"),
    ("escape", "back"),
)
DECIDING = (("a", "approve what the pane shows"), ("d", "deny it; asks why, which may stay empty"))
ALLOWING = (("m", "let a model be asked, at the cost that is shown"), ("n", "let no model be asked"))


def help_of(view: View, room: int) -> Iterable[Line]:
    """The help of this view in lines for so many cells."""
    yield line((f" {view.NAME}", Ink.STRONG))
    yield from block("", view.HELP, room, indent=1)
    for pane in view.query(Lines):
        if pane.HELP:
            yield line()
            yield line((f" {pane.TITLE or pane.border_title or ''}", Ink.HEAD))
            yield from block("", pane.HELP, room, indent=3)
            if isinstance(pane, ProposalPane):
                yield from _keys((*DECIDING, *(ALLOWING if view.desk.models else ())), room)
            yield from _keys(_shown(pane, pane.app), room)
    for title, keys in (("Moving", MOVING), ("In this view", tuple(_shown(view, view.app)))):
        yield line()
        yield line((f" {title}", Ink.HEAD))
        yield from _keys(keys, room)
    yield line()
    yield line((" Everywhere", Ink.HEAD))
    yield from _keys(_shown(view.app, view.app), room)


def _shown(node: DOMNode, app: App[None]) -> Iterator[tuple[str, str]]:
    for binding in type(node).BINDINGS:
        if isinstance(binding, Binding) and (binding.show or binding.tooltip) and node.check_action(binding.action, ()):
            yield app.get_key_display(binding), binding.tooltip or binding.description


def _keys(keys: Iterable[tuple[str, str]], room: int) -> Iterator[Line]:
    for key, what in keys:
        yield line(("   ", Ink.PLAIN), column(key, 16, Ink.KEY), (what, Ink.PLAIN))
