"""The events that a client gets: blocks that never overlap, and an end for every stream."""

import json

import pytest
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from gateway.core.accumulator import accumulated
from gateway.core.errors import Overloaded
from gateway.core.event import (
    CitationFound,
    Finish,
    ForeignFound,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.message import Citation, Extras, Foreign, Owner, Thinking
from gateway.core.usage import Usage
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.anthropic_messages.render import MessageRenderer
from gateway.wire.anthropic_messages.stream import Renderer

EVENT = TypeAdapter(RawMessageStreamEvent)
STOP = Finish("stop")


def events_of(*batches, prompt_tokens=0):
    renderer = Renderer("msg_1", "openclaw", seal=None, request_id="req_1", prompt_tokens=prompt_tokens)
    frames = b"".join([*map(renderer.feed, batches), renderer.close()]).decode().split("\n\n")
    assert frames.pop() == ""
    payloads = [json.loads(frame.partition("\ndata: ")[2]) for frame in frames]
    for payload in payloads:
        if payload["type"] != "ping":
            EVENT.validate_python(payload)
    return payloads


def blocks_of(*batches):
    """The blocks with the pieces of their deltas joined."""
    blocks = []
    for event in events_of(*batches):
        if event["type"] == "content_block_start":
            assert event["index"] == len(blocks)
            blocks.append([event["content_block"], {}])
        elif event["type"] == "content_block_delta":
            assert event["index"] == len(blocks) - 1
            kind, *values = event["delta"].values()
            known = blocks[-1][1]
            known[kind] = known.get(kind, "" if isinstance(values[0], str) else []) + (
                values[0] if isinstance(values[0], str) else [values[0]]
            )
    return [(block["type"], deltas) for block, deltas in blocks]


def body_of(*events):
    return json.loads(MessageRenderer(seal=None, request_id="req_1").body(accumulated([*events]), "openclaw"))


def call(index, name="look"):
    return ToolCallBegin(index, f"call_{index}", name)


def test_a_stream_begins_with_an_estimate_and_ends_with_the_counts():
    start, ping, *_, end, stop = events_of(
        [TextDelta("hi"), STOP, UsageReport(Usage(10, 2, 12, 4, 1, 3))], prompt_tokens=9
    )
    assert (start["message"]["usage"]["input_tokens"], ping["type"], stop["type"]) == (9, "ping", "message_stop")
    assert end["usage"] == {
        "input_tokens": 3,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 4,
        "output_tokens": 2,
        "output_tokens_details": {"thinking_tokens": 1},
    }


@pytest.mark.parametrize(
    ("end", "fields"),
    [
        (STOP, ("end_turn", None)),
        (Finish("stop", "stop_sequence", "END"), ("stop_sequence", "END")),
        (Finish("length", "max_tokens"), ("max_tokens", None)),
        (Finish("length", "model_context_window_exceeded"), ("model_context_window_exceeded", None)),
        (Finish("stop", "pause_turn"), ("pause_turn", None)),
        (Finish("content_filter"), ("refusal", None)),
        (Finish("tool_calls", "end_turn"), ("tool_use", None)),
        (Finish("stop", "eos"), ("end_turn", None)),
    ],
)
def test_every_end_has_its_reason(end, fields):
    delta = events_of([TextDelta("hi"), end])[-2]["delta"]
    assert (delta["stop_reason"], delta["stop_sequence"]) == fields
    body = body_of(TextDelta("hi"), end)
    assert (body["stop_reason"], body["stop_sequence"]) == fields


def test_a_refusal_is_text_and_the_reason_of_the_end():
    refused = [RefusalDelta("I "), RefusalDelta("can't."), STOP]
    assert blocks_of(refused) == [("text", {"text_delta": "I can't."})]
    details = {"type": "refusal", "category": None, "explanation": "I can't."}
    assert events_of(refused)[-2]["delta"]["stop_details"] == body_of(*refused)["stop_details"] == details


def test_calls_whose_arguments_come_mixed_are_blocks_one_after_the_other():
    mixed = [
        [call(0), call(1)],
        [ToolCallDelta(0, '{"a"'), ToolCallDelta(1, '{"b":')],
        [ToolCallDelta(0, ":1}"), ToolCallDelta(1, "2}")],
        [TextDelta("Done."), Finish("tool_calls")],
    ]
    assert blocks_of(*mixed) == [
        ("tool_use", {"input_json_delta": '{"a":1}'}),
        ("tool_use", {"input_json_delta": '{"b":2}'}),
        ("text", {"text_delta": "Done."}),
    ]


def test_calls_without_arguments_are_empty_objects_and_none_is_lost_at_the_end():
    ended = [call(0), call(1), call(2), ToolCallDelta(2, '{"c":3}'), ToolCallDelta(1, ""), Finish("tool_calls")]
    assert blocks_of(ended) == [
        ("tool_use", {"input_json_delta": "{}"}),
        ("tool_use", {"input_json_delta": "{}"}),
        ("tool_use", {"input_json_delta": '{"c":3}'}),
    ]


def test_arguments_that_were_cut_off_stay_as_they_came():
    assert blocks_of([call(0), ToolCallDelta(0, '{"a'), Finish("length")]) == [
        ("tool_use", {"input_json_delta": '{"a'})
    ]


def test_thinking_has_its_signature_and_ends_before_the_text():
    owner = Owner(WIRE, "anthropic", "claude-opus-4-6")
    thought = [ThinkingDelta("Hm"), ThinkingDelta("m."), ThinkingEnd(Thinking("Hmm.", "sig", owner=owner))]
    hidden = ThinkingEnd(Thinking("", "only", owner=owner))
    redacted = ThinkingEnd(Thinking(encrypted="data", owner=owner))
    nothing = ThinkingEnd(Thinking(""))
    assert blocks_of([*thought, hidden, redacted, nothing, TextDelta("Hi"), STOP]) == [
        ("thinking", {"thinking_delta": "Hmm.", "signature_delta": "sig"}),
        ("thinking", {"signature_delta": "only"}),
        ("redacted_thinking", {}),
        ("text", {"text_delta": "Hi"}),
    ]


def test_a_text_ends_with_the_sources_that_it_cites():
    own = {"type": "char_location", "cited_text": "c", "document_index": 0, "start_char_index": 0, "end_char_index": 1}
    sources = [
        Citation("https://a.example", "A", 0, 2),
        Citation("", "Doc", 0, 2, Extras(WIRE, own)),
    ]
    cited = [TextDelta("Hi"), *map(CitationFound, sources), TextDelta(" there"), STOP]
    web = {"cited_text": "", "encrypted_index": "", "type": "web_search_result_location"}
    shown = [{**web, "url": "https://a.example", "title": "A"}, {**own, "document_title": "Doc"}]
    assert blocks_of(cited) == [
        ("text", {"text_delta": "Hi", "citations_delta": shown}),
        ("text", {"text_delta": " there"}),
    ]
    assert [(block["text"], block["citations"]) for block in body_of(*cited)["content"]] == [
        ("Hi", shown),
        (" there", None),
    ]


def test_only_parts_of_this_format_are_shown():
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    parts = [ForeignFound(Foreign(WIRE, use)), ForeignFound(Foreign("openai-responses", {"item": {}})), STOP]
    assert blocks_of(parts) == [("server_tool_use", {})]
    assert body_of(*parts)["content"] == [use]


def test_a_failure_is_one_error_event():
    renderer = Renderer("msg_1", "openclaw", seal=None, request_id="req_1")
    renderer.feed([TextDelta("Hi")])
    name, data = renderer.fail(Overloaded("Busy.", 3)).decode().removesuffix("\n\n").split("\ndata: ")
    assert name == "event: error"
    assert json.loads(data) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Busy.", "details": {"error_code": "overloaded"}},
        "request_id": "req_1",
    }
