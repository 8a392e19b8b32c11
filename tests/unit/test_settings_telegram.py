"""The table `telegram` is read whole, and what is wrong in it is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit.model import CockpitError
from cockpit.settings import load, with_options
from cockpit.settings.daemon import Operator, Right, WebhookSettings
from cockpit.text import Redactor
from cockpit.toolkit import Registry

GOOD = """
[telegram]
token = "123:abcdefgh"
chat = -1001
users = [
  { id = 7, name = "Ada", rights = ["see", "approve", "approve critical"] },
  { id = 8, name = "Bob" },
]
quiet_hours = ["22:00", "07:00"]
"""


def config(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_the_table_is_read_with_its_defaults(tmp_path):
    settings = load(config(tmp_path, GOOD), environ={}).telegram
    assert settings is not None
    assert (settings.chat, settings.quiet_hours) == (-1001, ("22:00", "07:00"))
    assert settings.users == (Operator(7, "Ada", frozenset(Right)), Operator(8, "Bob", frozenset({Right.SEE})))
    assert settings.base_url == "https://api.telegram.org"
    assert settings.storm_per_minute == 10
    assert not settings.two_people_for_critical
    assert settings.token.fetched() == "123:abcdefgh"
    assert "abcdefgh" not in repr(settings)


def test_without_the_table_there_is_no_telegram(tmp_path):
    assert load(config(tmp_path, ""), environ={}).telegram is None


def test_the_token_may_stand_in_a_file_that_nobody_else_can_read(tmp_path):
    (tmp_path / "bot.token").write_text("123:fromfile\n")
    file = config(tmp_path, GOOD.replace('token = "123:abcdefgh"', 'token_file = "bot.token"'))
    (tmp_path / "bot.token").chmod(0o644)
    with pytest.raises(CockpitError, match="can be read by others"):
        with_options(load(file, environ={}), Registry.of([]), Redactor())
    (tmp_path / "bot.token").chmod(0o600)
    redactor = Redactor()
    with_options(load(file, environ={}), Registry.of([]), redactor)
    assert redactor.redact("GET /bot123:fromfile/getMe") == "GET /bot‹secret:telegram.token›/getMe"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('token = "123:abcdefgh"', "", "'telegram' lacks 'token'"),
        ("chat = -1001", "", "'telegram' lacks 'chat'"),
        ("chat = -1001", "chat = 0", "must be a chat's number"),
        ("chat = -1001", 'chat = "ops"', "must be a whole number"),
        ("chat = -1001", "chatt = -1001", "Did you mean 'chat'"),
        ("id = 7", "id = -7", "must be a user's number"),
        ("id = 7", 'id = "@ada"', "must be a whole number"),
        ("id = 8", "id = 7", "have the same id"),
        ('"Bob"', '"Ada"', "have the same name"),
        ('"Bob"', '"policy"', "is no name for a user"),
        ('"Bob"', '"Bob\\u202e"', "is no name for a user"),
        ('"approve critical"', '"root"', "must be one of: see, approve, approve critical"),
        ("quiet_hours", "two_people_for_critical = true\nquiet_hours", "needs two users"),
        ('["22:00", "07:00"]', '["22:00"]', "must be two times of day"),
        ("chat = -1001", 'chat = -1001\nbase_url = "http://192.0.2.1"', "in the clear"),
        ("chat = -1001", 'chat = -1001\nbase_url = "file:///etc"', "must be an address of the web"),
        ("chat = -1001", 'chat = -1001\nbase_url = "https://a@b"', "must be an address of the web"),
        ("chat = -1001", "chat = -1001\nstorm_per_minute = 0", "must be 1 or more"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, old, new, told):
    assert old in GOOD
    with pytest.raises(CockpitError) as caught:
        load(config(tmp_path, GOOD.replace(old, new, 1)), environ={})
    assert told in str(caught.value)
    assert "config.toml, line" in str(caught.value)


def test_another_bot_api_server_may_stand_on_this_machine(tmp_path):
    text = GOOD.replace("chat = -1001", 'chat = -1001\nbase_url = "http://127.0.0.1:8081/"')
    settings = load(config(tmp_path, text), environ={}).telegram
    assert settings is not None and settings.base_url == "http://127.0.0.1:8081"


def test_a_webhook_is_read_with_its_defaults(tmp_path):
    text = GOOD + 'webhook = "https://ops.example.net/telegram"\n'
    found = load(config(tmp_path, text), environ={}).telegram.webhook
    assert found == WebhookSettings("https://ops.example.net/telegram", "127.0.0.1", 8443, None, None)
    more = 'webhook_bind = "0.0.0.0:443"\nwebhook_certificate = "c.pem"\nwebhook_key = "/etc/k.pem"\n'
    found = load(config(tmp_path, text + more), environ={}).telegram.webhook
    assert (found.host, found.port, found.certificate, found.key) == (
        "0.0.0.0", 443, tmp_path / "c.pem", Path("/etc/k.pem")
    )  # fmt: skip
    assert load(config(tmp_path, GOOD), environ={}).telegram.webhook is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('webhook = "http://ops.example.net/telegram"', "over TLS"),
        ('webhook = "https://user@ops.example.net/"', "over TLS"),
        ('webhook = "https://ops.example.net/t?x=1"', "over TLS"),
        ('webhook = "ops.example.net"', "over TLS"),
        ('webhook = "https://ops.example.net:8080/"', "no port 8080"),
        ('webhook_bind = "127.0.0.1:8443"', "what Telegram is to call"),
        ('webhook = "https://ops.example.net/"\nwebhook_bind = "0.0.0.0:8443"', "without TLS"),
        ('webhook = "https://ops.example.net/"\nwebhook_bind = "8443"', "no address"),
        ('webhook = "https://ops.example.net/"\nwebhook_key = "k.pem"', "TLS needs both"),
        ("webhook = true", "must be a text"),
    ],
)
def test_a_webhook_that_could_not_be_safe_is_refused(tmp_path, text, said):
    with pytest.raises(CockpitError, match=said):
        load(config(tmp_path, f"{GOOD}{text}\n"), environ={})
