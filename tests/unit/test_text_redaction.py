"""Secrets leave by no exit: known values in every form, others by their shape."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import urllib.parse
import uuid

import pytest

from cockpit.model import Service
from cockpit.secret_patterns import hinted, rules
from cockpit.text import Redactor
from tests.corpus import hostile, known_secrets, secret_lines
from tools.control import ServiceControl

KNOWN = known_secrets()
PLANTED, LOOKALIKES = secret_lines()


def knowing(*secrets: str) -> Redactor:
    redactor = Redactor()
    for number, secret in enumerate(secrets):
        redactor.add(secret, f"service/{number}.key")
    return redactor


def forms(secret: str) -> dict[str, str]:
    data = secret.encode()
    return {
        "plain": secret,
        "url": urllib.parse.quote(secret, safe=""),
        "form": urllib.parse.quote_plus(secret),
        "json": json.dumps({"x": secret}),
        "base64": base64.b64encode(data).decode(),
        "urlsafe base64": base64.urlsafe_b64encode(data).decode().rstrip("="),
        "base64 behind a name": base64.b64encode(b"bob:" + data).decode(),
        "base64 behind a longer name": base64.b64encode(b"robert:" + data + b"!").decode(),
        "base64 in the middle": base64.urlsafe_b64encode(b"no" + data + b"end").decode(),
    }


def leaked(text: str, secret: str) -> bool:
    """Whether the secret, or all but the ends of its base64 form, can be read in the text."""
    shown = {form for form in forms(secret).values() if form in text}
    cores = [base64.b64encode(bytes(n) + secret.encode()).decode()[4:-4] for n in range(3)]
    return bool(shown) or any(core in text.replace("-", "+").replace("_", "/") for core in cores if len(core) >= 8)


def test_every_known_value_is_found_in_every_form():
    redactor = knowing(*KNOWN)
    for secret in KNOWN:
        for name, form in forms(secret).items():
            assert not leaked(redactor.redact(f"log line {form} end"), secret), (name, form)


def test_every_planted_known_value_is_found_at_each_exit():
    redactor = knowing(*KNOWN)
    for secret, line in zip(KNOWN, PLANTED, strict=True):
        text = line.text.replace(line.secrets[0], secret)
        stored = json.dumps(redactor.scrub({"log": [text], text: 1}), ensure_ascii=False)
        for exit_text in (
            redactor.redact(text),
            stored,
            str(redactor.scrub(text)),
            redactor.redact(f"Traceback: {text!r}"),
        ):
            assert not leaked(exit_text, secret), text


def test_a_redactor_that_knows_nothing_leaks_those_values():
    assert sum(leaked(Redactor().redact(f"log line {secret} end"), secret) for secret in KNOWN) > 140


def test_secrets_nobody_told_us_are_found_by_their_shape():
    redactor = Redactor()
    missed = [line.text for line in PLANTED if any(secret in redactor.redact(line.text) for secret in line.secrets)]
    assert len(PLANTED) == 150
    assert len(missed) <= 0.05 * len(PLANTED), missed


def test_what_only_looks_like_a_secret_stays_readable():
    redactor = Redactor()
    touched = [line.text for line in LOOKALIKES if redactor.redact(line.text) != line.text]
    assert len(LOOKALIKES) == 156
    assert len(touched) <= 0.02 * len(LOOKALIKES), touched


def test_digests_uuids_and_hashes_are_never_touched():
    redactor = knowing(*KNOWN)
    for number in range(500):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        text = f"digest {digest} commit {digest[:40]} id {uuid.UUID(digest[:32])} md5 {digest[:32]}"
        assert redactor.redact(text) == text


def test_the_same_secret_has_the_same_placeholder_and_others_have_another():
    redactor = Redactor()
    once = redactor.redact("password=hunter2hunter, token=abcdefg123")
    assert once == "password=‹secret:1›, token=‹secret:2›"
    assert redactor.redact("PGPASSWORD=hunter2hunter psql") == "PGPASSWORD=‹secret:1› psql"


def test_a_named_secret_is_called_by_its_name():
    redactor = Redactor()
    redactor.add("correct horse", "postgres/main.password")
    redactor.add("another horse", "postgres/main.password")
    assert redactor.redact("correct horse, another horse") == "‹secret:postgres/main.password›, ‹secret:1›"


def test_a_secret_first_met_by_its_shape_is_known_once_it_is_registered():
    redactor = Redactor()
    redactor.redact("password=hunter2hunter")
    redactor.add("hunter2hunter")
    assert redactor.redact("it was hunter2hunter") == "it was ‹secret:1›"


def test_redacting_twice_changes_nothing_more():
    redactor = knowing(*KNOWN)
    for line in [*PLANTED, *LOOKALIKES]:
        once = redactor.redact(line.text)
        assert redactor.redact(once) == once


def test_a_short_word_as_a_password_spoils_no_other_word():
    assert knowing("test", "abc").redact("latest test abc abcdef") == "latest ‹secret:service/0.key› abc abcdef"


def test_scrubbing_cleans_and_redacts_every_string_and_key():
    redactor = knowing("hunter2hunter")
    value = {"a\x1b": ["x\x1b[2J\n", 1, 2.5, None, True], "hunter2hunter": {"n": ("hunter2hunter",)}}
    place = "‹secret:service/0.key›"
    assert redactor.scrub(value) == {"a␛": ["x␛[2J\n", 1, 2.5, None, True], place: {"n": [place]}}


def test_what_stands_under_a_secrets_name_is_replaced_whatever_it_looks_like():
    redactor = Redactor()
    scrubbed = redactor.scrub(
        {"db_password": "x", "apiToken": {"value": ["y"], "uses": 3}, "tokens": "5", "password": ""}
    )
    assert scrubbed == {
        "db_password": "‹secret:1›",
        "apiToken": {"value": ["‹secret:2›"], "uses": 3},
        "tokens": "5",
        "password": "",
    }
    assert redactor.scrub(scrubbed) == scrubbed


def test_endless_nesting_ends():
    value: object = "end"
    for _ in range(5000):
        value = [value]
    assert "…" in str(Redactor().scrub(value))


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "status"])
def test_what_systemd_is_asked_for_is_shown_as_it_is(verb):
    step = ServiceControl(Service("host/local", {"unit": "nginx.service"})).step(verb)
    assert Redactor().redact(step) == step


@pytest.mark.parametrize(
    "seed", ["password=", "://a:", "-----BEGIN PRIVATE KEY-----", " -pA1", "eyJabcdefgh.", "mysql ", "token: ", '\\"']
)
def test_no_text_makes_the_search_slow(seed):
    started = time.process_time()
    knowing(*KNOWN[:20]).redact(seed * (200_000 // len(seed)))
    assert time.process_time() - started < 4


def test_a_secret_among_attacks_is_still_found():
    redactor = knowing("hunter2hunter")
    assert [text for text in hostile() if "hunter2hunter" in redactor.redact(f"{text}hunter2hunter{text}")] == []


def test_hints_are_found_in_a_long_text_as_one_by_one():
    texts = [line.text.lower() for line in (*PLANTED, *LOOKALIKES)] + [text.lower() for text in hostile()]
    for text in [*texts, "\n".join(texts), ""]:
        wanted = [([hint for hint in rule.hints if hint in text], rule.pattern) for rule in rules()]
        assert hinted(text) == [(hints, pattern) for hints, pattern in wanted if hints]
    assert all(hint == hint.lower() for rule in rules() for hint in rule.hints)


def test_the_seed_of_a_nats_user_is_found_among_many_texts():
    seed = "SU" + "A7" * 28
    texts = [f"Something is so {number}" for number in range(30)] + [f"seed {seed} end"]
    assert seed not in json.dumps(Redactor().scrub(texts))
    assert Redactor().redact(f"S{seed}") == f"S{seed}"
