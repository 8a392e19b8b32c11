"""What strangers wrote is shown, and never obeyed: by the terminal, by markup, or by a click."""

from __future__ import annotations

import ast
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.text import clean
from tests.corpus import hostile
from widgets.line import cells, cut, fit, line, plain, width, wrap
from widgets.literal import harmless

ROOT = Path(__file__).parents[2]
OURS = [
    *sorted((ROOT / "widgets").glob("*.py")),
    *sorted((ROOT / "cockpit/screens").glob("*.py")),
    ROOT / "cockpit/app.py",
]

PARSES = {"Static", "Label", "Markdown", "Button", "Checkbox", "RadioButton", "Log", "RichLog"}
"""Widgets that read markup in what they are given, or let control characters through; none of them is used."""
ALLOWED = b"|".join(
    (
        rb"\x1b\[[\d;]*m",
        rb"\x1b\[\d+;\d+H|\x1b\[\d+G",
        rb"\x1b\[\?(?:7|25|1000|1003|1004|1006|1015|1049|2004|2026|2048)[hl]",
        rb"\x1b\[\?(?:2026|2048)\$p|\x1b\[[<>]\d*u",
        rb"\x1b\]22;[a-z-]+\x07",
    )
)
"""What the screen itself sends, and no more: colours, moves, Textual's modes and queries, the pointer's shape."""


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_nothing_is_shown_through_a_widget_that_reads_markup(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert name not in PARSES, f"{file.name}:{node.lineno}: {name}"
            assert name not in ("from_markup", "render_markup"), f"{file.name}:{node.lineno}"
            if name == "notify":
                literal = {part.arg: part.value for part in node.keywords}.get("markup")
                assert isinstance(literal, ast.Constant), f"{file.name}:{node.lineno}: notify without markup=False"
                assert literal.value is False, f"{file.name}:{node.lineno}: notify without markup=False"


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_titles_are_set_as_content_only(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Assign):
            titled = [each for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Attribute)]
            if any(each.attr in ("border_title", "border_subtitle", "tooltip") for each in titled):
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                assert all(isinstance(v, ast.Call) and getattr(v.func, "id", "") == "Content" for v in values), (
                    f"{file.name}:{node.lineno}"
                )


@pytest.mark.parametrize("text", hostile())
def test_a_line_shows_every_hostile_text_within_its_room(text: str) -> None:
    for room in (1, 7, 40):
        shown = fit(line(text), room)
        assert width(shown) <= room
        assert clean(plain(shown)) == plain(shown)
        assert all(cells(piece) <= max(room, 2) for piece in wrap(text[:500], room))
        assert cells(cut(clean(text), room)) <= room


@pytest.mark.parametrize("text", hostile())
def test_the_last_gate_leaves_nothing_that_acts_and_keeps_the_width(text: str) -> None:
    shown = harmless(text)
    assert clean(shown) == shown


def bytes_of_a_screen(folder: Path, *flags: str) -> bytes:
    """What the app writes to its terminal while every view of a store full of hostile text is visited and clicked."""
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "120", "LINES": "40"}
    terminal, other = pty.openpty()
    subprocess.run(["stty", "rows", "40", "cols", "120"], stdin=other, check=True)
    command = [sys.executable, "-m", "tests.screens.hostile_app", str(folder), *flags]
    process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=environment, cwd=ROOT)
    os.close(other)
    try:
        return b"".join(read_until_end(terminal, process))
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def read_until_end(terminal: int, process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Everything until the program ends, for four minutes at the most."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        if ready:
            try:
                yield os.read(terminal, 1 << 16)
            except OSError:
                return
        elif process.poll() is not None:
            return
    raise AssertionError("the app does not end")


def what_acts(written: bytes) -> list[bytes]:
    """Control characters that are no sequence of Textual's own, and invisible characters of any kind."""
    rest = re.sub(ALLOWED, b"", written)
    rest = rest.replace(b"\r", b"").replace(b"\n", b"")
    text = rest.decode("utf-8", errors="replace")
    return [each.encode("unicode_escape") for each in text if clean(each) != each]


def test_no_byte_of_theirs_reaches_the_terminal_from_any_view(tmp_path: Path) -> None:
    written = bytes_of_a_screen(tmp_path)
    assert b"ended well" in written, written[-2000:]
    assert what_acts(written) == []


def test_the_same_screen_without_its_gates_is_caught(tmp_path: Path) -> None:
    written = bytes_of_a_screen(tmp_path, "--without-gates")
    assert len(what_acts(written)) > 200
