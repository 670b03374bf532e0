"""A provider's responses: every way in which they end, fail, or leave something out."""

import json

import pytest

from gateway.core.accumulator import accumulated
from gateway.core.event import RefusalDelta, TextDelta, ThinkingDelta, ThinkingEnd, ToolCallDelta
from gateway.core.message import Owner, Thinking, ToolCall
from gateway.core.upstream_error import UpstreamError
from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.core.usage import Usage
from gateway.wire import UPSTREAMS
from gateway.wire.model import ModelSpec
from tests.unit.wire.every_format import ANSWERS
from tests.unit.wire.openai_responses import provider

MODEL = ModelSpec("small", provider="p")
WIRE = UPSTREAMS["openai-responses"]
OWNER = Owner("openai-responses", "p", "small")
END = {"type": "response.completed", "response": {"status": "completed"}}


def frames(*events):
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def stream(*events):
    parser = WIRE.parser(MODEL)
    return [*parser.feed(frames(*events)), *parser.close()]


def text(delta, **fields):
    return {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": delta, **fields}


def failure(data):
    parser = WIRE.parser(MODEL)
    with pytest.raises(UpstreamError) as caught:
        [*parser.feed(data), *parser.close()]
    return caught.value


def test_a_stream_cut_at_any_byte_is_never_a_success():
    body = b"".join(provider.frames(ANSWERS["everything"]))
    last = body.rindex(b"event: response.completed")
    end_of_json = len(body.rstrip())  # a last event without its blank line counts
    for cut in range(len(body)):
        parser = WIRE.parser(MODEL)
        events = parser.feed(body[:cut])
        if cut >= end_of_json:
            continue
        assert not parser.complete
        with pytest.raises(UpstreamError):
            parser.close()
        assert cut > last or not any(type(event).__name__ == "Finish" for event in events)


@pytest.mark.parametrize(
    ("reason", "finish", "raw"),
    [
        ("max_output_tokens", "length", "max_output_tokens"),
        ("content_filter", "content_filter", None),
        ("something_new", "length", "something_new"),
        (None, "length", None),
    ],
)
def test_an_incomplete_response_never_looks_complete(reason, finish, raw):
    details = None if reason is None else {"reason": reason}
    response = {"status": "incomplete", "incomplete_details": details, "output": []}
    (end,) = WIRE.parse_answer(json.dumps(response).encode(), MODEL)
    assert (end.reason, end.raw) == (finish, raw)
    *_, end = stream(text("a"), {"type": "response.incomplete", "response": {"incomplete_details": details}})
    assert (end.reason, end.raw) == (finish, raw)


ERRORS = [
    ({"code": "server_error", "message": "m"}, Kind.SERVER_ERROR, None),
    ({"code": "rate_limit_exceeded", "message": "Please try again in 1.5s."}, Kind.RATE_LIMITED, 1.5),
    ({"code": "rate_limit_exceeded", "message": "Please try again in 250ms."}, Kind.RATE_LIMITED, 0.25),
    ({"code": "server_is_overloaded", "message": "m"}, Kind.OVERLOADED, None),
    ({"code": "context_length_exceeded", "message": "m"}, Kind.CONTEXT_OVERFLOW, None),
    ({"code": "insufficient_quota", "message": "m"}, Kind.BILLING, None),
    ({"code": "invalid_prompt", "message": "m"}, Kind.INVALID_REQUEST, None),
    ({"code": "image_content_policy_violation", "message": "m"}, Kind.CONTENT_FILTER, None),
    ({"code": "invalid_image_format", "message": "m"}, Kind.INVALID_REQUEST, None),
    (None, Kind.SERVER_ERROR, None),
    ("busy", Kind.SERVER_ERROR, None),
]


@pytest.mark.parametrize(("error", "kind", "retry_after"), ERRORS)
def test_a_failed_response_is_a_failure_of_its_kind(error, kind, retry_after):
    failed = {"type": "response.failed", "response": {"status": "failed", "error": error}}
    whole = json.dumps(failed["response"]).encode()
    with pytest.raises(UpstreamError) as caught:
        WIRE.parse_answer(whole, MODEL)
    for result in (caught.value, failure(frames(failed))):
        assert (result.kind, result.retry_after) == (kind, retry_after)


def test_an_error_event_is_a_failure_in_either_form():
    flat = {"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None, "sequence_number": 3}
    nested = {"type": "error", "error": {"type": "invalid_request_error", "code": "model_not_found", "message": "who?"}}
    chat = {"error": {"message": "in the form of chat completions", "code": "rate_limit_exceeded"}}
    assert (failure(frames(flat)).kind, failure(frames(flat)).message) == (Kind.RATE_LIMITED, "slow")
    assert failure(frames(nested)).kind == Kind.NOT_FOUND
    assert failure(frames(chat)).kind == Kind.RATE_LIMITED


def test_a_response_that_was_cancelled_is_a_failure():
    cancelled = {"type": "response.cancelled", "response": {"status": "cancelled", "output": []}}
    assert failure(frames(cancelled)).kind == Kind.SERVER_ERROR


def test_what_came_before_a_failure_is_given_first():
    parser = WIRE.parser(MODEL)
    events = parser.feed(frames(text("a"), {"type": "response.failed", "response": {"error": {"message": "m"}}}))
    assert events == [TextDelta("a")]
    assert parser.failure.message == "m"
    with pytest.raises(UpstreamError, match="m"):
        parser.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"object":"response"}',
        b'{"status":"queued","output":[]}',
        b'{"status":"completed","output":[]}',
        b'{"status":"completed","output":[{"type":"function_call","call_id":"c","arguments":"{}"}]}',
        b'{"choices":[]}',
    ],
)
def test_what_is_no_answer_is_never_an_empty_success(body):
    with pytest.raises(UpstreamError) as caught:
        WIRE.parse_answer(body, MODEL)
    assert caught.value.kind == Kind.MALFORMED


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_response_without_an_answer_is_a_failure(status):
    with pytest.raises(UpstreamError) as caught:
        WIRE.parse_answer(json.dumps({"status": status, "output": []}).encode(), MODEL)
    assert caught.value.kind == Kind.SERVER_ERROR


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"}],
        [{"type": "response.output_item.done", "output_index": 0, "item": {"type": "function_call"}}],
    ],
)
def test_a_call_without_a_name_is_malformed(events):
    assert failure(frames(*events)).kind == Kind.MALFORMED


def test_what_the_deltas_did_not_bring_comes_from_the_complete_items():
    call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a": 1}'}
    parts = [
        {"type": "output_text", "text": "Hello", "annotations": [{"type": "url_citation", "url": "u", "title": "t"}]},
        {"type": "refusal", "refusal": "No."},
    ]
    events = stream(
        text("Hel"),
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "content": parts}},
        {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"a"'},
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        END,
    )
    answer = accumulated(events)
    assert (answer.text, answer.refusal, answer.citations[0].url) == ("Hello", "No.", "u")
    assert answer.tool_calls == (ToolCall("c1", "look", '{"a": 1}'),)
    assert [event for event in events if isinstance(event, TextDelta | RefusalDelta)] == [
        TextDelta("Hel"),
        TextDelta("lo"),
        RefusalDelta("No."),
    ]


def test_items_that_were_not_streamed_come_from_the_last_event():
    output = [{"type": "message", "content": [{"type": "output_text", "text": "All at once."}]}]
    events = stream({"type": "response.completed", "response": {"status": "completed", "output": output}})
    assert accumulated(events).text == "All at once."


def test_parallel_calls_are_numbered_by_themselves_and_never_share_an_id():
    calls = [
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "a", "arguments": ""},
        {"type": "function_call", "call_id": "c", "name": "b", "arguments": "{}"},
        {"type": "function_call", "name": "c"},
    ]
    done = [
        {"type": "response.output_item.done", "output_index": index, "item": item} for index, item in enumerate(calls)
    ]
    answer = accumulated(stream(*done, END))
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("a", "{}"), ("b", "{}"), ("c", "{}")]
    assert len({call.id for call in answer.tool_calls}) == 3
    assert answer.finish == "tool_calls"


def test_reasoning_whose_item_never_ends_is_closed_before_the_text():
    thought = {"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "Hm."}
    events = stream(thought, text("So", output_index=1), END)
    assert events[:3] == [
        ThinkingDelta("Hm."),
        ThinkingEnd(Thinking("Hm.", owner=OWNER)),
        TextDelta("So"),
    ]


def test_parts_of_a_summary_are_paragraphs():
    deltas = [
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": index, "delta": word}
        for index, word in ((0, "On"), (0, "e"), (1, "Two"))
    ]
    summary = [{"type": "summary_text", "text": "One"}, {"type": "summary_text", "text": "Two"}]
    item = {"type": "reasoning", "id": "rs", "summary": summary, "encrypted_content": "e"}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    answer = accumulated(stream(*deltas, done, text("x", output_index=1), END))
    (block,) = answer.thinking
    assert (block.text, block.kind, block.encrypted, block.id) == ("One\n\nTwo", "summary", "e", "rs")


def test_halves_of_a_surrogate_pair_are_rejoined():
    data = frames(END)
    halves = b'data: {"type":"response.output_text.delta","delta":"a\\ud83d"}\n\n'
    halves += b'data: {"type":"response.output_text.delta","delta":"\\ude00b"}\n\n'
    parser = WIRE.parser(MODEL)
    assert accumulated([*parser.feed(halves + data), *parser.close()]).text == "a😀b"


def test_usage_is_read_by_kind():
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens_details": {"reasoning_tokens": 3},
    }
    end = {"type": "response.completed", "response": {"status": "completed", "usage": usage}}
    assert accumulated(stream(text("a"), end)).usage == Usage(10, 5, 15, 4, 3, 2)


def test_arguments_after_the_end_of_a_call_are_not_repeated():
    call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
    events = stream(
        {"type": "response.output_item.added", "output_index": 0, "item": call | {"arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"},
        {"type": "response.output_item.done", "output_index": 0, "item": call},
        {"type": "response.completed", "response": {"status": "completed", "output": [call]}},
    )
    assert [event for event in events if isinstance(event, ToolCallDelta)] == [ToolCallDelta(0, "{}")]
