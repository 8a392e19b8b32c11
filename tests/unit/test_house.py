"""The two numbers of the house style: no file over 400 lines, no function over 40."""

from __future__ import annotations

import ast
import gc
from pathlib import Path

import pytest

FILES = sorted(file for package in ("cockpit", "widgets", "tools") for file in Path(package).rglob("*.py"))
LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 400, 40


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_holds_one_idea_and_a_function_reads_at_a_glance(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= LINES_OF_A_FILE
    assert [name for name, lines in functions(text) if lines > LINES_OF_A_FUNCTION] == []


def test_a_function_that_is_too_long_is_found() -> None:
    assert functions("def f():\n" + "    x = 1\n" * 41) == [("f", 42)]


def functions(text: str) -> list[tuple[str, int]]:
    """Every function with its lines, the docstring not counted."""
    found = []
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = ast.get_docstring(node, clean=False) is not None
            docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
            found.append((node.name, (node.end_lineno or 0) - node.lineno + 1 - docstring))
    return found


def parsed(text: str) -> ast.Module:
    """The text as a tree.

    What is collected meanwhile may print a traceback, which is parsed too: CPython 3.11 fails at one within the other.
    """
    gc.disable()
    try:
        return ast.parse(text)
    finally:
        gc.enable()
