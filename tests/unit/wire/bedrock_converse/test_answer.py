import json
import struct
from binascii import crc32
from itertools import pairwise

import pytest
from botocore.eventstream import EventStream
from botocore.parsers import EventStreamJSONParser, create_parser
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.accumulator import accumulated
from gateway.core.answer import Answer
from gateway.core.event import Finish, TextDelta
from gateway.core.message import Citation, Owner, Text, Thinking, ToolCall
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.core.usage import Usage
from gateway.wire.bedrock_converse import WIRE
from gateway.wire.bedrock_converse.answer import StreamParser, parse_answer
from gateway.wire.bedrock_converse.errors import classify
from gateway.wire.model import ModelSpec
from tests.unit.wire.bedrock_converse import provider

MODEL = ModelSpec("small", provider="house")
OWNER = Owner(WIRE, "house", "small")
THINKING = (Thinking("hm", "c2ln", owner=OWNER), Thinking(encrypted="ZGF0YQ==", owner=OWNER))
CALLS = (ToolCall("tooluse_1", "f", '{"a": "é"}'), ToolCall("tooluse_2", "g", "{}"))
SOURCES = (Citation("https://a.example", "A", 0, 2),)
FULL = Answer("Hé 👋🏽.", "tool_calls", Usage(19, 7, 26, 5, None, 4, 1), CALLS, THINKING, citations=SOURCES)


def events(*pieces):
    parser = StreamParser(MODEL)
    batch = [event for piece in pieces for event in parser.feed(piece)]
    return batch + parser.close()


def failure(*pieces):
    with pytest.raises(UpstreamError) as caught:
        events(*pieces)
    return caught.value


def event(name, **payload):
    return provider._event(name, payload)


START, METADATA = (
    event("messageStart", role="assistant"),
    event("metadata", usage={"inputTokens": 3, "outputTokens": 2}),
)
TEXT = [
    event("contentBlockDelta", delta={"text": "Hello"}, contentBlockIndex=0),
    event("contentBlockStop", contentBlockIndex=0),
]


def stop(reason):
    return event("messageStop", stopReason=reason)


class Raw:
    """The bytes of a stream, as botocore reads them."""

    def __init__(self, data):
        self.data = data

    def stream(self):
        yield self.data

    def close(self):
        pass


def by_botocore(data):
    """The events of a stream, by the maker's own parser and service model."""
    operation = provider.model_of_the_service().operation_model("ConverseStream")
    shape = operation.output_shape.members["stream"]
    parser = EventStreamJSONParser()
    return list(EventStream(Raw(data), shape, parser, "ConverseStream"))


def test_the_makers_own_parser_reads_the_same_stream():
    seen = by_botocore(b"".join(provider.frames(FULL)))
    ours = accumulated(events(*provider.frames(FULL)))
    deltas = [one["contentBlockDelta"]["delta"] for one in seen if "contentBlockDelta" in one]
    assert "".join(delta.get("text", "") for delta in deltas) == ours.text
    reasoning = [delta["reasoningContent"] for delta in deltas if "reasoningContent" in delta]
    assert "".join(one.get("text", "") for one in reasoning) == ours.thinking[0].text
    assert "".join(one.get("signature", "") for one in reasoning) == ours.thinking[0].signature
    assert b"".join(one.get("redactedContent", b"") for one in reasoning) == b"data"
    assert ours.thinking[1].encrypted == "ZGF0YQ=="
    uses = [one["contentBlockStart"]["start"]["toolUse"] for one in seen if "contentBlockStart" in one]
    assert [(one["toolUseId"], one["name"]) for one in uses] == [(call.id, call.name) for call in ours.tool_calls]
    arguments = "".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)
    assert arguments == "".join(call.arguments for call in ours.tool_calls)
    assert seen[-2]["messageStop"]["stopReason"] == ours.raw_finish
    usage = seen[-1]["metadata"]["usage"]
    assert usage["inputTokens"] + usage["cacheReadInputTokens"] + usage["cacheWriteInputTokens"] == ours.usage.prompt
    assert ours.usage == FULL.usage


def test_the_makers_own_parser_reads_the_same_whole_answer():
    operation = provider.model_of_the_service().operation_model("Converse")
    response = {"body": provider.whole(FULL), "headers": {}, "status_code": 200}
    seen = create_parser("rest-json").parse(response, operation.output_shape)
    ours = accumulated(parse_answer(provider.whole(FULL), MODEL))
    content = seen["output"]["message"]["content"]
    assert [next(iter(block)) for block in content] == [
        "reasoningContent", "reasoningContent", "citationsContent", "text", "toolUse", "toolUse",
    ]  # fmt: skip
    assert content[0]["reasoningContent"]["reasoningText"] == {"text": "hm", "signature": "c2ln"}
    assert [json.loads(call.arguments) for call in ours.tool_calls] == [
        block["toolUse"]["input"] for block in content[4:]
    ]
    assert accumulated(events(*provider.frames(FULL))) == ours


@given(st.lists(st.integers(0, 5000), max_size=8))
def test_a_stream_says_the_same_under_any_split(cuts):
    stream = b"".join(provider.frames(FULL))
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    assert events(*(stream[a:b] for a, b in pairwise(edges))) == events(stream)


@given(st.data())
def test_a_stream_that_is_cut_is_never_an_answer(data):
    frames = provider.frames(FULL)
    stream = b"".join(frames)
    complete = len(stream) - len(frames[-1])
    cut = data.draw(st.integers(0, complete - 1))
    assert failure(stream[:cut]).kind in (UpstreamKind.TRANSPORT, UpstreamKind.MALFORMED)
    assert accumulated(events(stream[:complete])).text == FULL.text


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"), ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"), ("something_new", "stop"),
    ],
)  # fmt: skip
def test_the_providers_own_reason_is_preserved(reason, finish):
    assert events(START, *TEXT, stop(reason), METADATA)[1] == Finish(finish, reason)


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use", "tool_use", None])
def test_a_broken_answer_is_no_answer(reason):
    assert failure(START, stop(reason), METADATA).kind is UpstreamKind.MALFORMED


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", UpstreamKind.RATE_LIMITED),
        ("modelStreamErrorException", UpstreamKind.SERVER_ERROR),
        ("internalServerException", UpstreamKind.SERVER_ERROR),
        ("serviceUnavailableException", UpstreamKind.OVERLOADED),
        ("validationException", UpstreamKind.INVALID_REQUEST),
        ("anotherException", UpstreamKind.SERVER_ERROR),
    ],
)
def test_an_exception_in_the_stream_comes_after_what_was_sent_before_it(name, kind):
    frame = provider._message({":message-type": "exception", ":exception-type": name}, {"message": "It failed."})
    parser = StreamParser(MODEL)
    assert parser.feed(b"".join([START, TEXT[0], frame])) == [TextDelta("Hello")]
    with pytest.raises(UpstreamError) as caught:
        parser.close()
    assert (caught.value.kind, caught.value.message) == (kind, "It failed.")
    assert failure(frame).kind is kind
    assert accumulated(events(START, *TEXT, stop("end_turn"), frame)).text == "Hello"


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "Malformed input request", UpstreamKind.INVALID_REQUEST),
        (400, "Input is too long for requested model.", UpstreamKind.CONTEXT_OVERFLOW),
        (400, "prompt is too long: 9 > 8", UpstreamKind.CONTEXT_OVERFLOW),
        (400, "You have exceeded your service quota", UpstreamKind.BILLING),
        (401, None, UpstreamKind.AUTH),
        (403, "The security token included in the request is invalid.", UpstreamKind.AUTH),
        (404, "Could not resolve the foundation model", UpstreamKind.NOT_FOUND),
        (408, None, UpstreamKind.REPORTED_TIMEOUT),
        (413, None, UpstreamKind.TOO_LARGE),
        (424, None, UpstreamKind.SERVER_ERROR),
        (429, "Too many requests", UpstreamKind.RATE_LIMITED),
        (500, None, UpstreamKind.SERVER_ERROR),
        (503, None, UpstreamKind.OVERLOADED),
        (302, None, UpstreamKind.UNUSABLE),
    ],
)
def test_errors_are_what_the_status_says(status, message, kind):
    error = classify(status, {"message": message} if message else None, retry_after=3.0)
    assert (error.kind, error.upstream_status, error.retry_after) == (kind, status, 3.0)
    assert message is None or error.message == message


@pytest.mark.parametrize(
    "stream",
    [
        b"data: nonsense\n\n",
        b"\0" * 40,
        START + b"x" * 20,
        START + struct.pack(">II", 16, 0) + struct.pack(">I", crc32(b"")),
    ],
)
def test_what_is_no_event_stream_is_no_answer(stream):
    assert failure(stream).kind is UpstreamKind.MALFORMED


@pytest.mark.parametrize("payload", [b"nonsense", b"[]", b'{"contentBlockIndex": "x"}'])
def test_a_payload_that_can_not_be_read_is_no_answer(payload):
    assert failure(START, frame_of(payload)).kind is UpstreamKind.MALFORMED


def frame_of(payload):
    name, value = b":event-type", b"contentBlockDelta"
    headers = bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return body + struct.pack(">I", crc32(body))


@pytest.mark.parametrize("body", [b"{}", b"nonsense", b'{"output": {"message": {"content": []}}}'])
def test_a_whole_answer_that_is_none_is_an_error(body):
    with pytest.raises(UpstreamError) as caught:
        parse_answer(body, MODEL)
    assert caught.value.kind is UpstreamKind.MALFORMED


def test_an_open_block_of_reasoning_is_a_sign_of_life():
    parser = StreamParser(MODEL)
    parser.feed(START)
    assert not parser.thinking
    parser.feed(event("contentBlockDelta", delta={"reasoningContent": {"signature": "s"}}, contentBlockIndex=0))
    assert parser.thinking
    parser.feed(event("contentBlockStop", contentBlockIndex=0))
    assert not parser.thinking


def test_blocks_that_have_no_event_are_passed_over():
    other = [
        event("contentBlockStart", start={"image": {"format": "png"}}, contentBlockIndex=0),
        event("contentBlockStop", contentBlockIndex=0),
        event("somethingNew"),
    ]
    assert accumulated(events(START, *other, *TEXT, stop("end_turn"), METADATA)).parts == (Text("Hello"),)
    arguments = event("contentBlockDelta", delta={"toolUse": {"input": "{"}}, contentBlockIndex=0)
    assert failure(START, arguments).kind is UpstreamKind.MALFORMED
