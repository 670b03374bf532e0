import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.accumulator import accumulated
from gateway.core.event import Finish, TextDelta, ThinkingDelta, ThinkingEnd, ToolCallBegin, ToolCallDelta, UsageReport
from gateway.core.message import Owner, Thinking
from gateway.core.upstream_error import UpstreamError
from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.core.usage import Usage
from gateway.wire.model import ModelSpec
from gateway.wire.ollama.answer import StreamParser, parse_answer
from tests.unit.wire.streams import checked, read_stream

MODEL = ModelSpec("gpt-oss", provider="house")
DONE: dict[str, Any] = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}


def lines(*objects: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


def said(**message: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": "", **message}, "done": False}


def read(data: bytes) -> Any:
    return read_stream(StreamParser(MODEL), [data])


def test_thinking_ends_before_the_text_and_belongs_to_its_model():
    events, failure = read(lines(said(thinking="Hm"), said(thinking="?"), said(content="Yes."), DONE))
    block = Thinking("Hm?", owner=Owner("ollama", "house", "gpt-oss"))
    expected = [ThinkingDelta("Hm"), ThinkingDelta("?"), ThinkingEnd(block), TextDelta("Yes.")]
    assert (events, failure) == ([*expected, Finish("stop"), UsageReport(Usage())], None)


def test_content_and_calls_in_the_last_line_count():
    call = {"function": {"name": "look", "arguments": {"at": "é"}}}
    end = {**DONE, "message": {"content": "Wait.", "tool_calls": [call]}, "prompt_eval_count": 7, "eval_count": 3}
    events, _ = read(lines(end))
    answer = accumulated(events)
    assert (answer.text, answer.finish, answer.raw_finish) == ("Wait.", "tool_calls", "stop")
    assert answer.usage == Usage(7, 3, 10)


def test_calls_without_ids_get_unique_ones_and_keep_their_order():
    look, touch = ({"function": {"name": name, "arguments": {}}} for name in ("look", "touch"))
    events, _ = read(lines(said(tool_calls=[look, touch]), said(tool_calls=[look]), DONE))
    calls = accumulated(events).tool_calls
    assert [(call.name, call.arguments) for call in calls] == [("look", "{}"), ("touch", "{}"), ("look", "{}")]
    assert len({call.id for call in calls}) == 3
    again, _ = read(lines(said(tool_calls=[look, touch]), DONE))
    assert {call.id for call in calls}.isdisjoint(call.id for call in accumulated(again).tool_calls)


def test_an_id_that_comes_twice_is_replaced():
    call = {"id": "c1", "function": {"name": "look", "arguments": {}}}
    events, _ = read(lines(said(tool_calls=[call, call]), DONE))
    first, second = (event.id for event in events if isinstance(event, ToolCallBegin))
    assert first == "c1" != second


def test_arguments_keep_the_bytes_of_the_model():
    body = b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a": 1.50, "b":[ ]}}}]},"done":true}'
    assert ToolCallDelta(0, '{"a": 1.50, "b":[ ]}') in parse_answer(body, MODEL)


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", "stop"), ("length", "length"), (None, "stop"), ("something", "stop")]
)
def test_the_reason_of_the_end_is_told(reason, finish):
    events, _ = read(lines(said(content="a"), {**DONE, "done_reason": reason}))
    answer = accumulated(events)
    assert (answer.finish, answer.raw_finish) == (finish, None if reason == finish else reason)


def test_an_answer_that_only_loaded_the_model_is_none():
    _, failure = read(lines({**DONE, "done_reason": "load"}))
    assert failure.kind is Kind.MALFORMED
    assert "load the model" in failure.message


def test_an_emoji_that_is_split_over_two_lines_is_rejoined():
    events, _ = read(lines(said(content="a\ud83d"), said(content="\ude00b"), DONE))
    assert accumulated(events).text == "a😀b"


def test_log_probabilities_have_the_clients_form():
    token = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    events, _ = read(lines({**said(content="a"), "logprobs": [token]}, DONE))
    assert accumulated(events).logprobs == {"content": [token]}


@pytest.mark.parametrize("started", [False, True])
def test_an_error_line_at_status_200_is_an_error(started):
    error = {"error": "an error was encountered while running the model: unexpected EOF"}
    events, failure = read(lines(*[said(content="Hel")] * started, error))
    assert events == [TextDelta("Hel")] * started
    assert (failure.kind, "unexpected EOF" in failure.message) == (Kind.SERVER_ERROR, True)


def test_a_stream_that_is_cut_at_any_byte_is_never_complete():
    call = {"function": {"name": "f", "arguments": {"a": "é"}}}
    stream = lines(said(thinking="Hm"), said(content="Hé"), said(tool_calls=[call]), {**DONE, "eval_count": 3})
    for end in range(len(stream) - 1):  # its last byte is the line end
        events, failure = read(stream[:end])
        assert not checked(events)
        assert failure.kind in (Kind.TRANSPORT, Kind.MALFORMED)
    assert checked(read(stream[:-1])[0])


@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_an_upstream_error(raw):
    events, failure = read(raw)
    assert checked(events) == (failure is None)


FIELDS = st.sampled_from([
    "message", "content", "thinking", "tool_calls", "function", "name", "arguments", "done", "done_reason", "error",
    "eval_count", "prompt_eval_count", "id", "logprobs",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "stop", "load", "f", "\ud83d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=16,
)


@settings(max_examples=300)
@given(st.lists(JSON, max_size=4))
def test_any_lines_are_an_answer_or_an_upstream_error(values):
    events, failure = read(lines(*values))
    assert checked(events) == (failure is None)


def test_an_oversized_line_is_an_error(monkeypatch):
    monkeypatch.setattr("gateway.wire.framing.ndjson._MAX_LINE", 10)
    with pytest.raises(UpstreamError, match="a line of more than 10 bytes"):
        StreamParser(MODEL).feed(b'{"message": {')
