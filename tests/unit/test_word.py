"""What a model proposes waits for a person, says so, and carries its warnings into the diff."""

from __future__ import annotations

import pytest

from cockpit.model import Approval, Call, Change, Plan, Refused
from cockpit.model.inquiries import QUOTES, Word
from cockpit.safety.policy import Ruling
from cockpit.safety.word import corroborate, marked, on_its_word
from widgets.line import plain
from widgets.plan import plan_lines

CALL = Call("set_it", "redis/cache", {"key": "planted", "size": 4711, "deep": {"names": ["fine"]}})


def change(**more: str) -> Change:
    return Change("redis/cache", "setting", "a", "1", "2", ("SET a 2",), "It reads 2.", **more)


def word(*kinds: str, **more: object) -> Word:
    return Word("mini", kinds, near=("redis/cache",), **more)  # type: ignore[arg-type]  # keywords of a word


@pytest.mark.parametrize(
    ("kinds", "passes"),
    [((), False), (("a",), False), (("a", "a"), False), ((QUOTES,), False), (("a", QUOTES), True), (("a", "b"), True)],
)
def test_what_cannot_be_undone_needs_two_kinds(kinds: tuple[str, ...], passes: bool) -> None:
    final = Plan("Kill", (change(undo="back"), change(no_undo="It is gone.")))
    if passes:
        corroborate(final, word(*kinds))
    else:
        with pytest.raises(Refused, match="cannot be undone"):
            corroborate(final, word(*kinds))
    corroborate(Plan("Set", (change(undo="back"),)), word(*kinds))


def test_hearsay_stands_in_the_diff_and_leaves_the_rest_as_it_is() -> None:
    heard = word("a", hearsay={"planted": "stands in a label alone", "4711": "was read nowhere", "other": "x"})
    shown = marked(Plan("Set", (change(undo="back"),)), CALL, heard)
    assert shown.changes[0].warnings == ("'planted' stands in a label alone", "'4711' was read nowhere")
    assert marked(shown, Call("set_it", "redis/cache", {"key": "fine"}), heard) is shown
    text = [plain(line) for line in plan_lines(shown, 100)]
    assert any(line.startswith(" Beware") and "'planted' stands in a label alone" in line for line in text)
    assert not any("Observed" in line for line in text)


@pytest.mark.parametrize(
    ("call", "unasked", "own", "approval", "why"),
    [
        (CALL, (), Approval.SOFT, Approval.HARD, "Only the model mini says so."),
        (CALL, ("set_it",), Approval.SOFT, Approval.SOFT, "own"),
        (CALL, (), Approval.FORBIDDEN, Approval.FORBIDDEN, "own Only the model mini says so."),
        (Call("set_it", "redis/other"), ("set_it",), Approval.NONE, Approval.HARD, "redis/other is not a service of"),
    ],
)
def test_a_person_decides(call: Call, unasked: tuple[str, ...], own: Approval, approval: Approval, why: str) -> None:
    ruling = on_its_word(Ruling(own, "own"), call, word("a"), unasked)
    assert ruling.approval is approval
    assert ruling.why.startswith(why)
