"""Expressions of runbooks: what they compute, and what they refuse."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cockpit.agent.expressions import ExpressionError, argument, check, evaluate, fill, holds, shown

WORLD = {"a": {"used": 3, "limit": 4, "name": "x", "rows": [{"n": 1}, {"n": 2}]}, "level": "down"}


def test_integers_divide_like_numbers_do() -> None:
    assert holds("a.used / a.limit > 0.7", WORLD)


def test_counts_compare_with_whole_numbers() -> None:
    assert holds("a.used == 3 && a.rows.size() == 2", WORLD)


def test_rows_can_be_filtered() -> None:
    assert holds("a.rows.exists(row, row.n > 1)", WORLD)
    assert not holds("a.rows.all(row, row.n > 1)", WORLD)


@pytest.mark.parametrize("source", ["a.missing > 1", "nothing > 1", "a.name > 1", "a.rows[7].n == 1"])
def test_what_cannot_be_told_is_an_error_and_not_false(source: str) -> None:
    with pytest.raises(ExpressionError, match="cannot be told"):
        holds(source, WORLD)


def test_what_is_neither_true_nor_false_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="neither"):
        holds("a.used", WORLD)


@pytest.mark.parametrize("source", ["a.", "a >", "(", "'"])
def test_what_does_not_parse_is_named(source: str) -> None:
    with pytest.raises(ExpressionError, match="does not parse"):
        check(source)


def test_texts_show_numbers_as_people_write_them() -> None:
    assert fill("${a.used} of ${a.limit}, ${a.used / 7.0}", WORLD) == "3 of 4, 0.43"
    assert shown(1234567.0) == "1,234,567"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("counted(n, 'session')", "1 session"),
        ("counted(n + 1.0, 'session')", "2 sessions"),
        ("counted(n, 'query waits', 'queries wait')", "1 query waits"),
        ("counted(n * 1500.0, 'query waits', 'queries wait')", "1,500 queries wait"),
        ("counted(size(rows), 'row')", "3 rows"),
    ],
)
def test_a_text_says_a_count_with_its_noun(source: str, said: str) -> None:
    assert fill(f"${{{source}}}.", {"n": 1, "rows": [1, 2, 3]}) == f"{said}."


@pytest.mark.parametrize("source", ["counted(a.name, 'x')", "counted(a.used)", "counted(a.missing, 'x')"])
def test_what_cannot_be_counted_is_an_error_and_is_not_printed(source: str) -> None:
    code = (
        "from cockpit.agent.expressions import ExpressionError, evaluate\n"
        f"try: evaluate({source!r}, {WORLD!r})\n"
        "except ExpressionError: print('told')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("told", "")


def test_an_argument_that_is_one_expression_keeps_its_type() -> None:
    assert argument("${a.used * 2.0}", WORLD) == 6
    assert argument("${a.name}", WORLD) == "x"
    assert argument("pid ${a.used}", WORLD) == "pid 3"
    assert argument(True, WORLD) is True


def test_a_text_from_outside_is_a_value_and_never_an_expression() -> None:
    hostile = {"a": {"name": "${level} || true"}}
    assert fill("${a.name}", hostile) == "${level} || true"
    assert evaluate("a.name", hostile) == "${level} || true"


def test_the_command_line_of_the_package_is_not_loaded() -> None:
    code = (
        "import sys; from cockpit.agent.expressions import check; check('1 < 2');print('prompt_toolkit' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
