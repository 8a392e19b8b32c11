"""A field with a few fixed answers, one of which is chosen by the arrow keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from widgets.line import Ink, Line, Part, line
from widgets.lines import Lines


class Choice(Lines):
    """One of a few answers on one line; left, right and space go between them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "step(1)", "next answer", id="choice.next"),
        Binding("left", "step(-1)", "previous answer", show=False, id="choice.previous"),
    ]

    def __init__(self, answers: Sequence[str], answer: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._answers = answers
        self._at = answers.index(answer) if answer in answers else 0

    @property
    def value(self) -> str:
        """The chosen answer."""
        return self._answers[self._at] if self._answers else ""

    def body(self, room: int) -> Sequence[Line]:
        """Every answer, the chosen one marked."""
        parts: list[Part] = []
        for index, answer in enumerate(self._answers):
            here = index == self._at
            parts.append((f" ▸{answer} " if here else f"  {answer} ", Ink.HERE if here else Ink.DIM))
        return [line(*parts)]

    def action_step(self, by: int) -> None:
        """Choose another answer."""
        if self._answers:
            self._at = (self._at + by) % len(self._answers)
            self.update()

    def on_click(self, event: events.Click) -> None:
        """Choose the next answer."""
        self.action_step(1)
