"""The command line asks models, lists them, and shows what was asked, sent and answered."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cockpit.cli.asking import Shown
from cockpit.model import Call, Finding, Tier
from cockpit.model.inquiries import CallOutcome, Estimate, InquiryState, ModelCall
from cockpit.store.store import Store
from tests.account import MAIN
from tests.unit.cli_world import Home, home_in

MODEL = """
[models]
ask = {ask}
[models.mini]
model = "openai/gpt-4o-mini"
key = "sk-0123456789abcdef"
[models.attic]
model = "ollama_chat/qwen3"
tier = "local"
"""
REPLY = "The value is old.\nNothing is wrong."
SENT = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Why?\nIt said: ‹secret:1›"}]}


@pytest.fixture
def home(tmp_path, capsys, monkeypatch) -> Home:
    return home_in(tmp_path, capsys, monkeypatch)


@pytest.fixture
def models(home) -> Home:
    configured(home)
    return home


def configured(home: Home, *, ask: bool = False) -> None:
    home.configure(MODEL.format(ask=str(ask).lower()))
    home.config.chmod(0o600)


def call(store: Store, inquiry: int, outcome: CallOutcome = CallOutcome.ANSWERED, error: str = "") -> None:
    tokens = (900, 120, 0.0021) if outcome is CallOutcome.ANSWERED else (0, 0, 0.0)
    made = ModelCall(0, inquiry, "mini", Tier.FAST, time.time(), 1.5, *tokens, outcome, error, SENT, {"text": REPLY})
    store.inquiries.called(made)


def inquired(home: Home, incident: int, state: InquiryState = InquiryState.ANSWERED) -> int:
    """An inquiry into an incident that has ended so."""
    with home.store() as store:
        estimate = Estimate("mini", 900, 0.0084)
        asked = store.inquiries.ask(incident, "world/one", "", "analyst", estimate=estimate, wait=False)
        assert store.inquiries.begin(asked.id)
        store.inquiries.chose(asked.id, Call("look_at_world", "world/one"), "to see its value")
        run = store.record_run(incident, Call("look_at_world", "world/one"), Finding("looked"), "", time.time(), 0.1)
        call(store, asked.id)
        rival = {"cause": "somebody changed it", "ruled_out": True, "run": run.id, "reading": "nobody was there"}
        answer = {
            "cause": "The value is old.",
            "confidence": 0.8,
            "model": "mini",
            "evidence": [{"run": run.id, "field": "value", "value": "old"}],
            "rivals": [rival],
        }
        store.inquiries.finish(asked.id, state, "The value is old.", answer)
        return asked.id


def waiting(home: Home, incident: int) -> int:
    """An inquiry that waits for a yes."""
    with home.store() as store:
        estimate = Estimate("mini", 900, 0.0084)
        return store.inquiries.ask(incident, "world/one", "", "analyst", estimate=estimate, wait=True).id


@contextmanager
def acting(home: Home, state: InquiryState = InquiryState.ANSWERED) -> Iterator[None]:
    """Another process acts on the log, and ends what is asked so."""
    home.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    stop = threading.Event()

    def work() -> None:
        with home.store() as store:
            ready.set()
            while not stop.is_set():
                for each in store.reader.asked.unended():
                    if each.state is InquiryState.OPEN and store.inquiries.begin(each.id):
                        answer(store, each.id)
                    elif each.estimate is None:
                        store.inquiries.estimated(each.id, Estimate("mini", 900, 0.0084))
                stop.wait(0.02)

    def answer(store: Store, inquiry: int) -> None:
        store.inquiries.chose(inquiry, Call("look_at_world", "world/one"), "to see its value")
        store.inquiries.progress(inquiry, "The value")
        call(store, inquiry)
        store.inquiries.finish(inquiry, state, "The value is old.", {"text": REPLY, "runs": [], "model": "mini"})

    descriptor = os.open(home.data / "engine.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    ready, thread = threading.Event(), threading.Thread(target=work)
    thread.start()
    assert ready.wait(30)
    try:
        yield
    finally:
        stop.set()
        thread.join()
        os.close(descriptor)


def test_without_a_model_nobody_is_asked_and_nothing_is_listed(home):
    status, printed, said = home("ask", "Is it well?")
    assert (status, printed) == (1, "") and "No model is configured. Add a table [models.NAME]" in said
    status, printed, said = home("models")
    assert (status, printed) == (0, "") and "No model is configured." in said
    assert not home.data.exists()


def test_an_answer_is_printed_and_what_leads_to_it_is_told(models):
    with acting(models):
        status, printed, said = models("ask", "Is it well?", "--service", "world/one")
    assert (status, printed) == (0, f"{REPLY}\n")
    assert "looks at look_at_world on world/one: to see its value" in said
    assert "mini answered: 900 + 120 tokens, $0.0021" in said
    assert "Inquiry 1 is answered: 1 call, $0.0021." in said
    with models.store() as store:
        asked = store.reader.asked.inquiry(1)
    assert (asked.question, asked.service, asked.incident, asked.asked_by) == ("Is it well?", "world/one", None, "ada")


def test_an_answer_is_one_json_document(models):
    incident = models.incident()
    with acting(models):
        status, printed, _ = models("ask", "Why?", "--incident", f"#{incident}", "--json")
    answered = json.loads(printed)
    assert (
        status == 0 and answered["inquiry"]["answer"]["text"] == REPLY and answered["inquiry"]["incident"] == incident
    )
    assert answered["calls"][0]["dollars"] == 0.0021 and "sent" not in answered["calls"][0]


@pytest.mark.parametrize(
    ("state", "status"), [(InquiryState.INCONCLUSIVE, 1), (InquiryState.FAILED, 1), (InquiryState.DECLINED, 4)]
)
def test_what_has_no_answer_has_a_status_that_says_so(models, state, status):
    with acting(models, state):
        ended, _, said = models("ask", "Is it well?")
    assert ended == status and f"Inquiry 1 is {state}" in said


@pytest.mark.parametrize(
    ("argv", "status", "said"),
    [
        (["--service", "world/none"], 1, "There is no service 'world/none'."),
        (["--incident", "99"], 1, "There is no incident 99."),
    ],
)
def test_a_question_about_what_is_not_there_asks_nobody(models, argv, status, said):
    with acting(models):
        ended, printed, told = models("ask", "Is it well?", *argv)
        assert (ended, printed) == (status, "") and said in told
        with models.store() as store:
            assert store.reader.asked.latest() == []


def test_a_question_is_about_one_thing(models):
    with pytest.raises(SystemExit) as ended:
        models("ask", "Why?", "--service", "world/one", "--incident", "1")
    assert ended.value.code == 2


def test_nobody_is_asked_unseen_where_a_person_has_to_agree(home):
    configured(home, ask=True)
    with acting(home):
        command = [sys.executable, "-c", MAIN, "ask", "Is it well?"]
        done = subprocess.run(
            command, env=home.environment(), input="yes\n", capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 2 and "Add --yes." in done.stderr
        with home.store() as store:
            assert store.reader.asked.latest() == []
        assert home("ask", "Is it well?", "--yes")[:2] == (0, f"{REPLY}\n")


@pytest.mark.parametrize(("typed", "status", "ends"), [("yes", 0, "answered"), ("no", 4, "declined")])
def test_a_person_agrees_at_the_terminal(home, typed, status, ends):
    configured(home, ask=True)
    with acting(home):
        ended, written = at_a_terminal(home, typed, "ask", "Is it well?")
    assert ended == status and "Type yes to ask a model:" in written, written
    assert "mini would be asked first: about $0.0084, the first prompt 900 tokens." in written
    assert f"Inquiry 1 is {ends}" in written
    assert ("The value is old." in written) == (status == 0)


def at_a_terminal(home: Home, typed: str, *argv: str) -> tuple[int, str]:
    """Run a command at a terminal and answer its question; its status and all that it wrote."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *argv], env=home.environment(), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            written += os.read(mine, 65536)
        except OSError:  # the other end is closed
            break
        if written.endswith(b"Type yes to ask a model: "):
            os.write(mine, typed.encode() + b"\n")
    os.close(mine)
    return process.wait(30), written.decode()


def test_what_a_model_says_is_told_once_as_it_comes(home, capsys):
    home.incident()
    with home.store() as store:
        asked = store.inquiries.ask(None, "", "Why?", "ada", estimate=None, wait=False)
        assert store.inquiries.begin(asked.id)
        shown = Shown(store.reader, asked.id, store.reader.last_event())
        for said in ("The value", "The value", "The value is \x1b[31mold", "Another thought"):
            store.inquiries.progress(asked.id, said)
            shown.more(store.reader.asked.inquiry(asked.id))
        call(store, asked.id)
        shown.more(store.reader.asked.inquiry(asked.id))
    assert capsys.readouterr().err == (
        "The value is ␛[31mold\nAnother thought\nmini answered: 900 + 120 tokens, $0.0021, 1.5 s\n"
    )


def test_models_are_listed_with_their_record_and_the_budget(models):
    inquired(models, models.incident())
    status, printed, said = models("models")
    assert (status, said) == (0, "")
    assert "mini   fast   1      1         900 + 120  $0.0021" in printed
    assert "month  $0.0021 of $1.00 used, $1.00 left" in printed and "day    $0.0021 of $0.25 used" in printed
    listed = models.json("models")
    assert [model["name"] for model in listed["models"]] == ["mini", "attic"]
    assert listed["budgets"][0]["used"] == pytest.approx(0.0021)
    assert listed["calls"][0]["outcome"] == "answered" and "sent" not in listed["calls"][0]


def test_a_model_that_is_not_asked_is_listed_with_the_reason(models):
    models.configure(MODEL.format(ask="false").replace("[models]", "[models]\nday = 0.001"))
    inquiry = inquired(models, models.incident())
    with models.store() as store:
        call(store, inquiry, CallOutcome.DENIED, "401: the key was refused")
    mini, attic = models.json("models")["models"]
    assert "The budget of the day is used up" in mini["unasked"]
    assert "its last call was denied: 401: the key was refused" in mini["unasked"]
    assert attic["unasked"] == ""


def test_an_incident_is_shown_with_what_was_asked(models):
    incident = models.incident()
    asked = inquired(models, incident)
    printed = models("show", str(incident))[1]
    for told in (
        f"answered  inquiry {asked}",
        "Cause     The value is old.",
        "80 %, by model mini",
        "Ruled out somebody changed it: nobody was there (run 1)",
        "run 1, look_at_world: looked value is old",
        "$0.0021 for 900 + 120 tokens, mini",
        "Looked at look_at_world on world/one: to see its value",
    ):
        assert told in printed, told
    (inquiry,) = models.json("show", str(incident))["inquiries"]
    assert inquiry["answer"]["cause"] == "The value is old." and inquiry["calls"][0]["outcome"] == "answered"


def test_an_incident_without_an_inquiry_is_shown_without_a_word_of_models(home):
    incident = home.incident()
    assert "inquiries" not in home.json("show", str(incident))
    assert "nquiry" not in home("show", str(incident))[1]


def test_what_was_sent_is_printed_as_it_left(models):
    incident = models.incident()
    asked = inquired(models, incident)
    head, body = models("show", str(incident), "--sent")[1].split("\n", 1)
    assert head == f"Call 1, inquiry {asked}, mini: answered, 900 + 120 tokens, $0.0021"
    assert json.loads(body) == SENT
    (call,) = models.json("show", str(incident), "--sent")["calls"]
    assert call["sent"] == SENT and call["reply"] == {"text": REPLY}


def test_of_an_incident_no_model_was_asked_about_nothing_was_sent(home):
    incident = home.incident()
    assert home("show", str(incident), "--sent") == (0, "", f"Nothing was sent to any model for incident {incident}.\n")


def test_what_waits_for_a_yes_is_listed_with_what_it_would_cost(models):
    incident = models.incident()
    assert "asking" not in models.json("incidents")
    asked = waiting(models, incident)
    status, printed, said = models("incidents")
    assert status == 0 and f"{asked}     {incident}         world/one  mini   $0.0084  why?" in printed
    assert "cockpit allow ID, or m on the screen" in said
    (listed,) = models.json("incidents")["asking"]
    assert listed["estimate"] == {"model": "mini", "tokens": 900, "dollars": 0.0084}
    shown = models("show", str(incident))[1]
    assert "may a model be asked?" in shown and "mini: about $0.0084, its first prompt 900 tokens" in shown


@pytest.mark.parametrize(
    ("verb", "state", "told"),
    [("allow", InquiryState.OPEN, "A model may be asked"), ("decline", InquiryState.DECLINED, "No model is asked")],
)
def test_what_waits_for_a_yes_is_answered_by_a_command_once(models, verb, state, told):
    asked = waiting(models, models.incident())
    status, printed, said = models(verb, str(asked))
    assert (status, printed) == (0, "") and f"{told} for inquiry {asked}." in said
    assert ("Nobody acts on the log now" in said) == (verb == "allow")
    with models.store() as store:
        assert store.reader.asked.inquiry(asked).state is state
    for again in ("allow", "decline"):
        status, printed, said = models(again, str(asked))
        if state is InquiryState.OPEN and again == "decline":
            assert status == 0
        else:
            assert status == 1 and f"Inquiry {asked} is {state} already." in said


@pytest.mark.parametrize("verb", ["allow", "decline"])
def test_an_inquiry_that_is_not_there_is_not_answered_and_nothing_is_made(models, verb):
    status, printed, said = models(verb, "7")
    assert (status, printed) == (1, "") and "There is no inquiry 7: nothing was ever recorded." in said
    assert not (models.data / "cockpit.db").exists()
    models.incident()
    assert "There is no inquiry 7." in models(verb, "7")[2]


def test_an_export_holds_what_was_asked_answered_and_spent(models):
    incident = models.incident()
    inquired(models, incident)
    printed = models("export", str(incident))[1]
    assert "## Inquiry 1: why it happened" in printed
    assert "- Cause: The value is old., 80 % sure, by mini" in printed
    assert "- Cost: $0.0021 in 1 call" in printed
