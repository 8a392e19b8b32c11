"""The tables about telling people: what they hold, and how a wrong one is named."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from cockpit.model import Severity
from cockpit.settings import Settings, SettingsError, load, with_options
from cockpit.settings.daemon import Escalation, Heartbeat
from cockpit.text import Redactor
from cockpit.toolkit import Registry

WHOLE = """
[notify.phone]
url_file = "phone.url"
min_severity = "critical"
only = ["opened", "reminder"]
quiet_hours = ["22:00", "07:00"]
zone = "Europe/Berlin"
gather = 30
[notify.mail]
url_env = "MAIL_URL"
[escalation]
order = ["phone", "mail"]
after_minutes = 5
[gitea]
url = "https://git.example.org/"
repository = "ops/homelab"
token = "0123456789abcdef"
[deadman]
ping_url = "https://hc.example.org/ping/3b8f4e0a-9f5d-4b0e"
every = 30
[heartbeats.backup]
every = 86400
grace = 3600
severity = "critical"
[[maintenance]]
name = "updates"
kinds = ["postgres"]
weekdays = ["sat", "sun"]
at = "02:30"
minutes = 45
zone = "America/New_York"
[[maintenance]]
services = ["redis/cache"]
start = 2026-03-29T01:00:00
end = 2026-03-29T04:00:00
"""


def settings(folder: Path, text: str) -> Settings:
    file = folder / "config.toml"
    file.write_text(text)
    file.chmod(0o600)
    return load(file, environ={})


def test_every_table_is_read(tmp_path):
    found = settings(tmp_path, WHOLE)
    phone, mail = found.notify
    assert (phone.name, phone.min_severity, phone.only) == ("phone", Severity.CRITICAL, ("opened", "reminder"))
    assert (phone.quiet_hours, phone.zone, phone.gather) == (("22:00", "07:00"), "Europe/Berlin", 30.0)
    assert (mail.min_severity, mail.only, mail.quiet_hours) == (Severity.WARNING, (), None)
    assert found.escalation == Escalation(("phone", "mail"), 5.0)
    assert found.gitea and found.gitea.url == "https://git.example.org"
    assert found.deadman and found.deadman.every == 30.0
    assert found.heartbeats == (Heartbeat("backup", 86400.0, 3600.0, Severity.CRITICAL),)
    updates, move = found.maintenance
    assert (updates.weekdays, updates.at, updates.minutes) == ((5, 6), "02:30", 45.0)
    assert (move.name, move.start) == ("maintenance", datetime(2026, 3, 29, 1, 0))


def test_without_these_tables_nobody_is_told(tmp_path):
    found = settings(tmp_path, "")
    assert (found.notify, found.escalation, found.gitea, found.deadman) == ((), None, None, None)
    assert (found.heartbeats, found.maintenance) == ((), ())


def test_secrets_are_fetched_by_whoever_needs_them_and_are_in_no_repr(tmp_path, monkeypatch):
    found = settings(tmp_path, WHOLE)
    with pytest.raises(SettingsError, match=r"phone\.url cannot be read"):
        found.notify[0].url.fetched()
    (tmp_path / "phone.url").write_text("ntfy://secret-topic\n")
    (tmp_path / "phone.url").chmod(0o600)
    monkeypatch.setenv("MAIL_URL", "mailto://ann:hunter2@example.org")
    assert [each.url.fetched() for each in found.notify] == ["ntfy://secret-topic", "mailto://ann:hunter2@example.org"]
    assert "0123456789abcdef" not in repr(found.gitea)


def test_a_secret_in_a_config_that_others_can_read_is_refused(tmp_path):
    found = settings(tmp_path, WHOLE)
    (tmp_path / "config.toml").chmod(0o644)
    assert found.gitea
    with pytest.raises(SettingsError, match="can be read by others"):
        found.gitea.token.fetched()


def test_secrets_never_reach_the_log(tmp_path):
    text = '[deadman]\nping_url = "https://hc.example.org/ping/3b8f4e0a-9f5d-4b0e"\n'
    redactor = Redactor()
    with_options(settings(tmp_path, text), Registry.of([]), redactor)
    assert "3b8f4e0a" not in redactor.redact("GET https://hc.example.org/ping/3b8f4e0a-9f5d-4b0e failed")
    assert "3b8f4e0a" not in redactor.redact("the check 3b8f4e0a-9f5d-4b0e is late")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[notify.a]\nurll = "x"', "line 2: 'notify.a.urll' is no setting. Did you mean 'url'?"),
        ("[notify.a]\ngather = 5", "'notify.a' lacks 'url'. Add it: url = …"),
        ('[notify.a]\nurl = "x"\nurl_env = "X"', "'notify.a.url' is given twice."),
        ('[notify]\nurl = "x"', "line 2: 'notify.url' is no table of its own. Give it a name: [notify.url]"),
        ("notify = 5", "'notify' is no table of its own."),
        ('[notify.a]\nurl = "x"\nmin_severity = "high"', "must be one of: info, warning, critical"),
        ('[notify.a]\nurl = "x"\nonly = ["closed"]', "must be one of: opened, proposal"),
        ('[notify.a]\nurl = "x"\nzone = "Berlin"', "'notify.a.zone' is no time zone: Berlin."),
        ('[notify.a]\nurl = "x"\nzone = "../../etc/passwd"', "is no time zone"),
        ('[notify.a]\nurl = "x"\nquiet_hours = ["22:00"]', "must be two times of day"),
        ('[notify.a]\nurl = "x"\ngather = 0', "'notify.a.gather' must be 1 or more"),
        ('[notify."a b"]\nurl = "x"', "is no name that can be used"),
        ('[escalation]\norder = ["phone"]', "line 2: 'phone' is no channel."),
        ('[notify.phone]\nurl = "x"\n[escalation]\norder = ["phnoe"]', "Did you mean 'phone'?"),
        ('[notify.a]\nurl = "x"\n[escalation]\norder = ["a", "telegram"]', "'telegram' is no channel"),
        ('[notify.a]\nurl = "x"\n[escalation]\norder = ["a", "a"]', "names a channel twice"),
        ("[escalation]\nafter_minutes = 5", "'escalation' lacks 'order'"),
        ('[gitea]\nurl = "git.example.org"\nrepository = "a/b"\ntoken = "x"', "must be an address of the web"),
        ('[gitea]\nurl = "http://u:p@git"\nrepository = "a/b"\ntoken = "x"', "must be an address of the web"),
        ('[gitea]\nurl = "http://git"\nrepository = "../b"\ntoken = "x"', "must be an owner and a name"),
        ("[heartbeats.a]\ngrace = 5", "'heartbeats.a' lacks 'every'"),
        ("[heartbeats.a]\nevery = 0", "must be 1 or more"),
        ('[maintenance]\nat = "02:00"', "'maintenance' is a list of tables. Write each as [[maintenance]]."),
        ('[[maintenance]]\nkinds = ["a"]', "has no time of its own"),
        ('[[maintenance]]\nkinds = ["a"]\nat = "02:00"', "has no time of its own"),
        ('[[maintenance]]\nat = "02:00"\nminutes = 5', "is for nothing"),
        ('[[maintenance]]\nkinds = ["a"]\nat = "2 am"\nminutes = 5', "'maintenance.at' must be a time of day"),
        ('[[maintenance]]\nkinds = ["a"]\nat = "02:00"\nminutes = 5\nweekdays = ["so"]', "must be one of: mon, tue"),
        ('[[maintenance]]\nkinds = ["a"]\nstart = 2026-01-02T00:00:00\nend = 2026-01-01T00:00:00', "ends before"),
        ('[[maintenance]]\nkinds = ["a"]\nstart = 2026-01-01T00:00:00\nend = 2026-01-02T00:00:00Z', "Give both an"),
        ('[[maintenance]]\nkinds = ["a"]\nstart = "soon"\nend = "later"', "must be a date and time"),
        ('[[maintenance]]\nkind = ["a"]', "'maintenance.kind' is no setting. Did you mean 'kinds'?"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_how_to_mend_it(tmp_path, text, said):
    with pytest.raises(SettingsError) as caught:
        settings(tmp_path, text)
    assert said in str(caught.value)
    assert "config.toml, line" in str(caught.value)


def test_telegram_may_come_first_in_an_escalation(tmp_path):
    found = settings(tmp_path, '[notify.a]\nurl = "x"\n[escalation]\norder = ["telegram", "a"]')
    assert found.escalation and found.escalation.order == ("telegram", "a")
