"""From a lesson to a runbook in YAML: conditions and figures generalised where the log allows it, else asked for."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from cockpit.agent.answer import PART, Considered, Reading, value_at
from cockpit.agent.learning import Lesson
from cockpit.model import JSON, Call
from cockpit.text import shorten
from cockpit.toolkit import Registry

ASK = "# ASK:"
"""How a comment begins that a person has to answer before the runbook counts."""
CONFIDENCE = 0.8
RESERVED = frozenset(
    (
        *(
            "in",
            "as",
            "break",
            "const",
            "continue",
            "else",
            "for",
            "function",
            "if",
            "import",
            "let",
            "loop",
            "package",
        ),
        *("namespace", "return", "var", "void", "while", "true", "false", "null"),
        *("alert", "samples", "level", "summary", "latency", "service"),
    )
)
"""Words that CEL keeps, and names that every runbook's expressions have already."""
WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,23}")
"""A text that says what something is; others name one thing of this one incident."""


@dataclass
class Draft:
    """Writes one runbook, and keeps what has to be asked."""

    lesson: Lesson
    registry: Registry
    names: dict[int, str] = field(default_factory=dict)
    """By run, the name that its look goes by."""

    @property
    def id(self) -> str:
        """The runbook's name."""
        return f"learned-{next(iter(self.lesson.alerts), self.lesson.kind).lower()}-{self.lesson.incident.id}"

    def text(self) -> str:
        """The draft as YAML; comments that begin with `# ASK:` want an answer."""
        self.names = self._named()
        lines = [
            f"# Learned from incident {self.lesson.incident.id}: {_bare(self.lesson.incident.title)}",
            f"kind: {self.lesson.kind}",
            "runbooks:",
            f"  - id: {_quoted(self.id)}",
            f"    learned: {self.lesson.incident.id}",
            f"    title: {_quoted(shorten(_bare(self.lesson.answer.cause), 80))}",
            f"    alerts: {json.dumps(list(self.lesson.alerts), ensure_ascii=False)}",
            "    look:",
            *(f"      {name}: {self._call(self.lesson.runs[run].call)}" for run, name in self._looks()),
            *self._holds(),
            *self._rivals(),
            *self._cause(),
            f"    confidence: {CONFIDENCE}",
            *self._remedy(),
        ]
        return "\n".join(lines) + "\n"

    def _named(self) -> dict[int, str]:
        """A name for each run's look, short and its own; runs of the same call share one."""
        names: dict[int, str] = {}
        taken: dict[str, str] = {}
        for run in self.lesson.runs.values():
            call = json.dumps([run.call.tool, dict(run.call.arguments)], sort_keys=True)
            base = re.sub(rf"^(check|get|list|find|analyze)_|_?{self.lesson.kind}_?", "", run.call.tool) or "look"
            name = next(name for name in _numbered(base) if taken.get(name, call) == call)
            taken[name] = call
            names[run.id] = name
        return names

    def _looks(self) -> list[tuple[int, str]]:
        return list({name: (run, name) for run, name in self.names.items()}.values())

    def _call(self, call: Call) -> str:
        arguments = f", with: {json.dumps(dict(call.arguments), ensure_ascii=False)}" if call.arguments else ""
        return f"{{tool: {call.tool}{arguments}}}"

    def _holds(self) -> Iterator[str]:
        conditions = []
        for reading in self.lesson.answer.evidence:
            condition, ask = self._condition(reading)
            if ask:
                yield f"    {ASK} {ask}"
            if condition and condition not in conditions:
                conditions.append(condition)
        if not conditions:
            yield f"    {ASK} which reading shows the cause? None that was cited can stand in a condition."
        yield f"    holds: {_quoted(' && '.join(conditions) or 'false')}"

    def _rivals(self) -> Iterator[str]:
        ruled_out = [rival for rival in self.lesson.answer.rivals if rival.ruled_out and rival.run in self.names]
        if ruled_out:
            yield "    rivals:"
        for rival in ruled_out:
            condition, ask = self._condition(rival)
            yield f"      - cause: {_quoted(_bare(rival.cause))}"
            if ask:
                yield f"        {ASK} {ask}"
            yield f"        ruled_out: {_quoted(condition or 'false')}"
            path = self._path(rival)
            reading = f"{_bare(rival.field)} is ${{{path}}}" if path else _bare(rival.reading)
            yield f"        reading: {_quoted(reading)}"

    def _condition(self, reading: Reading | Considered) -> tuple[str, str]:
        """A condition that this reading fulfils and others do not, and what has to be asked about it."""
        path = self._path(reading)
        if not path:
            return "", f"'{_bare(reading.field)}' of {self._tool(reading)} was cited, which no condition can name."
        value = value_at(self.lesson.runs[reading.run], reading.field)
        if isinstance(value, bool):
            return (path if value else f"!{path}"), _place(reading)
        if isinstance(value, int | float):
            return self._bound(reading, path, float(value))
        if isinstance(value, str):
            ask = "" if WORD.fullmatch(value) else f"'{_bare(value)}' names one thing of that incident; which is meant?"
            return f"{path} == {_literal(value)}", ask or _place(reading)
        return f"size({path}) > 0" if value else f"size({path}) == 0", ""

    def _bound(self, reading: Reading | Considered, path: str, value: float) -> tuple[str, str]:
        """A bound between this figure and those of other incidents; without any, one that a person has to set."""
        found = self.lesson.elsewhere(reading)
        others = [float(each) for each in found if isinstance(each, int | float) and not isinstance(each, bool)]
        against = reading.against if isinstance(reading, Reading) else "as it is"
        below = [other for other in others if other < value]
        above = [other for other in others if other > value]
        if value == 0.0:
            return f"{path} == 0.0", _place(reading)
        if others and not above and len(below) == len(others) and against != "low":
            return f"{path} > {_between(max(below), value)}", _place(reading)
        if others and not below and len(above) == len(others) and against != "high":
            return f"{path} < {_between(value, min(above))}", _place(reading)
        sign, words = ("<=", "up to") if against == "low" or isinstance(reading, Considered) else (">=", "from")
        seen = f"elsewhere it was {min(others):g} to {max(others):g}" if others else "it was seen nowhere else"
        return f"{path} {sign} {value!r}", f"{words} which value of '{_bare(reading.field)}'? It was {value:g}; {seen}."

    def _cause(self) -> Iterator[str]:
        text = _bare(self.lesson.answer.cause)
        for reading in self.lesson.answer.evidence:
            path = self._path(reading)
            value = value_at(self.lesson.runs[reading.run], reading.field) if path else None
            if path and not isinstance(value, bool) and isinstance(value, int | float | str) and str(value):
                shown = re.escape(f"{value:g}" if isinstance(value, float) else str(value))
                hole = f"${{{path}}}".replace("\\", r"\\")
                text = re.sub(rf"(?<![\w.$]){shown}(?![\w.%])", hole, text, count=1)
        if re.search(r"\d", re.sub(r"\$\{[^}]*\}", "", text)):
            yield f"    {ASK} the figures in this sentence are that incident's; write ${{look.field}} in their place."
        yield f"    cause: {_quoted(text)}"

    def _remedy(self) -> Iterator[str]:
        call, advice = self.lesson.remedy, _bare(self.lesson.answer.next_look)
        if call is not None:
            yield "    propose:"
            given, asks = [], []
            for name, value in call.arguments.items():
                text, ask = self._argument(name, value)
                given.append(f"{name}: {text}")
                asks += [ask] if ask else []
            yield from (f"      {ASK} {ask}" for ask in asks)
            arguments = f", with: {{{', '.join(given)}}}" if given else ""
            yield f"      - {{tool: {call.tool}{arguments}}}"
        if advice or call is None:
            if not advice:
                yield f"    {ASK} what should a person do? Nothing was carried out."
            yield f"    advice: {_quoted(advice or 'Look at it.')}"

    def _argument(self, name: str, value: JSON) -> tuple[str, str]:
        """An argument as it is in a reading, or as it was, with what has to be asked about it."""
        for run, look in self._looks():
            for path, found in _leaves(self.lesson.runs[run].data):
                if found == value and not isinstance(found, bool) and found not in (0, 1, ""):
                    return _quoted(f"${{{look}{path}}}"), "" if "[" not in path else f"is '{name}' always the first?"
        if isinstance(value, bool) or (isinstance(value, str) and WORD.fullmatch(value)):
            return json.dumps(value, ensure_ascii=False), ""
        return json.dumps(
            value, ensure_ascii=False
        ), f"'{name}' was {_bare(json.dumps(value))}; which is right next time?"

    def _path(self, reading: Reading | Considered) -> str:
        """The place of a reading in CEL; empty when no expression can name it."""
        if reading.run not in self.names:
            return ""
        run, parts = self.lesson.runs[reading.run], []
        if reading.field == "summary" and "summary" not in run.data:
            return ""
        for name, index in PART.findall(reading.field.removeprefix("data.")):
            parts.append(f"[{index}]" if index else _member(name.strip()))
        return self.names[reading.run] + "".join(parts)

    def _tool(self, reading: Reading | Considered) -> str:
        return self.lesson.runs[reading.run].call.tool if reading.run in self.lesson.runs else "no run"


def _leaves(value: JSON, path: str = "") -> Iterator[tuple[str, JSON]]:
    """Every single value with its place."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, path + _member(str(name)))
    elif isinstance(value, list):
        for index, part in enumerate(value[:1]):
            yield from _leaves(part, f"{path}[{index}]")
    else:
        yield path, value


def _numbered(base: str) -> Iterator[str]:
    name = re.sub(r"\W", "_", base)
    yield name if name not in RESERVED and not keyword.iskeyword(name) and not name[0].isdigit() else f"{name}_look"
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def _member(name: str) -> str:
    return f".{name}" if re.fullmatch(r"[A-Za-z_]\w*", name) and name not in RESERVED else f"[{json.dumps(name)}]"


def _place(reading: Reading | Considered) -> str:
    return (
        f"the first of many was meant, '{_bare(reading.field)}'; is it always the first?"
        if "[" in reading.field
        else ""
    )


def _between(low: float, high: float) -> str:
    """The roundest number between two, as a double."""
    middle = (low + high) / 2
    for digits in range(1, 17):
        rounded = float(f"{middle:.{digits}g}")
        if low < rounded < high:
            return repr(rounded)
    return repr(middle)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _bare(text: str) -> str:
    """A model's words on one line, with nothing in them that would be an expression."""
    return " ".join(text.replace("${", "$ {").split())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
