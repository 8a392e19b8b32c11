"""Models asked through the real litellm over HTTP: what they say, what fails, and who is asked next."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

import pytest

from cockpit.llm.conversation import Message, Speaker, Wanted
from cockpit.llm.models import NoModel
from cockpit.model import Alert, Severity, Tier
from cockpit.model.inquiries import CallOutcome
from tests.models.conftest import LOOK, Desk, model, prompt
from tests.models.script import Asked, Cuts, Drips, Fails, Hangs, Raw, Says, Step, Wants
from tests.models.scripted import KEY, Scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_answer_is_heard_while_it_is_said_and_kept_with_what_it_cost(desk: Desk) -> None:
    heard: list[str] = []
    with Scripted([Drips("The pool leaks connections.", every=0.15)]) as server:
        reply = await desk.ask(desk.models(model("mini", server)), heard=heard.append)
    assert (reply.model, reply.text) == ("mini", "The pool leaks connections.")
    assert heard[0] == "The " and all(reply.text.startswith(text.strip()) for text in heard)
    (call,) = desk.calls
    assert (call.id, call.outcome, call.tier) == (reply.call, CallOutcome.ANSWERED, Tier.FAST)
    assert call.input_tokens > 0 and call.output_tokens > 0
    assert call.dollars == pytest.approx((call.input_tokens * 0.15 + call.output_tokens * 0.6) / 1e6)
    assert call.reply["text"] == "The pool leaks connections. "


async def test_what_is_stored_as_sent_is_what_left(desk: Desk) -> None:
    conversation = (
        Message(Speaker.MODEL, "I look.", (Wanted("c1", "look", {"service": "redis/cache"}), Wanted("c2", "look"))),
        Message(Speaker.TOOL, "It is down.", answers="c1"),
        Message(Speaker.TOOL, "It is up.", answers="c2"),
    )
    schema = {"type": "object", "properties": {"password": {"type": "string", "description": "a word"}}}
    with Scripted([Says('{"password": "none"}')]) as server:
        asked = prompt("Why?", *conversation, offers=(LOOK,), **schema)
        await desk.ask(desk.models(model("mini", server)), asked)
    body = dict(server.requests[0].body)
    assert body.pop("stream") and body.pop("stream_options") and body.pop("model") == "mini"
    sent = dict(desk.calls[0].sent)
    assert sent.pop("model") == "openai/mini"
    assert body == sent


async def test_several_tools_are_wanted_at_once_and_arguments_that_are_no_json_are_told_apart(desk: Desk) -> None:
    wants = Wants(("look", {"service": "redis/cache"}), ("look", '{"service": "red'), ("look", "[1]"), text="I look.")
    with Scripted([wants]) as server:
        reply = await desk.ask(desk.models(model("mini", server)), prompt(offers=(LOOK,)))
    assert reply.text == "I look."
    assert [wanted.arguments for wanted in reply.wanted] == [{"service": "redis/cache"}, {}, {}]
    assert [wanted.malformed for wanted in reply.wanted] == ["", '{"service": "red', "[1]"]
    assert len({wanted.id for wanted in reply.wanted}) == 3


async def test_a_conversation_goes_on_with_what_the_tools_said(desk: Desk) -> None:
    def looks_then_answers(asked: Asked) -> Step:
        return Says(f"It is {asked.results[0]}.") if asked.results else Wants(("look", "{"))

    with Scripted(looks_then_answers) as server:
        models = desk.models(model("mini", server))
        first = await desk.ask(models, prompt(offers=(LOOK,)))
        said = Message(Speaker.MODEL, first.text, first.wanted)
        found = Message(Speaker.TOOL, "down", answers=first.wanted[0].id)
        assert (await desk.ask(models, prompt("Why?", said, found, offers=(LOOK,)))).text == "It is down."


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (Fails(401), "denied"),
        (Fails(404), "denied"),
        (Fails(400), "denied"),
        (Fails(429, retry_after=60), "rate limited"),
        (Fails(500), "outage"),
        (Fails(503, body="<html>busy</html>"), "outage"),
        (Cuts("Half of an answer, and no more."), "outage"),
        (Hangs(), "timeout"),
        (Drips("slow " * 100, every=0.2), "timeout"),
        (Says(""), "malformed"),
        (Says("", refusal="I will not."), "malformed"),
        (Says("I cannot", finish="content_filter"), "refused"),
        (Raw("<html>It works!</html>", "text/html"), "malformed"),
        (Raw("data: {not json\n\n", "text/event-stream"), "malformed"),
        (Fails(400, "This model's maximum context length is 8192 tokens.", code="context_length_exceeded"), "too long"),
        (Fails(400, "the request exceeds the available context size (4096 tokens)"), "too long"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
async def test_the_next_model_answers_when_one_does_not(desk: Desk, step: Step, outcome: str) -> None:
    with Scripted([step]) as first, Scripted([Says("Here.")]) as second:
        models = desk.models(model("first", first, timeout=1.0), model("second", second))
        reply = await desk.ask(models)
    assert (reply.model, reply.text) == ("second", "Here.")
    assert desk.outcomes == [("first", outcome), ("second", "answered")]


async def test_nothing_answers_at_an_address(desk: Desk) -> None:
    with Scripted([]) as gone, Scripted([Says("Here.")]) as second:
        gone.stop()
        assert (await desk.ask(desk.models(model("first", gone), model("second", second)))).model == "second"
    assert desk.outcomes[0] == ("first", "outage")
    assert desk.calls[0].dollars == 0


async def test_a_text_must_be_json_where_a_schema_asks_for_it(desk: Desk) -> None:
    with Scripted([Says("The cause is …"), Says('```json\n{"cause": "pool"}\n```')]) as server:
        models = desk.models(model("first", server), model("second", server))
        reply = await desk.ask(models, prompt(type="object"))
    assert json.loads(reply.text) == {"cause": "pool"}
    assert desk.outcomes == [("first", "malformed"), ("second", "answered")]


async def test_without_an_answer_it_is_said_why_of_each(desk: Desk) -> None:
    with Scripted(lambda asked: Fails(401) if asked.body["model"] == "first" else Fails(500)) as server:
        models = desk.models(model("first", server), model("second", server))
        with pytest.raises(NoModel, match=r"first: denied: .*; second: outage: "):
            await desk.ask(models)
        assert len(server.requests) == 2


async def test_the_key_of_a_model_is_in_no_error_and_nowhere_in_the_log(desk: Desk) -> None:
    refuses = Fails(401, f"Incorrect API key provided: {KEY}")
    with Scripted([refuses]) as server, pytest.raises(NoModel) as error:
        await desk.ask(desk.models(model("mini", server)))
    desk.store.close()
    assert KEY not in str(error.value) and "‹secret:" in str(error.value)
    assert KEY.encode() not in b"".join(file.read_bytes() for file in desk.folder.iterdir())


async def test_a_wrong_key_is_tried_once_and_then_left_alone(desk: Desk) -> None:
    with Scripted([Says("Here.")] * 2) as server:
        wrong = model("first", server)
        assert wrong.key is not None
        object.__setattr__(wrong.key, "text", "sk-wrong-0123456789abcdefghij")
        models = desk.models(wrong, model("second", server))
        for _ in range(2):
            assert (await desk.ask(models)).model == "second"
    assert desk.outcomes == [("first", "denied"), ("second", "answered"), ("second", "answered")]


async def test_a_rate_limit_is_waited_for_where_nobody_else_answers(desk: Desk) -> None:
    with Scripted([Fails(429, retry_after=0.6), Says("Now.")]) as server:
        assert (await desk.ask(desk.models(model("mini", server)))).text == "Now."
    assert server.requests[1].at - server.requests[0].at >= 0.6
    assert desk.outcomes == [("mini", "rate limited"), ("mini", "answered")]


async def test_a_limit_for_an_hour_is_not_waited_for_and_not_tried_again(desk: Desk) -> None:
    await desk.worker.warm()
    with Scripted([Fails(429, retry_after=3600)]) as server:
        models = desk.models(model("mini", server))
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(NoModel, match="rate limited"):
                await desk.ask(models)
    assert time.monotonic() - began < 5
    assert len(server.requests) == 1


async def test_a_model_that_fails_thrice_is_left_alone(desk: Desk) -> None:
    with Scripted(lambda asked: Fails(500)) as bad, Scripted(lambda asked: Says("Here.")) as good:
        models = desk.models(model("bad", bad), model("good", good))
        for _ in range(5):
            assert (await desk.ask(models)).model == "good"
        assert len(bad.requests) == 3


async def test_critical_and_hard_goes_to_the_strong_one_and_the_local_one_is_last(desk: Desk) -> None:
    with Scripted(lambda asked: Fails(503)) as server:
        models = desk.models(
            model("own", server, Tier.LOCAL), model("fast", server), model("strong", server, Tier.STRONG)
        )
        for severity, hard in ((Severity.CRITICAL, True), (Severity.CRITICAL, False), (Severity.WARNING, True)):
            with pytest.raises(NoModel):
                await desk.ask(models, severity=severity, hard=hard)
    asked = [request.body["model"] for request in server.requests]
    assert asked == ["strong", "fast", "own", "fast", "strong", "own", "fast", "strong", "own"]


async def test_a_model_whose_price_nobody_knows_is_not_asked_unless_it_is_local(desk: Desk) -> None:
    free = {"input_price": None, "output_price": None}
    with Scripted([Says("Here.")]) as server:
        with pytest.raises(NoModel, match=r"nobody knows its price.*'input_price' and 'output_price'.*models.odd"):
            await desk.ask(desk.models(model("odd", server, **free)))
        await desk.ask(desk.models(model("odd", server, Tier.LOCAL, **free)))
    assert [call.dollars for call in desk.calls] == [0.0]


async def test_a_known_price_is_taken_from_litellms_list_and_the_estimate_comes_before_any_call(desk: Desk) -> None:
    with Scripted([Says("Here.", usage=(1000, 500))]) as server:
        models = desk.models(model("gpt-4o-mini", server, input_price=None, output_price=None))
        estimate = await models.estimate(prompt("Why? " * 400), severity=Severity.WARNING, hard=False)
        assert not server.requests
        await desk.ask(models)
    assert (estimate.model, 350 < estimate.tokens < 900) == ("gpt-4o-mini", True)
    assert estimate.tokens * 0.15e-6 < estimate.dollars < 0.02
    assert desk.calls[0].dollars == pytest.approx(1000 * 0.15e-6 + 500 * 0.6e-6)


async def test_without_a_count_of_the_provider_what_was_said_is_counted_here(desk: Desk) -> None:
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "llama-3.1-8b"}
    pieces = [{"content": "The pool leaks. " * 20}, {}]
    lines = [
        json.dumps({**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]})
        for delta in pieces
    ]
    body = "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"])
    with Scripted([Raw(body, "text/event-stream")]) as server:
        await desk.ask(desk.models(model("llama-3.1-8b", server)))
    (call,) = desk.calls
    assert 60 <= call.output_tokens <= 120 and 5 <= call.input_tokens <= 60 and call.dollars > 0


async def test_a_call_is_stopped_when_whoever_asked_is_cancelled(desk: Desk) -> None:
    with Scripted([Hangs()]) as server:
        task = asyncio.create_task(desk.ask(desk.models(model("mini", server))))
        await asyncio.to_thread(server.wait_for, lambda found: len(found.requests) == 1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await asyncio.to_thread(server.wait_for, lambda found: found.abandoned == 1)
    (call,) = desk.calls
    assert call.outcome is CallOutcome.CANCELLED and call.dollars > 0


async def test_calls_run_beside_each_other(desk: Desk) -> None:
    with Scripted(lambda asked: Hangs()) as server:
        models = desk.models(model("mini", server))
        tasks = [asyncio.create_task(desk.ask(models)) for _ in range(8)]
        await asyncio.to_thread(server.wait_for, lambda found: len(found.requests) == 8)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await asyncio.to_thread(server.wait_for, lambda found: found.abandoned == 8)


async def test_a_budget_that_is_used_up_leaves_the_local_model_alone_to_answer(desk: Desk) -> None:
    with Scripted(lambda asked: Says("Here.", usage=(100_000, 0))) as server:
        models = desk.models(model("mini", server), model("own", server, Tier.LOCAL, input_price=0.0), month=0.04)
        answered = [(await desk.ask(models)).model for _ in range(5)]
    assert answered == ["mini", "mini", "mini", "own", "own"]
    told = [event for event in desk.store.reader.events() if event.kind == "budget"]
    assert len(told) == 1 and told[0].data["spent"] == pytest.approx(0.045)


async def test_parallel_inquiries_go_over_the_cap_by_one_call_at_the_most(desk: Desk) -> None:
    with Scripted(lambda asked: Says("Here.")) as server:
        models = desk.models(model("mini", server, input_price=15.0, output_price=15.0), month=0.5)
        long = prompt("The pool of connections leaks. " * 800)
        done = await asyncio.gather(*(desk.ask(models, long) for _ in range(20)), return_exceptions=True)
    refused = [error for error in done if isinstance(error, BaseException)]
    assert all(isinstance(error, NoModel) and "month's $0.50" in str(error) for error in refused)
    spent, each = desk.store.reader.asked.spent(0), max(call.dollars for call in desk.calls)
    assert 0.5 <= spent <= 0.5 + each and 0.05 < each < 0.2
    assert len(refused) + len(desk.calls) == 20 and len(refused) > 10


async def test_a_budget_of_one_incident_holds_for_that_incident_alone(desk: Desk) -> None:
    alerts = [Alert(name, f"{name}/main", "down", Severity.WARNING, "It is down.", 1.0) for name in ("redis", "nats")]
    first, second = desk.store.ingest_alerts(alerts)
    with Scripted(lambda asked: Says("Here.", usage=(100_000, 0))) as server:
        models = desk.models(model("mini", server), incident=0.01)
        await desk.ask(models, inquiry=desk.inquire(first))
        with pytest.raises(NoModel, match=r"incident's \$0.01"):
            await desk.ask(models, inquiry=desk.inquire(first))
        await desk.ask(models, inquiry=desk.inquire(second))


async def test_nothing_private_and_no_secret_is_sent_and_the_tool_gets_the_real_argument(desk: Desk) -> None:
    desk.redactor.add("hunter2-the-password", "postgres/main.password")

    def uses_what_it_was_told(asked: Asked) -> Step:
        host = asked.text.split("Host: ")[1].split()[0]
        return Says(f"{host} is down.") if asked.results else Wants(("look", {"service": host, "at": [{"on": host}]}))

    private = "Host: 192.168.178.20 (nas) password=hunter2-the-password token: ghp_0123456789abcdefghijABCDEFGHIJ"
    with Scripted(uses_what_it_was_told) as server:
        models = desk.models(model("mini", server), names=("nas",), hide=("addresses", "names"))
        first = await desk.ask(models, prompt(private, offers=(LOOK,)))
        assert first.wanted[0].arguments == {"service": "192.168.178.20", "at": [{"on": "192.168.178.20"}]}
        said = Message(Speaker.MODEL, first.text, (Wanted("c1", "look", first.wanted[0].arguments),))
        found = Message(Speaker.TOOL, "nas says hunter2-the-password", answers="c1")
        second = await desk.ask(models, prompt(private, said, found, offers=(LOOK,)))
    assert second.text == "192.168.178.20 is down."
    left = "".join(json.dumps(asked.body) for asked in server.requests)
    for secret in ("192.168.178.20", "nas", "hunter2", "ghp_0123"):
        assert secret not in left
    assert "hidden-address-1" in left and "postgres/main.password" in left
    assert "192.168.178.20" not in json.dumps([dict(call.sent) for call in desk.calls])


async def test_a_text_that_is_too_long_is_cut_after_it_was_redacted(desk: Desk) -> None:
    secret = "s3cret-value-that-lies-on-the-border"
    desk.redactor.add(secret)
    with Scripted([Says("Here.")]) as server:
        await desk.ask(desk.models(model("mini", server)), prompt("x" * 31_980 + secret + "y" * 50_000))
    text = server.requests[0].text
    assert len(text) <= 32_000 and "s3cret" not in text


async def test_a_worker_that_is_killed_within_a_call_is_not_the_models_fault_and_it_is_asked_again(desk: Desk) -> None:
    with Scripted([Hangs(), Says("Here.")]) as server:
        task = asyncio.create_task(desk.ask(desk.models(model("mini", server))))
        await asyncio.to_thread(server.wait_for, lambda found: len(found.requests) == 1, 30)
        assert desk.worker.pid is not None
        os.kill(desk.worker.pid, signal.SIGKILL)
        assert (await task).text == "Here."
    assert desk.outcomes == [("mini", "outage"), ("mini", "answered")]
    assert "The process that talks to models ended" in desk.calls[0].error
