"""What a scripted model is asked, and the steps of its script: it answers, wants tools, fails, hangs or breaks off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    headers: Mapping[str, str]
    body: Mapping[str, Any]
    at: float
    """By the monotonic clock."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body["messages"])

    @property
    def text(self) -> str:
        """All that the messages say, one after the other."""
        return "\n".join(_text(message.get("content")) for message in self.messages)

    @property
    def results(self) -> list[str]:
        """What tools returned, oldest first."""
        return [_text(message["content"]) for message in self.messages if message["role"] == "tool"]

    @property
    def tools(self) -> list[str]:
        """The names of the tools on offer."""
        return [tool["function"]["name"] for tool in self.body.get("tools", ())]


@dataclass(frozen=True)
class Says:
    """An answer in words."""

    text: str
    usage: tuple[int, int] | None = None
    """Input and output tokens; counted from the text where it is None."""
    finish: str = "stop"
    """`length`, `content_filter` and the like."""
    refusal: str = ""
    """What OpenAI's models say in place of an answer that they will not give."""


@dataclass(frozen=True)
class Wants:
    """Tools to be called: names with their arguments; a text for arguments is sent as it is, be it JSON or not."""

    calls: tuple[tuple[str, Mapping[str, Any] | str], ...]
    text: str = ""
    usage: tuple[int, int] | None = None

    def __init__(
        self, *calls: tuple[str, Mapping[str, Any] | str], text: str = "", usage: tuple[int, int] | None = None
    ):
        for name, value in (("calls", calls), ("text", text), ("usage", usage)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Fails:
    """An error: 401, 404, 429, 500 …; a text for a body is sent as it is, such as an HTML page."""

    status: int
    message: str = "The scripted server fails as it was told."
    retry_after: float | None = None
    code: str = ""
    """OpenAI's own, such as `context_length_exceeded` or `content_filter`."""
    body: str | None = None
    content_type: str = "text/html"


@dataclass(frozen=True)
class Hangs:
    """The request is taken and never answered."""


@dataclass(frozen=True)
class Drips:
    """The words of an answer, one delta at a time with a pause after each."""

    text: str
    every: float = 0.1


@dataclass(frozen=True)
class Cuts:
    """A stream that ends within its answer, the connection reset."""

    text: str
    after: int = 2
    """Deltas that come before."""


@dataclass(frozen=True)
class Raw:
    """A body as it is, with status 200."""

    body: str
    content_type: str = "application/json"


Step: TypeAlias = Says | Wants | Fails | Hangs | Drips | Cuts | Raw
Script: TypeAlias = Sequence[Step] | Callable[[Asked], Step]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content or ())
