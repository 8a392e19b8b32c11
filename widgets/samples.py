"""The samples of one service, each with its last reading and its recent course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from widgets.figures import number, spark
from widgets.line import Ink, Line, cells, column, line
from widgets.rows import Row, Rows


@dataclass(frozen=True)
class Sample:
    """One named reading of a service."""

    name: str
    value: float | None
    """The last reading; None when the last probe did not give it."""
    recent: tuple[float, ...] = ()
    help: str = ""
    """What it measures, with its unit."""


class Samples(Rows):
    """What the probe of a service measures."""

    TITLE = "Samples"
    HELP = "What the probe measures. The chosen sample is plotted; [ and ] change the span of the plot."
    EMPTY_TEXT: ClassVar[str] = "No sample yet: the first probe brings them."

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._samples: Sequence[Sample] = ()

    def show(self, samples: Sequence[Sample]) -> None:
        """Show these samples."""
        self._samples = samples
        self.update()

    def rows(self, room: int) -> Sequence[Row]:
        """One row a sample."""
        name = min(max((cells(sample.name) for sample in self._samples), default=8), room // 2)
        return [Row(sample.name, self._row(sample, name, room)) for sample in self._samples]

    def _row(self, sample: Sample, name: int, room: int) -> Line:
        value = "–" if sample.value is None else number(sample.value)
        bars = min(max(room - name - 16, 8), 24)
        return line(
            (" ", Ink.PLAIN),
            column(sample.name, name, Ink.STRONG),
            column(value, 10, right=True),
            (f"  {spark(sample.recent, bars)}  ", Ink.CALM),
            (sample.help if room > name + 70 else "", Ink.DIM),
        )
