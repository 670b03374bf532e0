import json

import pytest

from gateway.core.accumulator import accumulated
from gateway.core.event import (
    Finish,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.message import Extras, Owner, Thinking
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.answer import parse_answer
from gateway.wire.openai_chat.render import render_answer

MODEL = ModelSpec("small", provider="fake")

STOP = Finish("stop")


def thought(field):
    owner = Owner(WIRE, "fake", "small")
    return ThinkingEnd(Thinking("hm", owner=owner, extras=Extras(WIRE, {"field": field})))


THOUGHT = thought("reasoning_content")


def body(message=None, finish="stop", **fields):
    choice = {"index": 0, "message": {"role": "assistant", **(message or {})}, "finish_reason": finish}
    return json.dumps({"object": "chat.completion", "choices": [choice], **fields}).encode()


def call(id_="c", name="f", arguments="{}", **fields):
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}, **fields}


def failure(raw):
    with pytest.raises(UpstreamError) as caught:
        parse_answer(raw, MODEL)
    return caught.value


@pytest.mark.parametrize(
    ("message", "events"),
    [
        ({"content": "Hello"}, [TextDelta("Hello")]),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, [TextDelta("ab")]),
        ({"content": "\ud83d\ude00"}, [TextDelta("\N{GRINNING FACE}")]),
        ({"content": "a", "reasoning_content": "hm"}, [ThinkingDelta("hm"), THOUGHT, TextDelta("a")]),
        ({"content": "a", "reasoning": "hm"}, [ThinkingDelta("hm"), thought("reasoning"), TextDelta("a")]),
        ({"content": None, "reasoning_content": "hm"}, [ThinkingDelta("hm"), THOUGHT]),
        ({"content": "a", "reasoning_content": ""}, [TextDelta("a")]),
        ({"content": None, "refusal": "no"}, [RefusalDelta("no")]),
        ({"content": "a", "tool_calls": []}, [TextDelta("a")]),
        ({"content": "a", "tool_calls": None}, [TextDelta("a")]),
    ],
)
def test_a_message_is_decoded_as_the_events_of_a_stream(message, events):
    assert parse_answer(body(message), MODEL) == [*events, STOP]


@pytest.mark.parametrize("message", [{}, {"content": None}, {"content": ""}, {"content": [], "tool_calls": []}])
def test_an_empty_answer_is_one_only_if_the_provider_counts_what_the_model_wrote(message):
    for usage in ({}, {"usage": None}, {"usage": {"prompt_tokens": 3, "completion_tokens": 0}}):
        assert failure(body(message, **usage)).kind is UpstreamKind.MALFORMED
    events = parse_answer(body(message, usage={"prompt_tokens": 3, "completion_tokens": 1}), MODEL)
    assert events == [STOP, UsageReport(Usage(3, 1, 4))]
    for finish in ("length", "content_filter"):
        assert parse_answer(body(message, finish), MODEL) == [Finish(finish)]


def test_calls_are_numbered_in_their_order():
    calls = [call("a"), call("b", "g", "[]"), call("c", "h", "")]
    assert parse_answer(body({"content": "so", "tool_calls": calls}, "tool_calls"), MODEL) == [
        *(TextDelta("so"), ToolCallBegin(0, "a", "f"), ToolCallDelta(0, "{}")),
        *(ToolCallBegin(1, "b", "g"), ToolCallDelta(1, "[]"), ToolCallBegin(2, "c", "h")),
        *(ToolCallDelta(2, "{}"), Finish("tool_calls")),
    ]


def test_calls_with_a_missing_or_repeated_id_get_unique_ids():
    calls = [call(None), call(None), call("a"), call("a")]
    batch = parse_answer(body({"tool_calls": calls}, "tool_calls"), MODEL)
    ids = [event.id for event in batch if isinstance(event, ToolCallBegin)]
    assert len(set(ids)) == 4
    assert ids[2] == "a"
    again = parse_answer(body({"tool_calls": calls}, "tool_calls"), MODEL)
    assert again[0].id not in ids, "ids must be unique over a conversation"


def test_the_legacy_function_call_is_decoded():
    message = {"content": None, "function_call": {"name": "f", "arguments": "{}"}}
    begin, delta, end = parse_answer(body(message, "function_call"), MODEL)
    assert (begin.name, delta, end) == ("f", ToolCallDelta(0, "{}"), Finish("tool_calls", "function_call"))


def test_a_tool_calls_finish_without_a_call_is_malformed():
    assert failure(body({"content": "a"}, "tool_calls")).kind is UpstreamKind.MALFORMED


def test_a_stop_after_a_call_becomes_tool_calls():
    assert parse_answer(body({"tool_calls": [call()]}), MODEL)[-1] == Finish("tool_calls", "stop")


@pytest.mark.parametrize(("finish", "raw"), [(None, None), ("stop", None), ("weird", "weird")])
def test_a_whole_answer_may_lack_a_finish_reason(finish, raw):
    assert parse_answer(body({"content": "a"}, finish), MODEL) == [TextDelta("a"), Finish("stop", raw)]


def test_usage_follows_the_finish():
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    assert parse_answer(body({"content": "a"}, usage=usage), MODEL) == [
        TextDelta("a"),
        STOP,
        UsageReport(Usage(1, 2, 3)),
    ]
    assert parse_answer(body({"content": "a"}, usage=None), MODEL) == [TextDelta("a"), STOP]


def test_logprobs_are_reported_with_the_text():
    raw = {"choices": [{"message": {"content": "a"}, "logprobs": {"content": []}, "finish_reason": "stop"}]}
    assert parse_answer(json.dumps(raw).encode(), MODEL)[0] == TextDelta("a", {"content": []})


def test_only_the_first_choice_is_read():
    choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in "ab"]
    assert parse_answer(json.dumps({"choices": choices}).encode(), MODEL) == [TextDelta("a"), STOP]


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b" ", b"{", b"nonsense", b"<html>", b"null", b"[]", b'"a"', b"1", b"{}", b'{"choices":[]}', b"NaN"),
        *(b'{"choices":null}', b'{"choices":{}}', b'{"choices":[null]}', b'{"choices":[{}]}', b'{"choices":["a"]}'),
        *(b'{"choices":[{"message":null}]}', b'{"choices":[{"message":"a"}]}', b'{"choices":[{"delta":{}}]}'),
        body({"content": 7}),
        body({"content": {"text": "a"}}),
        body({"tool_calls": {}}),
        body({"tool_calls": ["f"]}),
        body({"tool_calls": [{}]}),
        body({"tool_calls": [{"function": {}}]}),
        body({"tool_calls": [call(name="")]}),
        body({"tool_calls": [call(name=7)]}),
        body({"tool_calls": [call(arguments=["a"])]}),
        b"[" * 100_000,
    ],
    ids=lambda raw: raw[:60],
)
def test_an_invalid_answer_is_malformed(raw):
    error = failure(raw)
    assert (error.kind, error.status) == (UpstreamKind.MALFORMED, 502)
    assert error.message.startswith("The provider's answer could not be read: ")
    assert len(error.message) < 300


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        ({"message": "busy", "code": 503}, UpstreamKind.OVERLOADED, "busy"),
        ({"message": "busy", "type": "overloaded_error"}, UpstreamKind.OVERLOADED, "busy"),
        ("busy", UpstreamKind.SERVER_ERROR, "busy"),
        ({"code": "content_filter"}, UpstreamKind.CONTENT_FILTER, "The provider reported an error."),
        (True, UpstreamKind.SERVER_ERROR, "The provider reported an error."),
        ([1], UpstreamKind.SERVER_ERROR, "The provider reported an error."),
    ],
)
def test_an_error_inside_a_200_is_an_error(error, kind, message):
    for raw in (json.dumps({"error": error}).encode(), body({"content": "a"}, error=error)):
        raised = failure(raw)
        assert (raised.kind, raised.message) == (kind, message)


def test_the_finish_reason_error_is_an_error():
    assert failure(body({"content": "half"}, "error")).kind is UpstreamKind.SERVER_ERROR


@pytest.mark.parametrize("nothing", [None, False, {}, "", []])
def test_an_empty_error_is_ignored(nothing):
    assert parse_answer(body({"content": "a"}, error=nothing), MODEL) == [TextDelta("a"), STOP]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (b'"a\\u0041\\n"', "aA\n"),
        (b'"\xc3\xa9 \xe2\x82\xac"', "\u00e9 \u20ac"),
        (b'"a\xff"', "a\N{REPLACEMENT CHARACTER}"),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b'"a\\ud83db"', "a\N{REPLACEMENT CHARACTER}b"),
    ],
)
def test_valid_text_stays_encoded_as_it_arrived(written, text):
    raw = body({"content": "?"}).replace(b'"?"', written)
    events = parse_answer(raw, MODEL)
    assert events == [TextDelta(text), STOP]
    reply = json.loads(render_answer(accumulated(events), id="i", created=1, model="m"))
    assert reply["choices"][0]["message"]["content"] == text


@pytest.mark.parametrize("content", [b"1", b"{}", b"true", b"[1e999]", b'"'])
def test_content_that_is_not_text_is_malformed(content):
    assert failure(body({"content": "?"}).replace(b'"?"', content)).kind is UpstreamKind.MALFORMED
