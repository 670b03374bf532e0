"""Errors at status 200 that are not below `error`: the client reads their cause, and they count as what they are."""

import json
from typing import Any

import pytest

from gateway.core.event import TextDelta
from gateway.core.upstream_error import UpstreamError
from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.wire import UPSTREAMS
from gateway.wire.model import ModelSpec
from tests.unit.wire.streams import read_stream

MODEL = ModelSpec("m", provider="house")
ERRORS = [
    ({"object": "error", "message": "out of memory", "type": "ServerError", "code": 500}, Kind.SERVER_ERROR),
    ({"object": "error", "message": "out of memory", "code": "503"}, Kind.OVERLOADED),
    ({"detail": "out of memory"}, Kind.SERVER_ERROR),
    ({"detail": [{"loc": ["body"], "msg": "out of memory"}]}, Kind.SERVER_ERROR),
    ({"code": 429, "message": "out of memory", "choices": None}, Kind.RATE_LIMITED),
    ({"status": 401, "msg": "out of memory"}, Kind.AUTH),
    ({"code": "rate_limit_exceeded", "message": "out of memory"}, Kind.RATE_LIMITED),
    ({"base_resp": {"status_code": 1013, "status_msg": "out of memory"}, "choices": None}, Kind.SERVER_ERROR),
    ({"base_resp": {"status_code": 1002, "status_msg": "out of memory"}, "choices": None}, Kind.RATE_LIMITED),
    ({"base_resp": {"status_code": 1004, "status_msg": "out of memory"}, "choices": None}, Kind.AUTH),
    ({"base_resp": {"status_code": 1008, "status_msg": "out of memory"}, "choices": None}, Kind.BILLING),
    ({"base_resp": {"status_code": [1], "status_msg": "out of memory"}, "choices": None}, Kind.SERVER_ERROR),
]
each_error = pytest.mark.parametrize(("error", "kind"), ERRORS)


def frames(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events)


@each_error
@pytest.mark.parametrize("api", ["openai-completions", "openai-responses"])
def test_an_error_without_a_name_in_place_of_an_answer_is_an_error(api, error, kind):
    wire = UPSTREAMS[api]
    with pytest.raises(UpstreamError) as caught:
        wire.parse_answer(json.dumps(error).encode(), MODEL)
    _, failure = read_stream(wire.parser(MODEL), [frames(error)])
    assert failure is not None
    for one in (caught.value, failure):
        assert one.kind is kind
        assert one.message.endswith("out of memory")


NAMED = {"error": {"code": 503, "message": "out of memory", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize("api", ["openai-completions", "google-generative-ai", "google-vertex"])
@pytest.mark.parametrize("frame", ["data: {}\n\n", "{}", "{}\n\n", "[\n{}\n]"])
def test_an_error_in_an_array_is_an_error_in_a_whole_answer_and_in_a_stream(api, frame):
    """As Google reports errors, with and without the framing of a stream."""
    wire = UPSTREAMS[api]
    error = json.dumps([NAMED], indent=1).strip("[]\n") if frame.startswith("[") else json.dumps([NAMED])
    with pytest.raises(UpstreamError) as caught:
        wire.parse_answer(json.dumps([NAMED]).encode(), MODEL)
    _, failure = read_stream(wire.parser(MODEL), [frame.format(error).encode()])
    for one in (caught.value, failure):
        assert one is not None
        assert (one.kind, one.message) == (Kind.OVERLOADED, "out of memory")


@each_error
@pytest.mark.parametrize("apart", [True, False])
def test_it_ends_a_stream_after_what_came_before_it(error, kind, apart):
    text = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}
    pieces = [frames(text), frames(error)] if apart else [frames(text, error)]
    events, failure = read_stream(UPSTREAMS["openai-completions"].parser(MODEL), pieces)
    assert events == [TextDelta("Hi")]
    assert failure is not None
    assert (failure.kind, failure.message.endswith("out of memory")) == (kind, True)


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": []},
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
        {"id": "x", "object": "chat.completion.chunk", "model": "m"},
        {"message": "processing"},
        {"base_resp": {"status_code": 0, "status_msg": ""}},
        {"code": 0, "msg": ""},
    ],
)
def test_a_chunk_without_choices_that_reports_nothing_is_no_error(chunk):
    text = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    _, failure = read_stream(UPSTREAMS["openai-completions"].parser(MODEL), [frames(chunk, text, chunk)])
    assert failure is None


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("insufficient_system_resource", Kind.OVERLOADED),
        ("network_error", Kind.SERVER_ERROR),
        ("abort", Kind.SERVER_ERROR),
    ],
)
def test_an_answer_that_the_server_gave_up_is_no_success(reason, kind):
    wire = UPSTREAMS["openai-completions"]
    whole = {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": reason}]}
    with pytest.raises(UpstreamError) as caught:
        wire.parse_answer(json.dumps(whole).encode(), MODEL)
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": reason}]}
    events, failure = read_stream(wire.parser(MODEL), [frames(chunk)])
    assert events == [TextDelta("Hi")]
    assert failure is not None
    for one in (caught.value, failure):
        assert one.kind is kind
        assert reason in one.message
