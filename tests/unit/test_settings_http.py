"""The tables about HTTP and Alertmanager: what is open to strangers is refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit.model import CockpitError
from cockpit.settings import load
from cockpit.settings.http import with_tokens
from cockpit.text import Redactor

TLS = 'tls_certificate = "c.pem"\ntls_key = "k.pem"\n'
TOKEN = '[[http.tokens]]\nname = "ada"\ntoken = "0123456789abcdef"\nscopes = ["read"]\n'


def config(folder: Path, text: str) -> Path:
    file = folder / "config.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_without_the_table_nothing_listens(tmp_path):
    assert load(config(tmp_path, ""), environ={}).http is None


def test_an_empty_table_listens_on_loopback(tmp_path):
    http = load(config(tmp_path, "[http]\n"), environ={}).http
    assert http and (http.host, http.port, http.tokens) == ("127.0.0.1", 8322, ())


@pytest.mark.parametrize("bind", ["127.0.0.1:9000", "[::1]:9000", "localhost:9000", "127.8.8.8:9000"])
def test_loopback_needs_neither_token_nor_tls(tmp_path, bind):
    assert load(config(tmp_path, f'[http]\nbind = "{bind}"\n'), environ={}).http.port == 9000


@pytest.mark.parametrize("bind", ["0.0.0.0:1", "[::]:1", "192.168.1.5:1", "cockpit.lan:1", "[2001:db8::1]:1"])
@pytest.mark.parametrize(
    ("rest", "reason"),
    [("", "no token is configured"), (TLS, "no token is configured"), (TOKEN, "tokens in the clear")],
)
def test_an_address_that_others_reach_needs_both(tmp_path, bind, rest, reason):
    with pytest.raises(CockpitError, match=reason):
        load(config(tmp_path, f'[http]\nbind = "{bind}"\n{rest}'), environ={})


def test_with_both_it_is_taken(tmp_path):
    http = load(config(tmp_path, f'[http]\nbind = "0.0.0.0:8322"\n{TLS}{TOKEN}'), environ={}).http
    assert http and http.tls_key == tmp_path / "k.pem"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('bind = "8322"', "no address"),
        ('bind = "127.0.0.1:99999"', "no address"),
        ('bind = "::1:8322"', "no address"),
        ("connections = 1", "8 or more"),
        ("conections = 100", "Did you mean 'connections'"),
        ('tls_key = "k.pem"', "needs both"),
        ('tokens = ["x"]', "list of tables"),
        ('tokens = [{name = "healer", token = "0123456789abcdef", scopes = ["read"]}]', "no name"),
        ('tokens = [{name = "ada", scopes = ["read"]}]', "lacks 'token'"),
        ('tokens = [{name = "ada", token = "0123456789abcdef", scopes = ["root"]}]', "one of: read, alert, approve"),
        (f"[http2]\n{TOKEN}{TOKEN}", "no setting|two tokens"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, reason):
    with pytest.raises(CockpitError, match=reason):
        load(config(tmp_path, f"[http]\n{text}\n"), environ={})


def test_two_owners_of_one_name_are_refused(tmp_path):
    with pytest.raises(CockpitError, match="two tokens are named 'ada'"):
        load(config(tmp_path, TOKEN + TOKEN), environ={})


def test_a_token_comes_from_its_file_and_the_redactor_knows_it(tmp_path):
    (tmp_path / "ada.token").write_text("0123456789abcdef\n")
    (tmp_path / "ada.token").chmod(0o600)
    text = '[[http.tokens]]\nname = "ada"\ntoken_file = "ada.token"\nscopes = ["read", "alert"]\n'
    redactor = Redactor()
    http = with_tokens(load(config(tmp_path, text), environ={}).http, redactor)
    assert http and http.tokens[0].value == "0123456789abcdef"
    assert redactor.redact("it was 0123456789abcdef") == "it was ‹secret:http.ada›"
    assert "0123456789abcdef" not in repr(http)


@pytest.mark.parametrize(
    ("token", "reason"), [("short", "16 or more"), ("0123456789 abcdef", "16 or more"), ("ä" * 20, "16 or more")]
)
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused(tmp_path, token, reason):
    with pytest.raises(CockpitError, match=reason):
        with_tokens(load(config(tmp_path, TOKEN.replace("0123456789abcdef", token)), environ={}).http, Redactor())


def test_the_same_token_for_two_is_refused(tmp_path):
    with pytest.raises(CockpitError, match="have the same token"):
        with_tokens(load(config(tmp_path, TOKEN + TOKEN.replace("ada", "bo")), environ={}).http, Redactor())


def test_a_token_in_a_file_that_others_read_is_refused(tmp_path):
    file = config(tmp_path, TOKEN)
    file.chmod(0o644)
    with pytest.raises(CockpitError, match="chmod 600"):
        with_tokens(load(file, environ={}).http, Redactor())


@pytest.mark.parametrize(
    ("matcher", "labels", "holds"),
    [
        ('job="redis"', {"job": "redis"}, True),
        ("job=redis", {"job": "redis"}, True),
        ('job="redis"', {"job": "redis2"}, False),
        ('job=~"red.*"', {"job": "redis"}, True),
        ('job=~"red"', {"job": "redis"}, False),
        ('job!="redis"', {}, True),
        ('job!~"red.*"', {"job": "redis"}, False),
        ('job=""', {}, True),
        ('job="a.b"', {"job": "axb"}, False),
    ],
)
def test_matchers_hold_as_alertmanagers_do(tmp_path, matcher, labels, holds):
    text = f"[alertmanager.services]\n\"redis/cache\" = ['{matcher}']\n"
    (found,) = load(config(tmp_path, text), environ={}).alertmanager.services["redis/cache"]
    assert found.holds(labels) is holds


@pytest.mark.parametrize("matcher", ["", "job", "=x", 'job=~"("', "1a=b"])
def test_what_is_no_matcher_is_refused(tmp_path, matcher):
    with pytest.raises(CockpitError, match=r"no matcher|no pattern"):
        load(config(tmp_path, f"[alertmanager.services]\n\"redis/cache\" = ['{matcher}']\n"), environ={})
