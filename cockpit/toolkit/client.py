"""The connection to one service that a tool is handed."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from cockpit.model import JSON, CockpitError, Service


class Client:
    """Base of every client: opened for one run of one tool, and closed after it.

    A kind has two of them: a reader that cannot write (GET only, a read-only transaction),
    handed to probes, diagnostics and plans; and a writer, handed by the executor alone to
    what applies a change. Drivers are imported in `open`, never at the top of a module.
    Errors of the driver leave as `Unreachable`, `Denied` or `Unexpected`.
    """

    def __init__(self, service: Service) -> None:
        self.service = service

    async def open(self) -> None:
        """Connect. Raises Unreachable or Denied."""

    async def close(self) -> None:
        """Disconnect; never raises."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def text(self, option: str, default: str = "") -> str:
        """An option of the service as text; raises CockpitError for any other type."""
        value = self.service.options.get(option, default)
        if not isinstance(value, str):
            raise self._wrong(option, "a text", value)
        return value

    def number(self, option: str, default: float) -> float:
        """An option of the service as a number; raises CockpitError for any other type."""
        value = self.service.options.get(option, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(option, "a number", value)
        return value

    def _wrong(self, option: str, wanted: str, value: JSON) -> CockpitError:
        return CockpitError(
            f"Option '{option}' of {self.service.name} is {type(value).__name__}, not {wanted}.",
            f"Correct it in the config under [services.{self.service.name.replace('/', '.')}].",
        )
