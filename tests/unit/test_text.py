"""Text from strangers is shown, never acted on."""

from __future__ import annotations

import random
import unicodedata

import pytest
from rich.console import Console
from textual.visual import visualize
from textual.widgets import Static

from cockpit.text import Untrusted, clean, counted, shorten
from tests.corpus import hostile

ATTACKS = hostile()
INVISIBLE = {0x3164, *range(0xFE00, 0xFE10), *range(0xE0000, 0xE01F0)}


def dangerous(text: str, kept: str = "") -> list[str]:
    """Every character that a terminal or a reader would act on instead of showing."""
    return [
        character
        for character in text
        if character not in kept
        and (unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} or ord(character) in INVISIBLE)
    ]


def test_the_corpus_is_large_enough_and_without_doubles():
    assert len(set(ATTACKS)) == len(ATTACKS) >= 500


@pytest.mark.parametrize("lines", [False, True])
def test_no_control_character_of_any_attack_survives(lines):
    kept = "\n\t" if lines else ""
    assert [text for text in ATTACKS if dangerous(clean(text, lines=lines), kept)] == []


def test_the_same_check_finds_the_attacks_when_nothing_is_cleaned():
    assert len([text for text in ATTACKS if dangerous(text)]) > 200


def test_no_control_character_of_random_text_survives():
    rng = random.Random(1)
    for _ in range(2000):
        text = "".join(
            chr(rng.choice((rng.randrange(0x100), rng.randrange(0x3000), rng.randrange(0x110000)))) for _ in range(40)
        )
        assert not dangerous(clean(text))


def test_cleaning_twice_changes_nothing_more():
    assert [text for text in ATTACKS if clean(clean(text)) != clean(text)] == []


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("a\x00b\x7f", "a␀b␡"),
        ("\x9b31m", "\\x9b31m"),
        ("exe\u202egnp", "exe\\u202egnp"),
        ("\U000e0061", "\\U000e0061"),
        ("\ud800", "\\ud800"),
        ("a\r\nb\tc", "a␍␊b␉c"),
        ("Größe 漢字 ½ 12\u00a0% ‹x›", "Größe 漢字 ½ 12\u00a0% ‹x›"),
    ],
)
def test_what_cannot_be_seen_is_made_visible_and_the_rest_is_kept(raw, shown):
    assert clean(raw) == shown


def test_lines_are_kept_where_they_are_wanted():
    assert clean("one\r\ntwo\tend\x1b\rthree\n", lines=True) == "one\ntwo\tend␛␍three\n"


def test_cleaned_text_can_be_written_as_utf8():
    assert [text for text in ATTACKS if clean(text).encode("utf-8", "replace").decode() != clean(text)] == []


def test_untrusted_text_is_literal_even_where_markup_is_parsed():
    for text in ATTACKS:
        cleaned = clean(text)
        assert str(visualize(Static(), cleaned, markup=True)) == cleaned


def test_a_plain_string_in_the_same_place_runs_its_action():
    plain = visualize(Static(), "[@click=app.approve(7)]disk ok[/]", markup=True)
    assert str(plain) == "disk ok"


def test_rich_prints_untrusted_text_literally():
    console = Console(width=200)
    with console.capture() as capture:
        console.print(Untrusted("[bold]disk[/bold] [/] ok"))
    assert capture.get() == "[bold]disk[/bold] [/] ok\n"


def test_shortened_text_says_that_and_how_much_is_missing():
    assert shorten("abc", 3) == "abc"
    assert shorten("x" * 100, 40) == "x" * 29 + "… [60 more]"[:11]
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abcdef", 1) == "…"


@pytest.mark.parametrize("limit", range(60))
def test_shortened_text_is_never_longer_than_asked(limit):
    assert len(shorten("y" * 200, limit)) <= limit


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (0, ("session",), "0 sessions"),
        (1, ("session",), "1 session"),
        (2, ("session",), "2 sessions"),
        (1234.0, ("session",), "1,234 sessions"),
        (1, ("index", "indexes"), "1 index"),
        (3, ("index", "indexes"), "3 indexes"),
        (1, ("query waits", "queries wait"), "1 query waits"),
        (2, ("query waits", "queries wait"), "2 queries wait"),
        (0.5, ("day",), "0.5 days"),
        (0.999, ("day",), "1 day"),  # the noun goes with the number as it is shown
        (-0.001, ("day",), "0 days"),
    ],
)
def test_a_count_agrees_with_its_noun_and_verb(count, words, said):
    assert counted(count, *words) == said
