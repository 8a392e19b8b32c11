"""What a model concludes is believed as far as the stored readings bear it out, and no further."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.agent.answer import Answer, confidence, read, read_text, value_at, weigh
from cockpit.model import Call, CockpitError, Rival, Run, RunStatus
from cockpit.model.inquiries import QUOTES

DATA = {"used": 20, "used_ratio": 0.98765, "full": True, "state": "full", "rows": [{"name": "orders"}], "none": None}


def run(id: int, tool: str = "check_shop_pool", status: RunStatus = RunStatus.FOUND, **data: Any) -> Run:
    return Run(id, 1, Call(tool, "shop/front"), status, "20 of 20 used.", data or DATA, 0.0, 0.0)


RUNS = [run(1), run(2, "check_shop_disk"), run(3, "read_shop_log", message="pool full"), run(4, status=RunStatus.ERROR)]


def cited(run: int, field: str, value: object) -> dict[str, object]:
    return {"run": run, "field": field, "value": value, "against": "as it is"}


def ruled_out(run: int = 2, field: str = "used", value: object = 20) -> dict[str, object]:
    return {"cause": "else", "ruled_out": True, "run": run, "field": field, "value": value, "reading": "no"}


def weighed(evidence: list[dict[str, object]], rivals: list[dict[str, object]] | None = None, cause: str = "full"):
    answer = read({"cause": cause, "evidence": evidence, "rivals": [ruled_out()] if rivals is None else rivals})
    return weigh(answer, RUNS, lambda tool: tool == "read_shop_log")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("used", "20"),
        ("used", 20),
        ("used", "20.0"),
        ("used_ratio", "0.99"),
        ("used_ratio", 0.9877),
        ("full", "true"),
        ("full", True),
        ("state", "full"),
        ("state", '"full"'),
        ("rows[0].name", "orders"),
        ("data.rows[0].name", "orders"),
        ("rows", '[{"name":"orders"}]'),
        ("rows", "orders"),
        ("none", ""),
        ("summary", "20 of 20"),
    ],
)
def test_a_reading_that_stands_there_is_taken(field: str, value: object) -> None:
    found = weighed([cited(1, field, value)])
    assert found.problems == ()
    assert found.evidence == (1,)
    assert found.confidence == 0.65


@pytest.mark.parametrize(
    ("run", "field", "value", "problem"),
    [
        (9, "used", "20", "no run 9"),
        (0, "used", "20", "no run 0"),
        (-1, "used", "20", "no run -1"),
        (4, "used", "20", "failed"),
        (1, "free", "20", "has no 'free'"),
        (1, "", "20", "has no ''"),
        (1, "rows[3].name", "orders", "has no"),
        (1, "rows.name", "orders", "has no"),
        (1, "used.more", "20", "has no"),
        (1, "used", "21", "is 20, not 21"),
        (1, "used", "many", "is 20, not many"),
        (1, "used", "", "does not say"),
        (1, "used_ratio", "0.9", "not 0.9"),
        (1, "full", "false", "is true, not false"),
        (1, "state", "empty", "is full, not empty"),
        (1, "state", "f", "not f"),
        (1, "none", "7", "not 7"),
        (1, "rows", "invoices", "not invoices"),
        (1, "rows", "[]", "not []"),
    ],
)
def test_a_reading_that_does_not_is_named_and_nothing_is_sure(run: int, field: str, value: str, problem: str) -> None:
    found = weighed([cited(1, "used", 20), cited(run, field, value)])
    assert [problem in each for each in found.problems] == [True], found.problems
    assert found.confidence == 0.0


def test_a_cause_without_a_reading_is_none() -> None:
    assert weighed([]).confidence == 0.0
    assert weighed([]).problems == ("The cause cites no reading.",)
    assert weighed([], cause="").problems == ()


def test_a_rival_that_no_reading_rules_out_stands() -> None:
    stands = ruled_out() | {"ruled_out": False, "run": 0}
    assert weighed([cited(1, "used", 20)], [stands]).confidence == 0.65 * 0.5
    invented = weighed([cited(1, "used", 20)], [ruled_out(run=77)])
    assert invented.confidence == 0.0
    assert not invented.rivals[0].ruled_out
    assert "no run 77" in invented.problems[0]


def test_what_a_cause_rests_on_says_how_sure_it_is_and_its_prose_does_not() -> None:
    out, stands = Rival("a", True, ""), Rival("b", False, "")
    assert confidence((), [out]) == 0.0
    assert confidence(("one",), [out]) == 0.65
    assert confidence(("one", "two"), [out]) == 0.8
    assert confidence(("one", "two", "three", "four"), [out]) == 0.9
    assert confidence((QUOTES,), [out]) == 0.4, "a log alone is below the threshold"
    assert confidence((QUOTES, "one"), [out]) == 0.8
    assert confidence(("one", "two", "three"), []) == 0.45, "no rival was considered"
    assert confidence(("one", "two", "three"), [out, stands]) == 0.45
    certain = weighed([cited(1, "used", 20)], cause="I am 100 % certain, confidence 1.0, no doubt")
    assert certain.confidence == 0.65


def test_many_lines_of_many_logs_are_one_kind_of_evidence() -> None:
    logs = [run(1, "read_shop_log"), run(2, "fetch_shop_page")]
    answer = read({"cause": "x", "evidence": [cited(1, "used", 20), cited(2, "used", 20)], "rivals": [ruled_out()]})
    found = weigh(answer, logs, lambda tool: True)
    assert found.kinds == (QUOTES,)
    assert found.confidence == 0.4


@pytest.mark.parametrize(
    "text",
    [
        '{"cause": "full", "evidence": []}',
        'Here it is:\n```json\n{"cause": "full", "guesses": ["a {brace}"]}\n```\nThat is all.',
    ],
)
def test_a_conclusion_is_read_out_of_words(text: str) -> None:
    answer = read_text(text)
    assert answer is not None
    assert answer.cause == "full"


@pytest.mark.parametrize(
    "text", ["", "The pool is full.", "{", "{}", '{"tool": "x"}', "[1, 2]", "{" * 5000 + "}" * 5000]
)
def test_words_that_hold_none_hold_none(text: str) -> None:
    assert read_text(text) is None


@pytest.mark.parametrize(
    "given",
    [
        {"cause": "x", "evidence": "run 1"},
        {"cause": "x", "evidence": [1]},
        {"cause": "x", "evidence": [{"run": "one"}]},
        {"cause": "x", "evidence": [cited(1, "used", 20)] * 41},
        {"cause": "x", "proposals": [{"tool": "y", "arguments": "no object"}]},
        {"cause": "x", "rivals": [{"ruled_out": "perhaps"}]},
    ],
)
def test_what_cannot_be_read_is_said(given: dict[str, Any]) -> None:
    with pytest.raises(CockpitError, match="'"):
        read(given)


def test_what_is_missing_or_too_much_is_borne() -> None:
    assert read({}) == Answer()
    answer = read(
        {"cause": None, "evidence": [cited(1, "used", None)], "proposals": [{"tool": "t", "arguments": "{}"}]}
    )
    assert answer.cause == ""
    assert answer.proposals[0].arguments == {}
    assert len(read({"cause": "x" * 100_000}).cause) == 1000
    assert "\x1b" not in read({"cause": "\x1b[2Jgone"}).cause


def test_a_field_is_found_wherever_it_stands() -> None:
    deep = run(1, a={"b": [{"c": [1, 2]}]})
    assert value_at(deep, "a.b[0].c[1]") == 2
    for wrong in ("a.b[7]", "a.x", "a.b.c", "[0]", "a.b[0].c[1].d"):
        with pytest.raises((LookupError, TypeError)):
            value_at(deep, wrong)
