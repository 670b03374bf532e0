import json

import pytest

from gateway.core.accumulator import accumulated
from gateway.core.answer import Answer
from gateway.core.event import Finish, RefusalDelta, TextDelta, ThinkingEnd, ToolCallBegin, ToolCallDelta
from gateway.core.jsonio import dumps
from gateway.core.message import Thinking, ToolCall
from gateway.core.usage import Usage
from gateway.wire.openai_responses.render import answer_object
from gateway.wire.openai_responses.stream import Renderer


def render_reply(reply, head, *, completed):
    return dumps(answer_object(reply, head, completed=completed))


USAGE = Usage(prompt=11, completion=7, total=18, cached=4, reasoning=2)


def test_a_plain_answer_is_a_complete_response(head, response):
    body = response(render_reply(Answer("Hello", "stop", USAGE), head, completed=1_700_000_002))
    assert (body["id"], body["object"], body["status"], body["model"]) == (
        "resp_1",
        "response",
        "completed",
        "openclaw",
    )
    assert (body["created_at"], body["completed_at"]) == (1_700_000_000, 1_700_000_002)
    assert (body["error"], body["incomplete_details"], body["tool_choice"]) == (None, None, "auto")
    (message,) = body["output"]
    assert message.pop("id").startswith("msg_")
    assert message == {
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "phase": "final_answer",
        "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
    }
    assert body["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 18,
    }


def test_calls_keep_the_providers_ids_and_argument_bytes(head, response):
    calls = (ToolCall("call_1", "f", '{ "a":1 }'), ToolCall("call_2", "g", ""))
    body = response(render_reply(Answer(None, "tool_calls", tool_calls=calls), head, completed=1))
    first, second = body["output"]
    assert first.pop("id").startswith("fc_")
    assert first == {
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": "f",
        "arguments": '{ "a":1 }',
    }
    assert (second["call_id"], second["arguments"], body["status"]) == ("call_2", "", "completed")


def test_text_with_calls_is_a_commentary_message_before_them(head, response):
    reply = Answer("Let me see.", "tool_calls", tool_calls=(ToolCall("c", "f", "{}"),))
    message, call = response(render_reply(reply, head, completed=1))["output"]
    assert (message["phase"], message["content"][0]["text"], call["type"]) == (
        "commentary",
        "Let me see.",
        "function_call",
    )


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_a_truncated_answer_and_its_last_item_are_incomplete(head, response, finish, reason):
    body = response(render_reply(Answer("Hel", finish), head, completed=1))
    assert (body["status"], body["incomplete_details"], body["completed_at"]) == (
        "incomplete",
        {"reason": reason},
        None,
    )
    assert body["output"][0]["status"] == "incomplete"


def test_only_the_last_call_of_a_truncated_answer_is_incomplete(head, response):
    reply = Answer("x", "length", tool_calls=(ToolCall("a", "f", "{}"), ToolCall("b", "f", '{"x')))
    statuses = [item["status"] for item in response(render_reply(reply, head, completed=1))["output"]]
    assert statuses == ["completed", "completed", "incomplete"]


def test_an_empty_answer_becomes_an_empty_message(head, response):
    (message,) = response(render_reply(Answer(None, "stop"), head, completed=1))["output"]
    assert message["content"][0]["text"] == ""


def test_a_refusal_is_a_separate_part(head, response):
    (message,) = response(render_reply(Answer(None, "stop", refusal="No."), head, completed=1))["output"]
    assert message["content"] == [{"type": "refusal", "refusal": "No."}]
    (message,) = response(render_reply(Answer("Hm.", "stop", refusal="No."), head, completed=1))["output"]
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]


def test_logprobs_are_reported(head, response):
    token = {"token": "H", "logprob": -0.1, "bytes": [72], "top_logprobs": []}
    body = response(render_reply(Answer("H", "stop", logprobs={"content": [token]}), head, completed=1))
    assert body["output"][0]["content"][0]["logprobs"] == [token]


HM, AH = Thinking("hm", "sig", id="rs_1"), Thinking("ah", id="rs_2")


@pytest.mark.parametrize(
    "events",
    [
        [ThinkingEnd(HM), TextDelta("a"), ThinkingEnd(AH), TextDelta("b"), TextDelta("c")],
        [TextDelta("a"), ThinkingEnd(HM)],
        [TextDelta("a"), RefusalDelta("no")],
        [ThinkingEnd(HM), ToolCallBegin(0, "c", "f"), ToolCallDelta(0, "{}"), TextDelta("b")],
        [TextDelta("a"), ThinkingEnd(HM), ToolCallBegin(0, "c", "f"), ToolCallDelta(0, "{}")],
        [ThinkingEnd(HM), ThinkingEnd(AH)],
    ],
)
def test_the_items_of_a_whole_answer_are_those_of_its_stream(head, response, events):
    whole = response(render_reply(accumulated([*events, Finish("stop")]), head, completed=5))
    renderer = Renderer(head, now=lambda: 5.0)
    renderer.feed([*events, Finish("stop")])
    assert whole["output"] == json.loads(dumps(renderer.outcome()))["output"]
