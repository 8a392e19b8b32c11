"""The operator's notes: chosen by their front matter, and named with the reason where one cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit.agent.notes import LARGEST, notes_for, read

FACTS = {"services": ["redis/cache", "host/nas"], "kinds": ["redis", "host"], "alerts": ["redis-down"], "tags": ["lab"]}


def note(folder: Path, head: str, body: str = "Mind the step.") -> None:
    (folder / "note.md").write_text(f"---\n{head}\n---\n{body}\n" if head else body)


@pytest.mark.parametrize(
    ("head", "fits"),
    [
        ("", True),
        ("services: [redis/cache]", True),
        ("services: redis/cache", True),
        ("services: [redis/other]", False),
        ("kinds: [postgres, redis]", True),
        ("kinds: [redis]\nalerts: [redis-down]", True),
        ("kinds: [redis]\nalerts: [redis-slow]", False),
        ("tags: [lab]", True),
        ("tags: [prod]", False),
        ("alerts: []", True),
    ],
)
def test_every_key_that_is_given_has_to_fit(head: str, fits: bool, tmp_path: Path) -> None:
    note(tmp_path, head)
    found, wrong = notes_for(tmp_path, FACTS)
    assert [each.text for each in found] == (["Mind the step."] if fits else [])
    assert wrong == []


def test_the_most_exact_come_first(tmp_path: Path) -> None:
    for name, head in (("a", ""), ("b", "kinds: [redis]"), ("c", "kinds: [redis]\nalerts: [redis-down]")):
        note(tmp_path, head, name)
        (tmp_path / "note.md").rename(tmp_path / f"{name}.md")
    assert [each.text for each in notes_for(tmp_path, FACTS)[0]] == ["c", "b", "a"]


@pytest.mark.parametrize("body", ["- first\n- second", "text\n\n---\n\nmore", "# Heading"])
def test_what_stands_below_is_kept_as_it_is(body: str, tmp_path: Path) -> None:
    note(tmp_path, "kinds: [redis]", body)
    assert notes_for(tmp_path, FACTS)[0][0].text == body


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"---\nkinds: [redis]\nno end", "no end"),
        (b"---\nkinds: [\n---\nx", "is no YAML"),
        (b"---\n- a list\n---\nx", "is no mapping"),
        (b"---\ncolours: [red]\n---\nx", "has a key 'colours'"),
        (b"\xff\xfe", "cannot be read"),
        (b"x" * (LARGEST + 1), "larger than"),
    ],
)
def test_one_that_cannot_be_read_is_named_and_the_others_count(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "bad.md").write_bytes(content)
    note(tmp_path, "kinds: [redis]")
    notes, wrong = read(tmp_path)
    assert [each.text for each in notes] == ["Mind the step."]
    assert len(wrong) == 1
    assert "bad.md" in wrong[0]
    assert reason in wrong[0]


def test_no_folder_holds_no_notes(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == ([], [])
