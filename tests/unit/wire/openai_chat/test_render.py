import json

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.core.answer import Answer
from gateway.core.errors import BadRequest
from gateway.core.event import (
    CitationFound,
    Finish,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.message import Citation, Extras, Thinking, ToolCall
from gateway.core.usage import Usage
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.error_body import error_body
from gateway.wire.openai_chat.render import Renderer, render_answer
from gateway.wire.openai_chat.usage import usage_object

HEAD = {"id": "chatcmpl_1", "object": "chat.completion.chunk", "created": 7, "model": " OpenClaw "}


def renderer(*, include_usage=False):
    return Renderer(id="chatcmpl_1", created=7, model=" OpenClaw ", include_usage=include_usage)


def chunks(stream):
    """The chunks of a stream, each a type of the official client; without the final `[DONE]`."""
    *frames, done, remaining = stream.decode().split("\n\n")
    assert (done, remaining) == ("data: [DONE]", "")
    payloads = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    for payload in payloads:
        ChatCompletionChunk.model_validate(payload, strict=True)
        assert {name: payload[name] for name in HEAD} == HEAD
    return payloads


def deltas(*events):
    made = renderer()
    first, *remaining = chunks(made.feed(list(events)) + made.close())
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    return [choice["delta"] for chunk in remaining for choice in chunk["choices"]]


@pytest.mark.parametrize(
    ("event", "delta"),
    [
        (TextDelta('a"\n\N{GRINNING FACE}'), {"content": 'a"\n\N{GRINNING FACE}'}),
        (TextDelta("\ud83d"), {"content": "\ud83d"}),
        (RefusalDelta("no"), {"refusal": "no"}),
        (
            ToolCallBegin(1, "c", "f"),
            {"tool_calls": [{"index": 1, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        ),
        (ToolCallDelta(1, '{"a'), {"tool_calls": [{"index": 1, "function": {"arguments": '{"a'}}]}),
        (Finish("stop"), {}),
    ],
)
def test_every_event_is_rendered_as_its_delta(event, delta):
    assert deltas(event) == [delta]


def test_reasoning_is_shown_with_the_details_of_this_format_only():
    details = [{"type": "reasoning.encrypted", "data": "x"}]
    block = Thinking("hm", signature="s", extras=Extras(WIRE, {"reasoning_details": details}))
    other = Thinking("hm", signature="s", extras=Extras("another", {"reasoning_details": details}))
    shown = [{"reasoning_content": "hm"}, {"reasoning_details": details}]
    assert deltas(ThinkingDelta("hm"), ThinkingEnd(block)) == shown
    assert deltas(ThinkingDelta("hm"), ThinkingEnd(other)) == shown[:1]
    message = body(Answer("a", "stop", thinking=(block, other)))["message"]
    assert (message["reasoning_content"], message["reasoning_details"]) == ("hmhm", details)


def test_citations_are_rendered_as_annotations():
    source = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 1, "end_index": 2}}
    assert deltas(CitationFound(Citation("u", "t", 1, 2))) == [{"annotations": [source]}]


def test_extras_of_another_format_are_not_rendered():
    call = ToolCallBegin(0, "c", "f", Extras("another", {"secret": 1}))
    assert "secret" not in deltas(call)[0]["tool_calls"][0]
    whole = ToolCall("c", "f", "{}", Extras("another", {"secret": 1}))
    assert "secret" not in body(Answer(None, "tool_calls", tool_calls=(whole,)))["message"]["tool_calls"][0]


def test_a_call_of_a_custom_tool_is_rendered_as_custom():
    message = body(Answer(None, "tool_calls", tool_calls=(ToolCall("c", "f", "text", kind="custom"),)))["message"]
    assert message["tool_calls"] == [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "text"}}]


def test_the_first_chunk_and_no_other_has_the_role():
    made = renderer()
    stream = made.feed([TextDelta("a")]) + made.feed([TextDelta("b"), Finish("stop")]) + made.close()
    assert [chunk["choices"][0]["delta"] for chunk in chunks(stream)] == [
        *({"role": "assistant", "content": ""}, {"content": "a"}, {"content": "b"}, {}),
    ]


def test_only_the_last_chunk_has_a_finish_reason():
    made = renderer()
    stream = made.feed([TextDelta("a", {"content": []}), Finish("length")]) + made.close()
    choices = [chunk["choices"][0] for chunk in chunks(stream)]
    assert [choice["finish_reason"] for choice in choices] == [None, None, "length"]
    assert [choice["logprobs"] for choice in choices] == [None, {"content": []}, None]
    assert {choice["index"] for choice in choices} == {0}


@pytest.mark.parametrize(
    ("asked", "events", "usage"),
    [
        (False, [UsageReport(Usage(1, 2, 3))], None),
        (True, [UsageReport(Usage(1, 2, 3))], {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
        (True, [], {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
    ],
)
def test_usage_comes_last_and_only_on_request(asked, events, usage):
    made = renderer(include_usage=asked)
    sent_chunks = chunks(made.feed([Finish("stop"), *events]) + made.close())
    assert all("usage" not in chunk for chunk in sent_chunks[:2])
    assert [(chunk["choices"], chunk["usage"]) for chunk in sent_chunks[2:]] == ([([], usage)] if asked else [])


@pytest.mark.parametrize("streaming", [True, False])
def test_a_failure_is_one_event_followed_by_done(streaming):
    made = renderer(include_usage=True)
    if streaming:
        made.feed([TextDelta("a")])
    error = BadRequest("no", param="n")
    assert (
        made.fail(error)
        == b"data: " + json.dumps(error_body(error), separators=(",", ":")).encode() + b"\n\ndata: [DONE]\n\n"
    )


def test_an_empty_batch_starts_the_stream():
    assert b'"role":"assistant"' in renderer().feed([])


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (Usage(), {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
        (
            Usage(1, 2, 3, 1),
            {
                "prompt_tokens": 1,
                "completion_tokens": 2,
                "total_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 1},
            },
        ),
        (
            Usage(1, 2, 3, 0, 0),
            {
                "prompt_tokens": 1,
                "completion_tokens": 2,
                "total_tokens": 3,
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        ),
    ],
)
def test_usage_details_appear_only_when_reported(usage, counts):
    assert usage_object(usage) == counts


def body(reply):
    payload = json.loads(render_answer(reply, id="chatcmpl_1", created=7, model="openclaw"))
    ChatCompletion.model_validate(payload, strict=True)
    head = {"id": "chatcmpl_1", "object": "chat.completion", "created": 7, "model": "openclaw"}
    assert payload == {**payload, **head}
    assert payload.keys() == {*head, "choices", "usage"}
    (choice,) = payload["choices"]
    return choice


def test_a_whole_answer_has_all_fields_that_clients_read():
    assert body(Answer("a", "stop")) == {
        "index": 0,
        "message": {"role": "assistant", "content": "a", "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }


def test_a_whole_answer_holds_its_calls_and_text():
    message = body(Answer("so", "tool_calls", tool_calls=(ToolCall("c", "f", '{ "a":1 }'),)))["message"]
    assert message["content"] == "so"
    assert message["tool_calls"] == [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{ "a":1 }'}}
    ]
    assert body(Answer(None, "tool_calls", tool_calls=(ToolCall("c", "f", ""),)))["message"]["content"] == ""


def test_refusal_logprobs_and_reasoning_are_shown():
    choice = body(Answer(None, "stop", thinking=(Thinking("hm"),), refusal="no", logprobs={"content": []}))
    assert (choice["message"]["refusal"], choice["logprobs"]) == ("no", {"content": []})
    assert choice["message"]["reasoning_content"] == "hm"
