"""Anything that a provider sends decodes to an answer or an UpstreamError."""

import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.event import Finish, ToolCallBegin, ToolCallDelta, UsageReport
from gateway.core.jsonio import dumps
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat import embeddings
from gateway.wire.openai_chat.answer import parse_answer
from gateway.wire.openai_chat.error_body import error_body
from gateway.wire.openai_error import classify, error_in

MODEL = ModelSpec("small", provider="fake")

FIELDS = st.sampled_from([
    *("choices", "delta", "message", "content", "tool_calls", "function", "name", "arguments", "index", "id"),
    *("finish_reason", "usage", "prompt_tokens", "completion_tokens_details", "error", "code", "type", "param"),
    *("reasoning_content", "refusal", "logprobs", "data", "embedding"),
])  # fmt: skip
WORDS = st.sampled_from(["", "stop", "error", "a", "\ud83d", "\ude00", "f", "{}", "AACAPw=="]) | st.text(max_size=3)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=16,
)


def shaped(inner):
    """Objects that look like an answer, with junk where something is expected."""
    function = st.dictionaries(st.sampled_from(["name", "arguments"]), inner | WORDS)
    call = st.dictionaries(st.sampled_from(["index", "id", "function"]), inner | function | st.integers(0, 2))
    delta = st.dictionaries(
        st.sampled_from(["content", "tool_calls", "reasoning", "refusal"]), inner | WORDS | st.lists(call, max_size=3)
    )
    choice = st.dictionaries(st.sampled_from(["delta", "message", "finish_reason", "logprobs"]), delta | inner | WORDS)
    return st.dictionaries(
        st.sampled_from(["choices", "usage", "error"]), st.lists(choice, max_size=2) | inner, max_size=3
    )


CHUNKS = st.lists(JSON | shaped(JSON), max_size=5)


def checked(events):
    """Check the rules for the order of events."""
    open_calls, finished = set(), False
    for event in events:
        assert not finished or isinstance(event, UsageReport)
        if isinstance(event, ToolCallBegin):
            assert event.index == len(open_calls)
            assert event.name
            open_calls.add(event.index)
        if isinstance(event, ToolCallDelta):
            assert event.index in open_calls
            assert event.arguments
        finished = finished or isinstance(event, Finish)
    return finished


@settings(max_examples=300)
@given(CHUNKS)
def test_any_chunks_decode_to_an_answer_or_an_upstream_error(read, stream, chunks):
    events, failure = read(stream(*chunks))
    assert checked(events) == (failure is None)


@given(st.binary(max_size=60))
def test_any_bytes_decode_to_an_upstream_error(read, raw):
    events, failure = read(raw)
    assert (events, failure.kind) == ([], UpstreamKind.MALFORMED)


@settings(max_examples=300)
@given(JSON | shaped(JSON))
def test_any_body_decodes_to_an_answer_or_an_upstream_error(value):
    with suppress(UpstreamError):
        assert checked(parse_answer(json.dumps(value).encode(), MODEL))


@given(JSON, st.none() | st.integers(300, 599))
def test_any_error_is_classified(value, status):
    for error in (classify(status, value), classify(status, {"error": value}), error_in(value)):
        assert error.kind in UpstreamKind
        assert error.message.strip()
        assert 400 <= error.status < 600
        dumps(error_body(error))


VECTOR = st.lists(st.floats(width=32) | st.integers(), max_size=4) | JSON | WORDS
ITEM = st.dictionaries(st.sampled_from(["embedding", "index"]), VECTOR | st.integers(-1, 3)) | JSON
VECTORS = st.fixed_dictionaries({"data": st.lists(ITEM, max_size=3) | JSON}, optional={"usage": JSON, "error": JSON})


@settings(max_examples=300)
@given(VECTORS | JSON, st.integers(1, 3), st.booleans())
def test_any_vectors_decode_to_an_answer_or_an_upstream_error(value, expected, as_base64):
    with suppress(UpstreamError):
        reply = embeddings.parse_reply(json.dumps(value).encode(), expected)
        body = json.loads(embeddings.render_reply(reply, model="m", as_base64=as_base64))
        kinds = [type(item["embedding"]) for item in body["data"]]
        assert kinds == [str if as_base64 else list] * expected
