"""The scripted server: it answers as told, whole and streamed, and refuses what OpenAI's server would refuse."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.models.script import Asked, Cuts, Drips, Fails, Hangs, Raw, Says, Wants
from tests.models.scripted import Scripted

USER = {"role": "user", "content": "Why is it down?"}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
}
TOOL = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}


def body(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "small", "messages": list(messages or [USER]), **more}


def post(server: Scripted, asked: dict[str, Any], key: str | None = None, timeout: float = 5.0) -> httpx.Response:
    headers = {"Authorization": f"Bearer {server.key if key is None else key}"}
    return httpx.post(f"{server.url}/chat/completions", json=asked, headers=headers, timeout=timeout)


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_it_answers_in_the_order_of_its_script_and_keeps_what_it_was_asked() -> None:
    with Scripted([Says("One.", usage=(10, 2)), Wants(("look", {"deep": True}))]) as server:
        first, second = post(server, body()), post(server, body(tools=[TOOL]))
        assert first.json()["choices"][0]["message"]["content"] == "One."
        assert first.json()["usage"] == {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
        call = second.json()["choices"][0]["message"]["tool_calls"][0]
        assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("look", {"deep": True})
        assert [asked.tools for asked in server.requests] == [[], ["look"]]


def test_a_stream_brings_text_and_arguments_in_pieces_and_the_usage_last() -> None:
    with Scripted(
        [Wants(("look", {"service": "postgres/main"}), ("look", "{broken"), text="Let me look at it.")]
    ) as server:
        found = events(post(server, body(tools=[TOOL], stream=True, stream_options={"include_usage": True})))
    deltas = [event["choices"][0]["delta"] for event in found if event["choices"]]
    parts = [part for delta in deltas for part in delta.get("tool_calls", ())]
    assert "".join(delta.get("content") or "" for delta in deltas) == "Let me look at it."
    assert json.loads("".join(part["function"]["arguments"] for part in parts if part["index"] == 0)) == {
        "service": "postgres/main"
    }
    assert "".join(part["function"]["arguments"] for part in parts if part["index"] == 1) == "{broken"
    assert len(parts) > 4 and found[-1]["usage"]["total_tokens"] > 0


def test_the_script_may_be_a_function_of_the_request() -> None:
    def obeys(asked: Asked) -> Says:
        return Says(asked.text.upper())

    with Scripted(obeys) as server:
        assert post(server, body()).json()["choices"][0]["message"]["content"] == "WHY IS IT DOWN?"


def test_what_an_earlier_asker_sent_takes_no_step_of_another_script() -> None:
    with Scripted([Says("One.")]) as server:
        earlier = Scripted((), port=server.port, part=server.part)
        server.play_for_another([Says("Two.")])
        assert post(earlier, body()).status_code == 410
        assert server.requests == []
        assert post(server, body()).json()["choices"][0]["message"]["content"] == "Two."


def test_it_fails_as_it_is_told() -> None:
    with Scripted(
        [Fails(429, retry_after=7), Fails(502, body="<html>"), Raw("<html>", "text/html"), Hangs()]
    ) as server:
        assert post(server, body(), key="wrong").status_code == 401
        limited = post(server, body())
        assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
        assert [post(server, body()).text for _ in range(2)] == ["<html>", "<html>"]
        with pytest.raises(httpx.ReadTimeout):
            post(server, body(), timeout=0.2)
        server.wait_for(lambda found: found.abandoned == 1)


def test_a_stream_can_be_slow_or_end_within_an_answer() -> None:
    with Scripted([Drips("one two three", every=0.01), Cuts("Never said as a whole.")]) as server:
        assert len(events(post(server, body(stream=True)))) == 5
        with pytest.raises(httpx.HTTPError):
            post(server, body(stream=True))


def test_after_a_stop_nobody_answers_until_it_starts_again_at_its_port() -> None:
    with Scripted([Says("Here.")]) as server:
        server.stop()
        with pytest.raises(httpx.ConnectError):
            post(server, body())
        server.start()
        assert post(server, body()).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        body({"role": "user", "content": 5}),
        body({"role": "robot", "content": "x"}),
        body(USER, CALLED, USER),
        body(USER, CALLED),
        body(USER, {"role": "tool", "tool_call_id": "c1", "content": "x"}),
        body(USER, CALLED, {"role": "tool", "tool_call_id": "c2", "content": "x"}),
        body(tools=[]),
        body(tools=[TOOL, TOOL]),
        body(tools=[{"type": "function", "function": {"name": "not a name", "parameters": {"type": "object"}}}]),
        body(tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "string"}}}]),
        body(tool_choice="auto"),
        body(stream_options={"include_usage": True}),
        body(response_format={"type": "json_schema"}),
        body(colour="red"),
        {"model": "", "messages": [USER]},
        {"model": "small", "messages": []},
    ],
)
def test_what_openai_would_refuse_is_refused_and_kept_as_a_problem(asked: dict[str, Any]) -> None:
    server = Scripted([Says("Never.")]).start()
    try:
        assert post(server, asked).status_code == 400
        assert len(server.problems) == 1 and not server.requests
    finally:
        server.stop()


def test_a_tool_message_that_answers_its_call_is_taken() -> None:
    with Scripted([Says("Thanks.")]) as server:
        answer = post(server, body(USER, CALLED, {"role": "tool", "tool_call_id": "c1", "content": "up"}, tools=[TOOL]))
        assert answer.status_code == 200
        assert server.requests[0].results == ["up"]


def test_leaving_the_block_tells_of_a_request_after_the_end_of_the_script() -> None:
    with pytest.raises(AssertionError, match="end of the script"), Scripted([]) as server:
        post(server, body())
